"""Knows that what an agent's run used is known when the run is over, also where its last call was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from house import BODY, MODEL, USED, House, build_house

from pinnace.core.adapters.memory.ledger import MemoryLedger
from pinnace.core.errors import StoreFailed
from pinnace.core.model.ledger import Amount, Balance
from pinnace.core.usecases.tolls import AgentToll


class FullLedger(MemoryLedger):
    """A ledger whose disk is full by the time that something is to be settled."""

    async def settle(self, reservation_id: str, used: Amount) -> Sequence[Balance] | None:
        raise StoreFailed("The store cannot be written.")


@pytest.fixture
def house() -> House:
    return build_house()


async def test_a_call_whose_end_comes_after_its_run_s_is_waited_for(house: House) -> None:
    toll = AgentToll(house.calls.billing, house.call().principal, "req_1", 60.0)
    async with toll:
        ticket = await toll.enter(BODY | {"model": MODEL})
        late = asyncio.get_running_loop().create_task(_leave_late(toll, ticket))
    assert toll.by_model == {MODEL: USED}
    assert house.journal[-1] == "settled"
    await late


async def test_a_run_without_a_call_waits_for_nothing(house: House) -> None:
    async with asyncio.timeout(1), AgentToll(house.calls.billing, house.call().principal, "req_1", 60.0):
        pass


async def test_a_call_that_cannot_be_settled_holds_nobody_up(house: House) -> None:
    billing = replace(house.calls.billing, ledger=FullLedger())
    toll = AgentToll(billing, house.call().principal, "req_1", 60.0)
    async with asyncio.timeout(1), toll:
        ticket = await toll.enter(BODY | {"model": MODEL})
        with pytest.raises(StoreFailed):
            await toll.leave(ticket, USED)


async def _leave_late(toll: AgentToll, ticket: str) -> None:
    await asyncio.sleep(0.01)
    await toll.leave(ticket, USED)
