"""The policy watcher against an Anchore of either API, over real HTTP."""

import copy
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.worker.ledger import Ledger
from services.worker.policy_watch import MAX_POLICIES, PolicyRead, PolicyWatch
from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.adapters.anchore.v2 import AnchoreV2
from shared.adapters.anchore.v2_policies import V2_POLICIES
from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.pointer import DAY, MINUTE
from shared.domain.revision import Revision
from shared.domain.rules import Requirement
from shared.domain.verdict import Question, Subject
from shared.ports.scanner import Scanner
from shared.runtime.clock import SystemClock
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer

DIALECTS = {"v1": V1_POLICIES, "v2": V2_POLICIES}
QUESTION = Question()


class Rig:
    """A watcher, and hands on Anchore's policies."""

    def __init__(self, anchore: FakeAnchore, transport: AnchoreTransport, api: str) -> None:
        self.anchore = anchore
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        sealer = PlainSealer()
        self.ledger = Ledger(
            store=MemoryVerdictStore(clock=self.clock, leases=leases),
            sealer=sealer,
            unsealer=sealer,
            clock=self.clock,
        )
        self.policies = AnchorePolicies(transport=transport, dialect=DIALECTS[api])
        made = AnchoreV1 if api == "v1" else AnchoreV2
        self.scanner: Scanner = made(transport=transport, clock=SystemClock())
        self.questions: list[Question] = [QUESTION]
        self.reads: list[PolicyRead] = []
        self.changes: list[Revision] = []
        self.watch = self.another()

    def another(self) -> PolicyWatch:
        """Of a worker that begins to lead."""
        return PolicyWatch(
            policies=self.policies,
            ledger=self.ledger,
            questions=lambda: self.questions,
            clock=self.clock,
            on_read=self.reads.append,
            on_change=self.changes.append,
        )

    async def look(self) -> list[PolicyRead]:
        """A minute later; what was read."""
        self.reads.clear()
        self.clock.advance(MINUTE)
        await self.watch.once()
        return self.reads

    def change(self, note: str, *, policy: str = "fake-baseline", account: str = "admin") -> None:
        """Somebody changes a policy where it is."""
        record: Any = self.anchore.store.policies[account][policy]
        record["policybundle"] = copy.deepcopy(record["policybundle"]) | {"name": note}

    async def record(self, question: Question = QUESTION) -> Revision | None:
        return await self.ledger.revision(question)

    async def evaluated(self, revision: str) -> None:
        """A worker had an answer that names this revision, now."""
        named = Revision(QUESTION, "fake-baseline", revision, seen_at=self.clock.now())
        before = await self.record()
        await self.ledger.write_revision(named.after(before))


@pytest.fixture(params=DIALECTS)
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def anchore(api: str) -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore(api=api) as fake:
        yield fake


@pytest.fixture
def rig(anchore: FakeAnchore, transport: AnchoreTransport, api: str) -> Rig:
    return Rig(anchore, transport, api)


async def test_the_active_policy_is_written_down_once_and_nothing_has_changed(rig: Rig) -> None:
    assert await rig.look() == [PolicyRead.SAME]
    first = await rig.record()
    assert first is not None
    assert (first.policy_id, first.since) == ("fake-baseline", first.seen_at)
    assert await rig.look() == [PolicyRead.SAME]
    assert await rig.record() == first
    assert rig.changes == []


