"""One run for each step, however often it is delivered."""

import asyncio
import contextlib

import msgspec
import pytest

from shared.adapters.rabbitmq.flights import MAX_UNSETTLED, Flights
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.ports.steps import Settle

STEP = Step(
    id="one",
    kind=StepKind.REQUEST,
    lane=Lane.ADMISSION,
    reference="registry.example/team/app:1",
    question=Question(),
    first_seen=0,
)


class Work:
    def __init__(self) -> None:
        self.runs = 0
        self.go = asyncio.Event()

    async def __call__(self, _step: Step) -> Settle:
        self.runs += 1
        await self.go.wait()
        return Settle.DEAD


async def started(flights: Flights, step: Step, work: Work) -> asyncio.Task[Settle]:
    task = asyncio.create_task(flights.run(step, work))
    await asyncio.sleep(0)
    return task


async def test_a_copy_is_given_the_result_of_the_first_run() -> None:
    flights, work = Flights(), Work()
    first = await started(flights, STEP, work)
    copy = await started(flights, STEP, work)
    work.go.set()
    assert [await first, await copy] == [Settle.DEAD, Settle.DEAD]
    assert work.runs == 1
    assert not flights.has(STEP)


@pytest.mark.parametrize("changes", [{"hop": 1}, {"attempt": 1}, {"id": "two"}])
async def test_another_hop_or_attempt_is_another_step(changes: dict[str, object]) -> None:
    flights, work = Flights(), Work()
    work.go.set()
    first = await started(flights, STEP, work)
    second = await started(flights, msgspec.structs.replace(STEP, **changes), work)
    await first
    await second
    assert work.runs == 2


async def test_a_cancelled_copy_does_not_stop_the_first_run() -> None:
    flights, work = Flights(), Work()
    first = await started(flights, STEP, work)
    copy = await started(flights, STEP, work)
    copy.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await copy
    work.go.set()
    assert await first is Settle.DEAD


async def test_copies_end_unsettled_with_a_cancelled_first_run_and_the_step_may_run_again() -> None:
    flights, work = Flights(), Work()
    first = await started(flights, STEP, work)
    copy = await started(flights, STEP, work)
    first.cancel()
    results = await asyncio.gather(first, copy, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2
    work.go.set()
    assert await flights.run(STEP, work) is Settle.DEAD
    assert work.runs == 2


async def test_a_kept_result_answers_one_copy() -> None:
    flights, work = Flights(), Work()
    work.go.set()
    flights.keep(STEP, Settle.ACK)
    assert flights.has(STEP)
    assert await flights.run(STEP, work) is Settle.ACK
    assert await flights.run(STEP, work) is Settle.DEAD
    assert work.runs == 1


async def test_kept_results_are_bounded() -> None:
    flights = Flights()
    for number in range(MAX_UNSETTLED + 1):
        flights.keep(msgspec.structs.replace(STEP, id=str(number)), Settle.ACK)
    assert not flights.has(msgspec.structs.replace(STEP, id="0"))
    assert flights.has(msgspec.structs.replace(STEP, id="1"))
