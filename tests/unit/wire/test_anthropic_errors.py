"""Knows what a client sees of each error; it must not know which part of the server raises it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pinnace.core import errors as tree
from pinnace.core.wire.anthropic.errors import TABLE, render

EXCEEDED = tree.BudgetExceeded(owner="key:k", period="2026-12", unit="tokens", limit=1_000, left=-5, needed=20)
CASES: list[tuple[tree.PinnaceError, int, str, dict[str, str]]] = [
    (tree.InvalidRequest("x"), 400, "invalid_request_error", {}),
    (tree.Unauthenticated("x"), 401, "authentication_error", {}),
    (tree.BillingRefused("x"), 402, "billing_error", {}),
    (EXCEEDED, 402, "billing_error", {}),
    (tree.PermissionRefused("x"), 403, "permission_error", {}),
    (tree.StorageExceeded(limit=9, left=-1, needed=2), 403, "permission_error", {}),
    (tree.NotFound("x"), 404, "not_found_error", {}),
    (tree.MethodRefused("x", allowed=("GET", "POST")), 405, "invalid_request_error", {"allow": "GET, POST"}),
    (tree.Conflicted("x"), 409, "conflict_error", {}),
    (tree.Conflicted("x", retry_after=2), 409, "conflict_error", {"retry-after": "2"}),
    (tree.RequestTooLarge("x", limit=1), 413, "request_too_large", {}),
    (tree.RangeRefused(size=5), 416, "invalid_request_error", {"content-range": "bytes */5"}),
    (tree.RateLimited("x", retry_after=0.2), 429, "rate_limit_error", {"retry-after": "1"}),
    (tree.RateLimited("x", retry_after=2.1), 429, "rate_limit_error", {"retry-after": "3"}),
    (tree.Overloaded("x", retry_after=5), 529, "overloaded_error", {"retry-after": "5"}),
    (tree.RunTimedOut("x", seconds=5), 504, "timeout_error", {}),
    (tree.CliUnavailable("x"), 500, "api_error", {}),
    (tree.CliBroke("x"), 500, "api_error", {}),
    (tree.RunCancelled("x"), 500, "api_error", {}),
    (tree.PartMissing("x"), 501, "api_error", {}),
    (tree.StoreFailed("x"), 500, "api_error", {}),
    (tree.Misconfigured("x"), 500, "api_error", {}),
    (tree.UpstreamFailed("x", status=None), 500, "api_error", {}),
    (tree.UpstreamFailed("x", status=200), 500, "api_error", {}),
    (tree.UpstreamFailed("x", status=401), 401, "authentication_error", {}),
    (tree.UpstreamFailed("x", status=403, kind="permission_error"), 403, "permission_error", {}),
    (tree.UpstreamFailed("x", status=418), 418, "invalid_request_error", {}),
    (tree.UpstreamFailed("x", status=503), 503, "api_error", {}),
    (tree.UpstreamFailed("x", status=None, kind="overloaded_error"), 500, "overloaded_error", {}),
    (tree.UpstreamFailed("x", status=529, retry_after=7), 529, "overloaded_error", {"retry-after": "7"}),
]


def walk(kind: type[tree.PinnaceError]) -> Iterator[type[tree.PinnaceError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from walk(child)


@pytest.mark.parametrize(("error", "status", "kind", "headers"), CASES)
def test_an_error_has_its_status_type_and_headers(
    error: tree.PinnaceError, status: int, kind: str, headers: dict[str, str]
) -> None:
    rendered = render(error, "req_1")
    assert (rendered.status, rendered.headers) == (status, headers)
    told = {"type": kind, "message": str(error)} | ({"details": EXCEEDED.details} if error is EXCEEDED else {})
    assert rendered.body == {"type": "error", "error": told, "request_id": "req_1"}


def test_a_budget_that_is_used_up_says_which_how_much_is_left_and_when_it_renews() -> None:
    assert str(EXCEEDED) == (
        "The key's monthly budget of 1,000 tokens has 0 tokens left, and this call may need 20 tokens. "
        "It renews at 2027-01-01T00:00:00Z; ask for less with max_tokens, or have the budget raised."
    )
    total = tree.BudgetExceeded(owner="project:p", period="all", unit="usd", limit=2_500_000, left=1, needed=20)
    assert str(total).startswith("The project's total budget of $2.500000 has $0.000001 left, and this call may need")
    assert "does not renew" in str(total)
    assert total.details["renews_at"] is None


def test_every_error_of_the_tree_is_in_the_table() -> None:
    assert {kind for kind in walk(tree.PinnaceError) if kind.__module__ == tree.__name__} == set(TABLE)


def test_every_leaf_of_the_tree_is_tried_here() -> None:
    leaves = {
        kind for kind in walk(tree.PinnaceError) if kind.__module__ == tree.__name__ and not kind.__subclasses__()
    }
    assert leaves <= {type(error) for error, *_ in CASES}


def test_a_wrong_field_is_named_and_its_details_are_told() -> None:
    error = render(tree.InvalidRequest("no", path="a.b", details={"error_code": "c"}), "r").body["error"]
    assert error == {"type": "invalid_request_error", "message": "a.b: no", "details": {"error_code": "c"}}


@pytest.mark.parametrize("error", [RuntimeError("/secret/path"), KeyError("sk-key"), asyncio.CancelledError()])
def test_of_a_foreign_exception_nothing_is_told(error: BaseException) -> None:
    rendered = render(error, "r")
    assert (rendered.status, rendered.headers) == (500, {})
    assert rendered.body["error"] == {"type": "api_error", "message": "Internal server error"}
