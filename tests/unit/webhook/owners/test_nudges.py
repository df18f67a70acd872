"""Owners are nudged once, when what blocked them is over, and not more often than they need it."""

import asyncio
import itertools

import msgspec
import pytest

from services.webhook.blocked import LOOK_AGAIN
from services.webhook.nudges import AT_ONCE, Outcome
from services.webhook.paces import EVERY
from shared.domain.decision import Decision, State
from shared.domain.exceptions import ALL, ImageException
from shared.domain.glob import Glob
from shared.domain.owner import Owner
from shared.domain.rules import Match, Mode, Rule, Rules
from shared.domain.verdict import Outcome as Verdicts
from tests.fakes.clock import FakeClock
from tests.fakes.exceptions import HOUR, emergency
from tests.unit.webhook.owners.rig import DIGEST, IMAGE, RS, WEB, Rig
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

FAILED = Decision(False, State.FAIL, code=403, reason="image app: refused by policy baseline")
STORE_DOWN = Decision(False, State.STORE_DOWN, code=503, reason="Redis does not answer")
TAGGED = "registry.test/team/app:1"


class BrokenClock(FakeClock):
    """One that fails when it is asked."""

    def monotonic(self) -> float:
        raise RuntimeError("a bug")


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_a_verdict_that_passes_has_the_owner_nudged_once(rig: Rig) -> None:
    rig.denied()
    await rig.look()
    assert rig.cluster.nudges == []
    rig.clock.advance(25_000)
    await rig.judge()
    await rig.look()
    assert rig.cluster.nudges == [RS]
    for _ in range(20):
        rig.heard(None)
        await rig.look(after=10)
    assert rig.cluster.nudges == [RS]
    assert rig.outcomes == {Outcome.DONE: 1}


async def test_a_verdict_between_the_judgement_and_its_denial_is_not_missed(rig: Rig) -> None:
    await rig.judge()
    rig.denied()
    await rig.look()
    assert rig.cluster.nudges == [RS]


async def test_a_verdict_that_fails_has_nobody_nudged(rig: Rig) -> None:
    rig.denied()
    await rig.judge(outcome=Verdicts.FAIL)
    await rig.look()
    assert rig.cluster.nudges == []


async def test_all_images_of_the_pod_must_pass(rig: Rig) -> None:
    other = f"registry.test/team/sidecar:1@{DIGEST}"
    rig.denied(IMAGE, other)
    await rig.judge()
    await rig.look()
    assert rig.cluster.nudges == []
    await rig.judge(other)
    await rig.look()
    assert rig.cluster.nudges == [RS]


async def test_a_tag_is_looked_at_as_it_will_be_pinned(rig: Rig) -> None:
    rig.denied(TAGGED)
    await rig.judge(TAGGED)
    await rig.look(after=600)
    assert rig.cluster.nudges == [RS]


async def test_a_pod_that_was_pinned_at_its_second_try_is_one_owner_and_one_nudge(rig: Rig) -> None:
    rig.denied(TAGGED)
    rig.clock.advance(300)
    rig.denied(IMAGE)
    await rig.look()
    rig.clock.advance(25_000)
    await rig.judge(TAGGED)
    for _ in range(20):
        await rig.look(after=1)
    assert rig.cluster.nudges == [RS]


async def test_looking_asks_for_no_scan_and_counts_no_use(rig: Rig) -> None:
    rig.denied(IMAGE, TAGGED)
    for _ in range(5):
        rig.heard(None)
        await rig.look(after=20)
    await asyncio.sleep(0)
    assert sum(lane.ready for lane in (await rig.queue.depths()).lanes) == 0


async def test_an_exception_that_was_given_has_it_nudged(rig: Rig) -> None:
    await rig.judge(outcome=Verdicts.FAIL)
    rig.denied(decision=FAILED)
    await rig.look()
    given = ImageException(
        image=IMAGE.replace(":1", ""),
        findings=(ALL,),
        namespaces=("team",),
        reason="r",
        owner="o",
        expires=rig.clock.now() + HOUR,
    )
    rig.book.exceptions_changed([given])
    await rig.look()
    assert rig.cluster.nudges == [RS]


async def test_an_exception_for_another_namespace_does_not(rig: Rig) -> None:
    rig.denied(decision=FAILED)
    given = ImageException(
        image=IMAGE.replace(":1", ""),
        findings=(ALL,),
        namespaces=("other",),
        reason="r",
        owner="o",
        expires=rig.clock.now() + HOUR,
    )
    rig.book.exceptions_changed([given])
    await rig.look()
    assert rig.cluster.nudges == []


