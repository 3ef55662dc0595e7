"""Knows that an agent works with the files that its caller uploads into its container."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from served import MODEL, Served, serving

from pinnace.testing.upstream import Upstream

WORD = f"barnacle{os.urandom(4).hex()}"


@pytest.fixture(scope="module")
def own(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    variables = {"PINNACE_AGENT__ALLOWED_TOOLS": '["Bash"]'}
    with serving(tmp_path_factory.mktemp("agents"), upstream, **variables) as served:
        yield served


def say(served: Served, messages: list[Any], prefix: str = "/sdk", **headers: str) -> httpx.Response:
    body = {"model": MODEL, "max_tokens": 100, "messages": messages}
    return served.http.post(f"{served.url}{prefix}/v1/messages", json=body, headers=headers)


def heard(served: Served) -> str:
    return json.dumps(served.upstream.bodies[-1]["messages"])


READ = '::tool Bash {"command": "cat uploads/*/*; ls uploads | wc -l"}\n::turn\n::text read'


@pytest.mark.parametrize("session", [None, "voyage"])
def test_an_agent_finds_the_file_and_in_the_next_turn_too(own: Served, session: str | None) -> None:
    headers = {} if session is None else {"x-session-id": session}
    made = own.client("").beta.files.upload(file=("cargo list.txt", WORD.encode()))
    upload = {"type": "container_upload", "file_id": made.id}
    first = [{"role": "user", "content": [upload, {"type": "text", "text": READ}]}]
    answer = say(own, first, **headers)
    assert answer.status_code == 200, answer.text
    assert f"{WORD}1" in heard(own)
    assert "The file 'cargo list.txt' is at uploads/" in heard(own)
    own.upstream.forget()
    again = {"role": "user", "content": READ}
    later = [*first, {"role": "assistant", "content": answer.json()["content"]}, again]
    answer = say(own, later if session is None else [again], **headers)
    assert answer.status_code == 200, answer.text
    assert f"{WORD}1" in heard(own)


def test_without_an_agent_there_is_no_container(own: Served) -> None:
    made = own.client("").beta.files.upload(file=b"x")
    refused = say(own, [{"role": "user", "content": [{"type": "container_upload", "file_id": made.id}]}], "/api")
    assert (refused.status_code, "agent profile" in refused.text) == (400, True)
    missing = say(own, [{"role": "user", "content": [{"type": "container_upload", "file_id": "file_none"}]}])
    assert (missing.status_code, missing.json()["error"]["message"]) == (404, "File not found: file_none")
