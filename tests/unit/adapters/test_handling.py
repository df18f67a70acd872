"""Deliveries count as in hand from their task's making to its end, whatever that end is."""

import asyncio

import pytest

from shared.adapters.handling import Handling, ignore
from shared.domain.step import Lane, Step, encode_step
from shared.ports.carried import Carried
from shared.ports.steps import Settle
from tests.contract.queues import a_step
from tests.fakes.clock import FakeClock


async def never(_step: Step) -> Settle:
    raise AssertionError("nothing is handled here")


@pytest.fixture
def carried() -> Carried:
    return Carried()


@pytest.fixture
def handling(carried: Carried) -> Handling:
    return Handling(
        lane=Lane.CHECK, handler=never, clock=FakeClock(), carried=carried, on_event=ignore
    )


async def ends_well(go: asyncio.Event) -> None:
    await go.wait()


async def fails(go: asyncio.Event) -> None:
    await go.wait()
    raise LookupError("the handler's own")


def test_at_first_nothing_is_in_hand_in_any_lane(carried: Carried) -> None:
    assert carried.in_hand() == dict.fromkeys(Lane, 0)


async def test_what_ends_fails_or_is_cancelled_is_in_hand_until_then(
    handling: Handling, carried: Carried
) -> None:
    go = asyncio.Event()
    tasks = [asyncio.create_task(work(go)) for work in (ends_well, fails, ends_well)]
    for task in tasks:
        handling.in_hand(task)
    assert carried.in_hand() == {**dict.fromkeys(Lane, 0), Lane.CHECK: 3}
    # One of them before it ever ran: it has no `finally` that could count.
    tasks[2].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert carried.in_hand()[Lane.CHECK] == 2
    go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)
    assert carried.in_hand() == dict.fromkeys(Lane, 0)


def test_a_step_that_came_in_another_lane_than_it_names_is_a_bad_message(
    handling: Handling,
) -> None:
    """Who may write to one lane has no say in others."""
    step = a_step(Lane.CHECK)
    assert handling.read(encode_step(step)) == step
    assert handling.read(encode_step(a_step(Lane.ADMISSION))) is Settle.DEAD