async def test_another_rule_has_it_nudged(rig: Rig) -> None:
    rig.denied(decision=FAILED)
    await rig.look()
    rule = Rule(name="team", match=Match(namespaces=(Glob("team"),)), mode=Mode.AUDIT)
    rig.book.rules_changed(Rules(rules=(rule,)))
    await rig.look()
    assert rig.cluster.nudges == [RS]


async def test_an_emergency_has_it_nudged(rig: Rig) -> None:
    rig.denied(decision=FAILED)
    await rig.look()
    rig.book.emergency_changed(emergency(now=rig.clock.now()))
    await rig.look()
    assert rig.cluster.nudges == [RS]


async def test_rules_are_those_of_the_pods_labels(rig: Rig) -> None:
    pci = Rule(name="pci", match=Match(labels=(("pci", "true"),)), mode=Mode.DENY)
    rig.book.rules_changed(Rules(rules=(pci,)))
    await rig.judge()
    rig.denied(labels={"pci": "true"})
    rig.denied(owner=msgspec.structs.replace(RS, name="free", uid="free"))
    await rig.look()
    assert [owner.name for owner in rig.cluster.nudges] == ["free"]


async def test_once_the_store_is_back_who_could_not_ask_may_ask(rig: Rig) -> None:
    rig.denied(decision=STORE_DOWN)
    await rig.look(after=60)
    assert rig.cluster.nudges == []
    rig.heard(None)
    await rig.look()
    assert rig.cluster.nudges == [RS]
    assert rig.cluster.made == {}, "it may ask, and not run"
    rig.denied(decision=STORE_DOWN)
    await rig.look(after=60)
    assert rig.cluster.nudges == [RS], "it was not back since"
    rig.heard(None)
    await rig.look()
    assert rig.cluster.nudges == [RS, RS]


