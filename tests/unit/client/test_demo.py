from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest
from rich.console import Console

from pinnace.client.demo import DEFINITION, DemoFailed, Tour
from pinnace.client.server_process import ServerProcess
from pinnace.testing.upstream import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def tour(upstream: Upstream, tmp_path: Path) -> Tour:
    """A tour that takes the scripted endpoint for the server, so that no tool runs and no history is changed."""
    return Tour(Console(file=io.StringIO(), width=100), ServerProcess(tmp_path, {}, port=upstream.port), upstream)


@pytest.fixture
def client(upstream: Upstream) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="demo", base_url=upstream.url, max_retries=0) as running:
        yield running


def shown(tour: Tour) -> str:
    assert isinstance(tour.out.file, io.StringIO)
    return tour.out.file.getvalue()


def test_a_message_is_shown_as_it_streams(tour: Tour, client: anthropic.Anthropic) -> None:
    tour.stream_a_message(client)
    assert f"claude  {DEFINITION}\n" in shown(tour)
    assert [line.what for line in tour.answers] == ["the message"]


def test_the_second_turn_brings_the_first(tour: Tour, client: anthropic.Anthropic) -> None:
    tour.hold_a_conversation(client)
    assert "the model received 3 messages: user, assistant, user." in shown(tour)
    assert [line.what for line in tour.answers] == ["turn 1", "turn 2"]


def test_a_tool_that_did_not_run_fails_the_demo(tour: Tour, client: anthropic.Anthropic) -> None:
    with pytest.raises(DemoFailed, match="The demo failed at what the tool read: expected '12 barrels"):
        tour.run_the_agent(client)
    assert tour.answers == []


def test_the_bill_adds_up(tour: Tour, client: anthropic.Anthropic) -> None:
    tour.hold_a_conversation(client)
    for answer in tour.answers:
        assert answer.cost is None, "an alias has no price; only a server gives it its model"
    tour.count_up()
    assert "In all it would have cost $0.000000 at the published prices." in shown(tour)