async def test_a_change_is_seen_without_any_evaluation_and_told(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.look()
    first = await rig.record()
    rig.change("stricter")
    assert await rig.look() == [PolicyRead.CHANGED]
    second = await rig.record()
    assert first is not None
    assert second is not None
    assert second.revision != first.revision
    assert second.seen_at == second.since == rig.clock.now()
    assert rig.changes == [second]
    assert rig.anchore.store.calls["image_check"] == 0
    (line,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert line.message.startswith("the policy has changed")


async def test_another_policy_that_is_made_the_active_one_is_a_change(rig: Rig) -> None:
    await rig.look()
    rig.anchore.store.add_policy("strict")
    for name, record in rig.anchore.store.policies["admin"].items():
        record["active"] = name == "strict"
    assert await rig.look() == [PolicyRead.CHANGED]
    record = await rig.record()
    assert record is not None
    assert record.policy_id == "strict"


async def test_a_policy_that_a_rule_names_is_watched_whether_it_is_active_or_not(
    rig: Rig,
) -> None:
    strict = Question(policy="strict")
    rig.questions = [strict]
    rig.anchore.store.add_policy("strict")
    assert await rig.look() == [PolicyRead.SAME]
    rig.change("stricter still", policy="strict")
    assert await rig.look() == [PolicyRead.CHANGED]
    assert await rig.record() is None
    assert await rig.record(strict) is not None


async def test_each_account_has_its_own(rig: Rig) -> None:
    rig.anchore.store.add_account("team")
    of_team = Question(account="team")
    rig.questions = [QUESTION, of_team]
    assert await rig.look() == [PolicyRead.SAME] * 2
    rig.change("stricter", account="team")
    assert await rig.look() == [PolicyRead.SAME, PolicyRead.CHANGED]
    assert [change.question for change in rig.changes] == [of_team]


async def test_questions_by_one_policy_are_read_once_and_written_each(rig: Rig) -> None:
    another = Question(scanner="another name")
    rig.questions = [QUESTION, another, QUESTION]
    before = rig.anchore.store.calls["policies"]
    assert await rig.look() == [PolicyRead.SAME]
    assert rig.anchore.store.calls["policies"] == before + 1
    assert await rig.record() is not None
    assert await rig.record(another) is not None


async def test_who_only_wants_an_analysis_asks_by_no_policy(rig: Rig) -> None:
    rig.questions = [Question(requirement=Requirement.ANALYSIS.value)]
    assert await rig.look() == []


async def test_a_policy_that_nobody_asks_for_any_more_is_forgotten(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    made_up = Question(policy="made-up")
    for questions in ([made_up], [made_up], [QUESTION], [made_up]):
        rig.questions = questions
        await rig.look()
    assert [one.levelno for one in caplog.records if one.levelno == logging.ERROR] == (
        2 * [logging.ERROR]
    )


async def test_no_more_than_so_many_policies_are_watched_and_the_first_of_them(rig: Rig) -> None:
    made_up = [Question(policy=f"made-up-{number}") for number in range(2 * MAX_POLICIES)]
    rig.questions = [QUESTION, *made_up]
    reads = await rig.look()
    assert (len(reads), reads[0]) == (MAX_POLICIES, PolicyRead.SAME)


async def test_a_policy_that_is_gone_is_said_once_and_leaves_the_record_as_it_is(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    strict = Question(policy="strict")
    rig.questions = [strict]
    rig.anchore.store.add_policy("strict")
    await rig.look()
    record = await rig.record(strict)
    del rig.anchore.store.policies["admin"]["strict"]
    for _ in range(3):
        assert await rig.look() == [PolicyRead.GONE]
    assert await rig.record(strict) == record
    (line,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert line.message.startswith("policy strict of our own account: Anchore has none of that id")


async def test_an_account_without_an_active_policy_is_an_error_that_says_what_to_do(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    for record in rig.anchore.store.policies["admin"].values():
        record["active"] = False
    assert await rig.look() == [PolicyRead.GONE]
    assert await rig.record() is None
    (line,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "no active policy" in line.message
    assert "imagegate policies activate" in line.message


async def test_an_anchore_that_does_not_tell_is_a_warning_and_read_again(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.look()
    record = await rig.record()
    rig.anchore.store.fault("policies", "500")
    assert await rig.look() == [PolicyRead.FAILED]
    assert await rig.record() == record
    assert [one.levelno for one in caplog.records if one.name.endswith("policy_watch")] == [
        logging.WARNING
    ]
    rig.anchore.store.heal()
    assert await rig.look() == [PolicyRead.SAME]


async def test_what_an_evaluation_named_after_we_asked_is_newer(rig: Rig) -> None:
    """Our reading is of the time at which Anchore was asked, whenever its answer came."""
    await rig.look()
    rig.clock.advance(5_000)
    await rig.evaluated("another")
    rig.clock.advance(-5_000 - MINUTE)
    assert await rig.look() == [PolicyRead.SAME]
    record = await rig.record()
    assert record is not None
    assert record.revision == "another"


async def test_evaluations_that_name_another_revision_between_two_readings_that_agree_are_said(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    """Else all that is in use would be judged anew each minute, for ever."""
    await rig.look()
    rig.clock.advance(MINUTE)
    await rig.evaluated("another")
    record = await rig.record()
    for _ in range(3):
        assert await rig.look() == [PolicyRead.DISAGREES]
    assert await rig.record() == record
    assert rig.changes == []
    (line,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "name another revision of fake-baseline than its own record has" in line.message


async def test_a_change_after_that_is_a_change(rig: Rig) -> None:
    await rig.look()
    rig.clock.advance(MINUTE)
    await rig.evaluated("another")
    await rig.look()
    rig.change("stricter")
    assert await rig.look() == [PolicyRead.CHANGED]


async def test_a_record_that_ends_soon_is_written_again_and_keeps_its_beginning(rig: Rig) -> None:
    await rig.look()
    first = await rig.record()
    rig.clock.advance(DAY)
    assert await rig.look() == [PolicyRead.SAME]
    renewed = await rig.record()
    assert first is not None
    assert renewed is not None
    assert (renewed.since, renewed.seen_at) == (first.since, rig.clock.now())


async def test_a_worker_that_begins_to_lead_knows_from_the_record_what_has_changed(
    rig: Rig,
) -> None:
    await rig.look()
    rig.change("stricter")
    rig.watch = rig.another()
    assert await rig.look() == [PolicyRead.CHANGED]


async def test_a_policy_is_what_evaluations_by_it_name(rig: Rig) -> None:
    """The same revision, read from the policy's own record and from an evaluation."""
    digest = "sha256:" + "a" * 64
    rig.anchore.store.know(digest, "registry.corp/team/app:1")
    await rig.look()
    record = await rig.record()
    assert record is not None
    evaluation = await rig.scanner.evaluate(
        Subject("registry.corp/team/app", digest, "1"), QUESTION
    )
    assert evaluation.revision == record.revision
