"""Knows how clients page through the models; it must not know where the list comes from."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import ModelInfo as SdkModel

from pinnace.core.errors import InvalidRequest
from pinnace.core.model.catalog import ModelInfo
from pinnace.core.wire.anthropic.models import render_model, render_openai_list, render_page

MODELS = [
    ModelInfo(f"m{i}", f"Model {i}", "2026-02-01T00:00:00Z", 200_000, 64_000, aliases=(f"a{i}",)) for i in range(5)
]


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ({}, ["m0", "m1", "m2", "m3", "m4"], False),
        ({"limit": 2}, ["m0", "m1"], True),
        ({"limit": 2, "after_id": "m1"}, ["m2", "m3"], True),
        ({"limit": 2, "after_id": "m2"}, ["m3", "m4"], False),
        ({"limit": 2, "after_id": "m4"}, [], False),
        ({"limit": 2, "before_id": "m4"}, ["m2", "m3"], True),
        ({"limit": 2, "before_id": "m2"}, ["m0", "m1"], False),
        ({"limit": 2, "before_id": "a1"}, ["m0"], False),
    ],
)
def test_a_page_holds_the_models_that_were_asked_for(query: dict[str, Any], ids: list[str], has_more: bool) -> None:
    page = render_page(MODELS, **query)
    assert [model["id"] for model in page["data"]] == ids
    assert page["has_more"] is has_more
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"after_id": "x"}, "after_id"),
        ({"before_id": "x"}, "before_id"),
        ({"after_id": "m1", "before_id": "m2"}, "before_id"),
    ],
)
def test_a_query_that_means_nothing_is_refused(query: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        render_page(MODELS, **query)
    assert caught.value.path == path


def test_the_sdk_finds_every_field_that_it_needs() -> None:
    model = SdkModel.model_validate(render_model(MODELS[0]))
    assert (model.id, model.lifecycle, model.max_input_tokens) == ("m0", "active", 200_000)


def test_an_openai_client_sees_its_own_shape() -> None:
    assert render_openai_list(MODELS[:1]) == {
        "object": "list",
        "data": [{"id": "m0", "object": "model", "created": 1769904000, "owned_by": "anthropic"}],
    }
