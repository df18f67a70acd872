"""Which policy answered a scan, and since when it does."""

import msgspec

from shared.domain.pointer import DAY
from shared.domain.revision import Revision
from shared.domain.verdict import (
    Outcome,
    Question,
)
from tests.unit.worker.rig import CONTENT, QUESTION, Rig, rigged


async def test_the_policy_that_answered_is_written_down_and_outdates_older_verdicts(
    rig: Rig,
) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await rig.scan.request(rig.step())
    verdict, revision = await rig.verdict(), await rig.ledger.revision(QUESTION)
    assert verdict is not None
    assert revision is not None
    assert (revision.revision, revision.policy_id) == (verdict.revision, verdict.policy_id)

    checks = rig.anchore.store.calls["image_check"]
    newer = msgspec.structs.replace(revision, revision="f" * 64, seen_at=verdict.evaluated_at + 1)
    await rig.ledger.write_revision(newer)
    await rig.scan.request(rig.step())
    assert rig.anchore.store.calls["image_check"] == checks + 1


async def test_a_policy_that_answers_still_is_renewed_and_keeps_since_when_it_does() -> None:
    # One after the other: no answer is later than the clock of the rig that asked.
    async with rigged() as elsewhere:
        elsewhere.anchore.store.know(CONTENT.digest, elsewhere.reference.tagged)
        await elsewhere.scan.request(elsewhere.step())
        seen = await elsewhere.ledger.revision(QUESTION)
    assert seen is not None
    assert seen.since == seen.seen_at
    days_ago = seen.seen_at - 3 * DAY
    before = msgspec.structs.replace(seen, seen_at=days_ago, since=days_ago)
    async with rigged() as rig:
        await rig.ledger.write_revision(before)
        rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
        await rig.scan.request(rig.step())
        renewed = await rig.ledger.revision(QUESTION)
    assert renewed is not None
    assert renewed.seen_at >= seen.seen_at
    assert renewed.since == days_ago


async def test_an_older_answer_does_not_bring_an_old_policy_back(rig: Rig) -> None:
    newer = Revision(QUESTION, "p", "new", seen_at=rig.clock.now())
    await rig.ledger.write_revision(newer)
    await rig.ledger.write_revision(
        msgspec.structs.replace(newer, revision="old", seen_at=newer.seen_at - 1)
    )
    assert await rig.ledger.revision(QUESTION) == newer


async def test_requirement_analysis_asks_for_no_policy(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    rig.anchore.store.decide(CONTENT.digest, "stop")
    question = Question(requirement="analysis")
    await rig.scan.request(msgspec.structs.replace(rig.step(), question=question))
    verdict = await rig.ledger.verdict(rig.subject, question)
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS
    assert not rig.anchore.store.calls["image_check"]
