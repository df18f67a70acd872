import asyncio

import pytest

from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.ports.verdicts import Put
from tests.contract.stores import MINUTE, listening, sealed
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.virtual_time


def _store(clock: FakeClock, *, max_records: int = 100) -> MemoryVerdictStore:
    return MemoryVerdictStore(
        clock=clock, leases=MemoryScanLeases(clock=clock), max_records=max_records
    )


async def test_a_full_store_gives_up_the_records_that_end_soonest() -> None:
    clock = FakeClock()
    store = _store(clock, max_records=3)
    for number in range(10):
        put = await store.put(
            sealed(number), key=f"pointer:{number}", ends=clock.now() + MINUTE + number
        )
        assert put is Put.WRITTEN
    assert sorted(await store.keys("", limit=10)) == ["pointer:7", "pointer:8", "pointer:9"]


async def test_many_changes_of_one_key_between_two_turns_of_the_loop_are_told_once() -> None:
    clock = FakeClock()
    store = _store(clock)
    async with listening(store) as ear:
        for number in range(1_000):
            await store.put(sealed(number), key="pointer:a", ends=clock.now() + MINUTE)
        await asyncio.sleep(0.01)
        assert ear.heard == [None, "pointer:a"]
