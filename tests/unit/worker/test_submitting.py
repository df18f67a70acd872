"""An image is handed to Anchore once, however many questions about it there are."""

import asyncio
import json

import msgspec
import pytest
from aiohttp import web

from shared.domain.errors import ErrorKind, TransientFailure
from shared.domain.rules import Requirement
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Outcome, Question, Subject
from shared.domain.why import Why
from tests.fakes.images import encode
from tests.fakes.registry import answer
from tests.unit.worker.rig import CONTENT, QUESTION, Rig

OTHER = Question(policy="other")
MARKED = msgspec.structs.replace(
    CONTENT,
    manifest=encode(
        {**json.loads(CONTENT.manifest), "annotations": {"org.criu.checkpoint.pod.name": "x"}}
    ),
)
"""A checkpoint."""


def _forced(rig: Rig, **more: object) -> Step:
    step = rig.step(why=Why.OPERATOR, lane=Lane.PREWARM, force=True)
    return msgspec.structs.replace(step, **more)


async def test_two_questions_about_one_image_at_once_submit_it_once(rig: Rig) -> None:
    await asyncio.gather(
        *(rig.scan.request(rig.step(question=question)) for question in (QUESTION, OTHER))
    )
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    assert {step.question for step, _ in rig.followed} == {QUESTION, OTHER}


async def test_what_another_worker_submitted_while_its_manifest_was_read_is_not_submitted_again(
    rig: Rig,
) -> None:
    async def submitted_meanwhile(request: web.Request) -> web.StreamResponse:
        rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
        return web.Response(body=CONTENT.manifest, content_type=CONTENT.media_type)

    await rig.scan.resolve(rig.step())
    rig.registry.fault(CONTENT.digest, submitted_meanwhile)
    await rig.scan.request(rig.step())
    assert not rig.anchore.store.submits
    assert await rig.verdict() is not None


async def test_a_checkpoint_that_others_had_analysed_is_refused_all_the_same(rig: Rig) -> None:
    image = rig.registry.put(MARKED, "team/checkpoint:1")
    rig.anchore.store.know(MARKED.digest, image.tagged)
    await rig.scan.request(rig.step(reference=image))
    assert [verdict.outcome for verdict, _ in rig.verdicts] == [Outcome.ERROR]
    error = await rig.error(Subject(image.repository, MARKED.digest, "1"))
    assert error is not None
    assert (error.error, "checkpoint" in error.message) == (ErrorKind.REFUSED, True)


async def test_a_checkpoint_that_others_have_analysed_is_not_judged_by_a_wake_either(
    rig: Rig,
) -> None:
    image = rig.registry.put(MARKED, "team/checkpoint:1")
    rig.anchore.store.know(MARKED.digest, image.tagged, status="analyzing")
    await rig.scan.request(rig.step(reference=image))
    check = rig.next_check()
    rig.anchore.store.finish(MARKED.digest)
    await rig.scan.wake(msgspec.structs.replace(check, kind=StepKind.WAKE, claim=""))
    assert not rig.verdicts
    await rig.scan.check(check)
    assert [verdict.outcome for verdict, _ in rig.verdicts] == [Outcome.ERROR]
    assert check.subject is not None
    error = await rig.error(check.subject)
    assert error is not None
    assert error.error is ErrorKind.REFUSED


async def test_what_others_had_analysed_is_not_judged_while_its_manifest_cannot_be_read(
    rig: Rig,
) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    rig.registry.fault(CONTENT.digest, answer(503))
    with pytest.raises(TransientFailure):
        await rig.scan.request(rig.step())
    assert await rig.verdict() is None
    rig.registry.heal()
    await rig.scan.request(rig.step())
    verdict = await rig.verdict()
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS


async def test_a_manifest_is_read_once_by_who_submits_it_and_judges_it_for_two_questions(
    rig: Rig,
) -> None:
    for question in (QUESTION, Question(requirement=Requirement.ANALYSIS)):
        await rig.scan.request(rig.step(question=question))
    rig.anchore.store.finish(CONTENT.digest)
    for check, _ in list(rig.followed):
        await rig.scan.check(check)
    assert [verdict.outcome for verdict, _ in rig.verdicts] == [Outcome.PASS, Outcome.PASS]
    assert len(rig.registry.asked(CONTENT.digest, method="GET")) == 1


async def test_an_operator_may_have_what_is_known_analysed_anew(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(_forced(rig))
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    assert await rig.verdict() is None
    check = rig.next_check()
    assert not check.force
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(check)
    verdict = await rig.verdict()
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_an_operator_frees_an_analysis_that_hangs_and_its_chain_goes_on(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    rig.anchore.store.begin(CONTENT.digest)
    check = rig.next_check()
    forced = _forced(rig)
    await rig.scan.request(forced)
    assert rig.anchore.store.submits == {CONTENT.digest: 2}
    assert rig.next_check() is check
    await rig.scan.check(check)
    assert rig.next_check().hop == 2


async def test_a_forced_request_that_comes_again_forces_nothing_more(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    forced = _forced(rig)
    await rig.scan.request(forced)
    await rig.scan.check(rig.next_check())
    rig.clock.advance(61_000)
    rig.anchore.store.begin(CONTENT.digest)
    await rig.scan.request(forced)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_a_force_that_failed_is_tried_again(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    rig.anchore.store.fault("image_add", "500")
    forced = _forced(rig)
    with pytest.raises(TransientFailure):
        await rig.scan.request(forced)
    rig.anchore.store.heal()
    assert not rig.anchore.store.submits
    await rig.scan.request(forced)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


@pytest.mark.parametrize("seconds", [0, 59])
async def test_force_begins_no_second_analysis_within_a_minute(rig: Rig, seconds: int) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(_forced(rig))
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(rig.next_check())
    rig.clock.advance(1_000 * seconds)
    await rig.scan.request(_forced(rig))
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    rig.clock.advance(60_000)
    await rig.scan.request(_forced(rig))
    assert rig.anchore.store.submits == {CONTENT.digest: 2}


@pytest.mark.parametrize(
    "of_others", [{"why": Why.PREWARM}, {"why": Why.ADMISSION}, {"lane": Lane.ADMISSION}]
)
async def test_nobody_else_s_request_forces_anything(rig: Rig, of_others: dict[str, str]) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(_forced(rig, **of_others))
    assert not rig.anchore.store.submits
    assert await rig.verdict() is not None


async def test_a_check_forces_nothing_by_what_its_message_says(rig: Rig) -> None:
    await rig.scan.request(rig.step(why=Why.OPERATOR, lane=Lane.PREWARM))
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(msgspec.structs.replace(rig.next_check(), force=True, began=0))
    assert rig.anchore.store.submits == {CONTENT.digest: 1}


async def test_an_analysis_that_failed_before_is_begun_anew_once_by_whoever_asks(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged, status="analysis_failed")
    await asyncio.gather(
        *(rig.scan.request(rig.step(question=question)) for question in (QUESTION, OTHER))
    )
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
