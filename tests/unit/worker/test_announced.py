"""A push that was announced before its tag was written is asked about once more."""

import asyncio

import msgspec
import pytest

from services.worker.requesting import TAG_LAG
from shared.adapters.rabbitmq.flights import Flights
from shared.domain.pointer import YOUNG, Pointer, pointer_key
from shared.domain.step import Lane, Step
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.steps import Settle
from tests.fakes.images import index_of, tiny_image
from tests.unit.worker.rig import CONTENT, QUESTION, Rig, rigged

OLD = tiny_image(config={"User": "before"})


async def announced(rig: Rig, digest: str = CONTENT.digest) -> Step:
    """The step of a push event, after a worker has begun it."""
    step = msgspec.structs.replace(rig.step(why=Why.PREWARM), lane=Lane.PREWARM, announced=digest)
    await rig.scan.request(step)
    return step


async def named(rig: Rig) -> str | None:
    pointer = await rig.ledger._read(pointer_key(rig.reference), Pointer)
    assert pointer is not None
    return pointer.digest


async def test_a_tag_that_names_what_was_announced_is_scanned_at_once() -> None:
    async with rigged() as rig:
        await announced(rig)
        assert rig.anchore.store.submits[CONTENT.digest] == 1
        assert rig.next_check().announced == ""


async def test_an_index_is_compared_by_its_own_digest() -> None:
    async with rigged() as rig:
        index = index_of((CONTENT, "linux/amd64"))
        rig.registry.put(index, "team/app:1")
        await announced(rig, index.digest)
        assert rig.anchore.store.submits[CONTENT.digest] == 1


@pytest.mark.parametrize("before", ["an older image", "nothing"])
async def test_a_tag_that_lags_is_asked_about_again_and_what_it_named_is_not_scanned(
    before: str,
) -> None:
    async with rigged() as rig:
        if before == "nothing":
            rig.registry.remove(rig.reference)
        else:
            rig.registry.put(OLD, "team/app:1")
        step = await announced(rig)
        again, delay = rig.followed[0]
        assert msgspec.structs.replace(again, id=step.id) == msgspec.structs.replace(
            step, announced=""
        )
        assert delay == TAG_LAG
        assert not rig.anchore.store.submits
        rig.registry.put(CONTENT, "team/app:1")
        rig.clock.advance(TAG_LAG * 1000)
        await rig.scan.request(rig.followed[0][0])
        assert await named(rig) == CONTENT.digest
        assert rig.anchore.store.submits[CONTENT.digest] == 1


async def test_a_lie_costs_one_more_question_and_then_the_registry_is_believed() -> None:
    async with rigged() as rig:
        await announced(rig, OLD.digest)
        await rig.scan.request(rig.followed[0][0])
        assert len(rig.registry.asked("manifests", method="HEAD")) == 2
        assert await named(rig) == CONTENT.digest
        assert set(rig.anchore.store.submits) == {CONTENT.digest}


async def test_the_second_question_is_no_copy_of_the_first_whose_settlement_was_not_heard() -> None:
    async with rigged() as rig:
        step = await announced(rig, OLD.digest)
        flights = Flights()
        flights.keep(step, Settle.ACK)
        assert not flights.has(rig.followed[0][0])


async def test_all_that_is_asked_about_one_push_costs_one_question_to_the_registry() -> None:
    async with rigged() as rig:
        steps = [
            msgspec.structs.replace(
                rig.step(why=Why.PREWARM), announced=CONTENT.digest, question=question
            )
            for question in (QUESTION, Question(requirement="analysis"), Question(policy="b"))
        ]
        await asyncio.gather(*(rig.scan.request(step) for step in steps))
        assert len(rig.registry.asked("manifests/1", method="HEAD")) == 1
        checks = [step for step, _ in rig.followed]
        assert {step.question for step in checks} == {step.question for step in steps}


async def test_what_was_said_a_minute_ago_is_asked_for_again() -> None:
    async with rigged() as rig:
        await announced(rig)
        rig.clock.advance(YOUNG - 1)
        await announced(rig)
        assert len(rig.registry.asked("manifests/1", method="HEAD")) == 1
        rig.clock.advance(1)
        await announced(rig)
        assert len(rig.registry.asked("manifests/1", method="HEAD")) == 2


async def test_a_push_of_another_digest_is_asked_for_though_the_pointer_is_young() -> None:
    async with rigged() as rig:
        await announced(rig)
        rig.registry.put(OLD, "team/app:1")
        rig.clock.advance(1)
        await announced(rig, OLD.digest)
        assert await named(rig) == OLD.digest