async def test_what_cannot_be_read_is_left_to_its_next_review(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    pci = Rule(name="pci", match=Match(labels=(("pci", "true"),)), mode=Mode.DENY)
    rig.book.rules_changed(Rules(rules=(pci,)))
    await rig.judge()
    rig.denied(labels=["no labels"])
    await rig.look()
    assert len(rig.blocked) == 1
    assert rig.cluster.nudges == []
    assert caplog.records == []


async def test_of_two_webhooks_that_denied_it_one_nudges(rig: Rig) -> None:
    other = Rig(beside=rig)
    for each in (rig, other):
        each.denied()
        await each.look()
    rig.clock.advance(20_000)
    await rig.judge()
    other.heard(None)
    await asyncio.gather(rig.look(), other.look())
    for _ in range(10):
        for each in (rig, other):
            each.heard(None)
            await each.look(after=10)
    assert rig.cluster.nudges == [RS]
    assert rig.outcomes + other.outcomes == {Outcome.DONE: 1, Outcome.TAKEN: 1}


async def test_one_that_another_webhook_denied_after_the_nudge_is_nudged_once_more(
    rig: Rig,
) -> None:
    other = Rig(beside=rig)
    await rig.judge()
    rig.denied()
    await rig.look()
    rig.clock.advance(1_000)
    other.denied()
    await other.look()
    assert rig.cluster.nudges == [RS]
    await other.look(after=EVERY)
    assert rig.cluster.nudges == [RS, RS]


async def test_one_that_is_denied_again_and_again_is_nudged_ever_more_seldom(rig: Rig) -> None:
    await rig.judge()
    nudged = []
    for second in range(3_600):
        rig.denied()
        before = len(rig.cluster.nudges)
        await rig.look(after=1)
        nudged += [second] * (len(rig.cluster.nudges) - before)
    gaps = [later - earlier for earlier, later in itertools.pairwise(nudged)]
    assert gaps == [5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]


async def test_one_that_was_let_in_long_ago_is_nudged_at_once_when_it_is_blocked_anew(
    rig: Rig,
) -> None:
    await rig.judge()
    for _ in range(5):
        rig.denied()
        await rig.look(after=60)
    rig.clock.advance(1_300_000)
    before = len(rig.cluster.nudges)
    rig.denied()
    await rig.look()
    assert len(rig.cluster.nudges) == before + 1


async def test_one_that_is_denied_while_it_is_being_nudged_is_not_taken_for_let_in(
    rig: Rig,
) -> None:
    await rig.judge()
    rig.denied()

    def denied_at_once() -> None:
        rig.clock.advance(60)
        rig.denied()

    rig.cluster.on_nudge = denied_at_once
    await rig.look()
    rig.cluster.on_nudge = lambda: None
    await rig.look(after=EVERY)
    assert rig.cluster.nudges == [RS, RS]


async def test_many_at_once_are_spread(rig: Rig) -> None:
    await rig.judge()
    owners = [
        Owner("apps/v1", "ReplicaSet", f"team-{number % 10}", f"rs-{number}", f"uid-{number}")
        for number in range(200)
    ]
    for owner in owners:
        rig.denied(owner=owner)
    await rig.look()
    assert len(rig.cluster.nudges) == 40
    for _ in range(10):
        await rig.look(after=0.1)
    assert len(rig.cluster.nudges) == 40 + 20
    for _ in range(200):
        await rig.look(after=0.1)
    assert sorted(map(str, rig.cluster.nudges)) == sorted(map(str, owners))


async def test_two_thousand_images_are_looked_up_at_once_and_five_hundred_a_second(
    rig: Rig,
) -> None:
    for number in range(300):
        owner = Owner("apps/v1", "ReplicaSet", f"n-{number % 10}", f"rs-{number}", f"u{number}")
        rig.denied(*(f"registry.test/{number}/{at}:1" for at in range(20)), owner=owner)

    def looked_at() -> int:
        return sum(entry.look > rig.clock.monotonic() for entry in rig.blocked)

    await rig.look()
    assert looked_at() == 2_000 / 20
    for _ in range(4):
        await rig.look(after=1)
    assert looked_at() == (2_000 + 4 * 500) / 20


async def test_a_flood_of_made_up_owners_keeps_no_real_one_waiting(rig: Rig) -> None:
    rig.denied()
    await rig.look()
    for number in range(300):
        made_up = Owner(
            "apps/v1", "ReplicaSet", f"made-{number % 10}", f"rs-{number}", f"u{number}"
        )
        rig.denied(*(f"registry.test/{number}/{at}:1" for at in range(32)), owner=made_up)
    await rig.look(after=LOOK_AGAIN)
    assert len(rig.blocked.due()) > 200, "there is no time to look at all of them"
    await rig.judge()
    await rig.look(after=1.0)
    assert rig.cluster.nudges == [RS]


async def test_an_api_server_that_answers_slowly_is_asked_about_a_few_at_a_time(rig: Rig) -> None:
    await rig.judge()
    for number in range(20):
        rig.denied(owner=msgspec.structs.replace(RS, name=f"rs-{number}", uid=f"{number}"))
    rig.cluster.slow = asyncio.Event()
    looking = asyncio.create_task(rig.look())
    await eventually(lambda: len(rig.cluster.nudges) == 8)
    await asyncio.sleep(0.05)
    assert len(rig.cluster.nudges) == 8
    rig.cluster.slow.set()
    await looking
    assert rig.outcomes == {Outcome.DONE: 20}


async def test_one_that_is_gone_is_forgotten(rig: Rig) -> None:
    rig.cluster.gone.add(RS)
    await rig.judge()
    rig.denied()
    await rig.look()
    assert rig.outcomes == {Outcome.GONE: 1}
    assert len(rig.blocked) == 0


async def test_a_fault_of_ours_keeps_nobody_else_from_being_looked_at(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.judge()
    rig.denied(owner=msgspec.structs.replace(RS, name="first", uid="first"))
    rig.denied()

    def fails() -> None:
        rig.cluster.on_nudge = lambda: None
        raise RuntimeError("a bug")

    rig.cluster.on_nudge = fails
    await rig.look()
    assert [owner.name for owner in rig.cluster.nudges] == ["first", RS.name]
    assert "a bug" in caplog.text


async def test_it_runs_by_itself_until_it_is_cancelled(rig: Rig) -> None:
    running = asyncio.create_task(rig.owners.run())
    rig.denied()
    await rig.judge()
    await eventually(lambda: bool(rig.cluster.told_of(WEB)))
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert rig.cluster.nudges == [RS]


async def test_one_that_is_gone_is_asked_for_once_however_many_entries_it_has(rig: Rig) -> None:
    await rig.judge(TAGGED)
    for number in range(2 * AT_ONCE):
        rig.denied(*[TAGGED] * number, IMAGE)
    rig.cluster.gone.add(RS)
    await rig.look()
    assert rig.cluster.nudges == [RS]


async def test_whoever_could_ask_since_the_store_is_back_is_not_nudged_for_that(rig: Rig) -> None:
    rig.denied(decision=STORE_DOWN)
    rig.heard(None)
    rig.denied()
    await rig.look()
    assert rig.cluster.nudges == []


async def test_an_answer_is_given_whatever_befalls_what_is_remembered_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A denial that ends in an error is let pass where the API server ignores our failures."""
    Rig(remembering=BrokenClock()).denied()
    assert "a bug" in caplog.text
