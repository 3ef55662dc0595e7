"""Knows that nothing that fits or breaks the published schema makes the server fail."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from served import Served

# Now, and not later beside other threads: they may not parse at the same time (python/cpython#106905).
importlib.import_module("schemathesis.specs.openapi.schemas")
ROUNDS = 12


@pytest.mark.soak
def test_no_request_that_the_schema_suggests_is_a_server_error(served: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # a schema of ours has no errors
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=ROUNDS,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def attempt(case: Any) -> None:
                nonlocal tried
                tried += 1
                answer = case.call(base_url=served.url + "/api")
                case.validate_response(answer, checks=[not_a_server_error])

            attempt()
    assert tried > ROUNDS * 7
