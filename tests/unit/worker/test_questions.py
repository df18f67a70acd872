"""Several questions about one image: each asked of its own account and policy, each with a verdict
of its own."""

import asyncio

import msgspec

from shared.domain.errors import ErrorKind
from shared.domain.rules import PolicyChoice, Requirement, Rule
from shared.domain.verdict import Outcome, Question, Verdict, last_error_key
from tests.unit.worker.rig import CONTENT, QUESTION, Rig

STRICT = Rule("pci", policy=PolicyChoice(id="strict")).question(scanner="anchore")
PAYMENTS = Rule("pay", policy=PolicyChoice("payments", "strict")).question(scanner="anchore")
ANALYSED = Rule("lab", require=Requirement.ANALYSIS).question(scanner="anchore")


async def asked(rig: Rig, *questions: Question) -> None:
    """Each in a request of its own, side by side, and its checks until nothing follows."""
    steps = [msgspec.structs.replace(rig.step(), question=question) for question in questions]
    await asyncio.gather(*(rig.scan.request(step) for step in steps))


async def checked(rig: Rig) -> None:
    """The checks that follow, once."""
    followed, rig.followed = rig.followed, []
    for step, _ in followed:
        await rig.scan.check(step)


async def outcomes(rig: Rig, *questions: Question) -> list[Outcome | None]:
    verdicts = [await rig.ledger.verdict(rig.subject, question) for question in questions]
    return [verdict.outcome if verdict else None for verdict in verdicts]


async def error(rig: Rig, question: Question) -> Verdict:
    error = await rig.ledger._read(last_error_key(rig.subject, question), Verdict)
    assert error is not None
    return error


async def test_two_policies_on_one_digest_give_two_verdicts(rig: Rig) -> None:
    store = rig.anchore.store
    store.add_policy("strict")
    store.know(CONTENT.digest, rig.reference.tagged)
    store.decide(CONTENT.digest, "stop", policy="strict")
    await asked(rig, QUESTION, STRICT)
    assert await outcomes(rig, QUESTION, STRICT) == [Outcome.PASS, Outcome.FAIL]
    for question, strict in ((QUESTION, False), (STRICT, True)):
        verdict = await rig.ledger.verdict(rig.subject, question)
        revision = await rig.ledger.revision(question)
        assert verdict is not None
        assert revision is not None
        assert (verdict.policy_id == "strict") is strict
        assert (revision.policy_id, revision.revision) == (verdict.policy_id, verdict.revision)


async def test_an_unknown_image_is_analysed_once_for_all_policies_of_an_account(rig: Rig) -> None:
    rig.anchore.store.add_policy("strict")
    await asked(rig, QUESTION)
    await asked(rig, STRICT, ANALYSED)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    rig.anchore.store.finish(CONTENT.digest)
    await checked(rig)
    assert await outcomes(rig, QUESTION, STRICT, ANALYSED) == [Outcome.PASS] * 3


async def test_each_account_is_asked_and_analyses_for_itself(rig: Rig) -> None:
    store = rig.anchore.store
    store.add_account("payments")
    store.add_policy("strict", account="payments")
    store.decide(CONTENT.digest, "stop", policy="strict")
    store.know(CONTENT.digest, rig.reference.tagged)
    await asked(rig, QUESTION, PAYMENTS)
    assert await outcomes(rig, QUESTION, PAYMENTS) == [Outcome.PASS, None]
    assert {account for account, _ in store.images} == {"admin", "payments"}
    store.finish(CONTENT.digest)
    await checked(rig)
    assert await outcomes(rig, QUESTION, PAYMENTS) == [Outcome.PASS, Outcome.FAIL]


async def test_analysed_is_enough_where_the_rule_says_so_and_not_before(rig: Rig) -> None:
    store = rig.anchore.store
    store.add_account("lab")
    store.decide(CONTENT.digest, "stop")
    store.know(CONTENT.digest, rig.reference.tagged)
    lab = msgspec.structs.replace(ANALYSED, account="lab")
    await asked(rig, lab)
    assert await outcomes(rig, lab) == [None]
    store.finish(CONTENT.digest)
    await checked(rig)
    assert await outcomes(rig, lab) == [Outcome.PASS]
    assert not store.calls["image_check"]
    assert await rig.ledger.revision(lab) is None


async def test_what_failed_its_analysis_is_not_analysed(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await asked(rig, ANALYSED)
    assert await outcomes(rig, ANALYSED) == [Outcome.PASS]
    rig.clock.advance(2 * 3_600_000)
    rig.anchore.store.fail(CONTENT.digest, "no such layer")
    rig.anchore.store.settle_after(None)
    await asked(rig, ANALYSED)
    rig.anchore.store.fail(CONTENT.digest, "no such layer")
    await checked(rig)
    assert (await error(rig, ANALYSED)).error is ErrorKind.ANALYSIS_FAILED


async def test_a_policy_or_account_that_is_not_there_is_an_error_that_names_it(rig: Rig) -> None:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    await asked(rig, QUESTION, STRICT, PAYMENTS)
    assert await outcomes(rig, QUESTION, STRICT, PAYMENTS) == [Outcome.PASS, None, None]
    missing, nobody = await error(rig, STRICT), await error(rig, PAYMENTS)
    assert {missing.error, nobody.error} == {ErrorKind.MISCONFIGURED}
    assert "no policy strict" in missing.message
    assert "Anchore has no account payments: correct it in the rules" in nobody.message
    assert not rig.anchore.store.submits
