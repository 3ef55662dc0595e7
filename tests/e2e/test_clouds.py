"""Knows that the CLI's calls reach Amazon Bedrock and Google Vertex AI, each by its own path and form, with both profiles.

The scripted endpoint stands for the providers; that they take the credentials cannot be tried here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from served import MODEL, Served, serving

from pinnace.testing.upstream import Recorded, Upstream

# Without the names of models the CLI asks Bedrock with a call each which ones there are, whenever it starts.
NAMED = {
    "ANTHROPIC_DEFAULT_OPUS_MODEL": "eu.anthropic.claude-opus-5-5",
    "ANTHROPIC_DEFAULT_SONNET_MODEL": "eu.anthropic.claude-sonnet-5-5",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": "eu.anthropic.claude-haiku-4-5",
}
AWS = {
    "CLAUDE_CODE_USE_BEDROCK": "1",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "aws-secret",
}
GOOGLE = {
    "CLAUDE_CODE_USE_VERTEX": "1",
    "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
    "ANTHROPIC_VERTEX_PROJECT_ID": "project",
    "CLOUD_ML_REGION": "europe-west1",
}
PATHS = {
    "bedrock": "/model/eu.anthropic.claude-sonnet-5-5/invoke-with-response-stream",
    "vertex": "/projects/project/locations/europe-west1/publishers/anthropic/models/claude-sonnet-5-5:streamRawPredict",
}


@pytest.fixture(scope="module", params=["bedrock", "vertex"])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    with Upstream() as upstream:
        variables = {
            "bedrock": AWS | NAMED | {"ANTHROPIC_BEDROCK_BASE_URL": upstream.url},
            "vertex": GOOGLE | {"ANTHROPIC_VERTEX_BASE_URL": upstream.url},
        }[request.param]
        own = {"ANTHROPIC_API_KEY": "", "PINNACE_AGENT__SPARES": "0"}
        with serving(tmp_path_factory.mktemp("cloud"), upstream, **variables, **own) as started:
            yield started, PATHS[request.param]


def calls(served: Served) -> list[Recorded]:
    return [seen for seen in served.upstream.requests if seen.method == "POST"]


@pytest.mark.parametrize("profile", ["/api", "/sdk"])
def test_an_answer_comes_from_the_provider(cloud: tuple[Served, str], profile: str) -> None:
    served, path = cloud
    served.upstream.forget()
    answer = served.ask("::text Ahoy there", profile)
    assert answer.status_code == 200, answer.text
    assert [block["text"] for block in answer.json()["content"] if block["type"] == "text"] == ["Ahoy there"]
    assert [call.path for call in calls(served)] == [path]


def test_the_request_reaches_the_provider_as_sent(cloud: tuple[Served, str]) -> None:
    served, _ = cloud
    served.upstream.forget()
    body = {
        "model": MODEL,
        "max_tokens": 77,
        "temperature": 0.3,
        "system": "You are a pirate.",
        "tools": [{"name": "weigh", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": '::tool weigh {"kg": 1}'}]}],
    }
    assert served.post(body).json()["stop_reason"] == "tool_use"
    (call,) = calls(served)
    assert {name: call.body[name] for name in body if name != "model"} == {
        n: v for n, v in body.items() if n != "model"
    }


def test_a_stream_comes_in_the_models_own_deltas(cloud: tuple[Served, str]) -> None:
    served, _ = cloud
    asked: list[Any] = [{"role": "user", "content": "::text a b c"}]
    with served.client().messages.stream(model=MODEL, max_tokens=50, messages=asked) as stream:
        assert list(stream.text_stream) == ["a", " b", " c"]


@pytest.mark.parametrize("status", [400, 429, 529])
def test_a_failure_keeps_its_status(cloud: tuple[Served, str], status: int) -> None:
    served, _ = cloud
    assert served.ask(f"::error {status}").status_code == status


# The delay is longer than an interrupt takes to reach the CLI on a busy machine.
@pytest.mark.parametrize("script", ["::delay 0.5\n::text half\n::stop max_tokens", "::delay 0.5\n::text half\n::cut"])
def test_what_the_cli_would_call_again_for_by_itself_is_stopped(cloud: tuple[Served, str], script: str) -> None:
    served, _ = cloud
    served.upstream.forget()
    served.ask(script)
    served.wait_until(lambda: served.stats()["busy"] == 0)
    # The second one may have left already; without the interrupt there are four.
    assert len(calls(served)) <= 2
