"""From Anchore's notice to a verdict, in a whole imagegate: earlier than the next check, and with
nothing believed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from services.worker.ledger import Ledger
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.reference import ImageReference
from shared.domain.step import Step, StepKind
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.domain.why import Why
from shared.runtime.clock import SystemClock
from tests.fakes.anchore_notices import Dialect, NoticeSender, analysis_over, verdict_changed
from tests.fakes.images import tiny_image
from tests.fakes.sealing import PlainSealer
from tests.house import House, house, intake, memory_backends
from tests.waiting import eventually

FAR = 30
"""Seconds to the next check."""

SOONER = 15.0
"""Seconds in which what was told must have been seen, however busy the machine."""

A_MOMENT = 0.5
"""Seconds after which what is asked of a worker for nothing has ended."""


class PatientQueue(MemoryQueue):
    """Each scan's next check is far away, as that of an analysis that takes minutes is."""

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        far = FAR if step.kind is StepKind.CHECK else delay
        await super().publish(step, delay=far, expires_in=expires_in)

    def ended(self, kind: StepKind) -> int:
        """Steps of a kind that workers had in hand and have not any more; 0 while any is."""
        if any(self.carried.in_hand().values()):
            return 0
        return sum(each.delivered for each in self.carried.steps() if each.kind is kind)

    def waiting_checks(self) -> int:
        """Checks that were put off to their time."""
        steps = self.carried.steps()
        return sum(each.delayed for each in steps if each.kind is StepKind.CHECK)


class Told:
    """A house whose Anchore tells what is new, and one image that it analyses."""

    def __init__(self, *, home: House, sender: NoticeSender, queue: PatientQueue) -> None:
        self.home = home
        self.sender = sender
        self.queue = queue
        content = tiny_image(config={"Labels": {"name": "app"}})
        self.digest = content.digest
        self.image: ImageReference = home.registry.put(content, "team/app:1")
        self.tag = self.image.tagged
        self.subject = Subject(self.image.repository, self.digest, "1")

    async def begun(self, image: str = "") -> None:
        """Somebody has asked, Anchore analyses, and nobody looks for half a minute."""
        answer = await self.home.review(image or str(self.image))
        assert answer.code == 429, answer
        await eventually(lambda: self.queue.waiting_checks() == 1)

    def finish(self) -> None:
        """Anchore's analysis is done; nobody knows yet."""
        self.home.anchore.store.finish(self.digest)

    async def tell(self, body: bytes) -> str:
        """Anchore says so; what the intake makes of it."""
        status, answer = await self.sender.send(body)
        assert status == 202
        return str(answer["outcome"])

    async def verdict(self, subject: Subject | None = None) -> Verdict | None:
        sealer = PlainSealer()
        store = self.home.backends.store
        ledger = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=SystemClock())
        return await ledger.verdict(subject or self.subject, Question())

    async def judged(self, outcome: Outcome, subject: Subject | None = None) -> None:
        """The verdict comes before the next check would have."""

        async def there() -> bool:
            verdict = await self.verdict(subject)
            return verdict is not None and verdict.outcome is outcome

        await eventually(there, within=SOONER)

    async def ended(self, kind: StepKind, number: int) -> None:
        """Workers have ended so many steps of a kind."""
        await eventually(lambda: self.queue.ended(kind) == number)

    def calls(self) -> dict[str, int]:
        """What Anchore was asked so far."""
        return self.home.asked_of_anchore


@asynccontextmanager
async def told(state: Path) -> AsyncIterator[Told]:
    """A house with an intake whose analyses end when a test says so."""
    queue = PatientQueue(clock=SystemClock())
    backends = msgspec.structs.replace(memory_backends(), queue=queue)
    async with (
        house(state, backends=backends, analysis_seconds=None, wait=0.1) as home,
        intake(home) as sites,
    ):
        sender = NoticeSender(url=sites.events.url, session=home.session)
        yield Told(home=home, sender=sender, queue=queue)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Told]:
    async with told(tmp_path) as site:
        yield site


# An analysis is over


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_a_scan_whose_next_check_is_far_away_has_its_verdict_when_anchore_tells(
    site: Told, dialect: Dialect
) -> None:
    await site.begun()
    site.finish()
    assert await site.tell(analysis_over(site.tag, site.digest, dialect=dialect)) == "queued"
    await site.judged(Outcome.PASS)
    assert (await site.home.review(str(site.image))).allowed
    # The check that comes then finds another's verdict.
    assert site.home.anchore.store.submits.total() == 1


async def test_a_digest_that_was_scanned_without_a_tag_is_woken_too(site: Told) -> None:
    untagged = Subject(site.image.repository, site.digest)
    await site.begun(f"{site.image.repository}@{site.digest}")
    site.finish()
    await site.tell(analysis_over(untagged.scan_tag, site.digest))
    await site.judged(Outcome.PASS, untagged)


async def test_a_notice_that_comes_early_changes_nothing_and_the_right_one_is_heard(
    site: Told,
) -> None:
    await site.begun()
    # Somebody says so, and Anchore still analyses.
    await site.tell(analysis_over(site.tag, site.digest, status="analysis_failed"))
    await site.ended(StepKind.WAKE, 1)
    assert await site.verdict() is None
    assert (await site.home.review(str(site.image))).code == 429
    site.finish()

    async def heard() -> bool:
        # Again and again: within some seconds of each other they are one.
        return await site.tell(analysis_over(site.tag, site.digest)) == "queued"

    await eventually(heard, within=25.0)
    await site.judged(Outcome.PASS)


async def test_a_notice_of_a_failed_analysis_is_no_verdict_by_itself(site: Told) -> None:
    await site.begun()
    site.finish()
    # What Anchore says when it is asked counts, not what a notice says.
    await site.tell(analysis_over(site.tag, site.digest, status="analysis_failed"))
    await site.judged(Outcome.PASS)


async def test_a_notice_that_comes_many_times_is_one_look(site: Told) -> None:
    await site.begun()
    calls = site.calls()
    body = analysis_over(site.tag, site.digest)
    heard = [await site.tell(body) for _ in range(30)]
    assert heard == ["queued"] + ["repeated"] * 29
    await site.ended(StepKind.WAKE, 1)
    assert site.calls()["image_get"] <= calls["image_get"] + 1


async def test_without_a_notice_the_scan_goes_its_way(site: Told) -> None:
    await site.begun()
    site.finish()
    await asyncio.sleep(A_MOMENT)
    assert await site.verdict() is None
    # A lost notice costs time: the check is due, and it comes.
    assert (await site.queue.depths()).delayed[FAR] == 1


async def test_a_forged_notice_about_an_image_that_nobody_scans_asks_anchore_nothing(
    site: Told,
) -> None:
    await site.begun()
    calls, asked = site.calls(), len(site.home.registry.requests)
    other = "sha256:" + "0" * 64
    assert await site.tell(analysis_over(site.tag, other)) == "queued"
    assert await site.tell(analysis_over(f"{site.tag}x", site.digest)) == "queued"
    await site.ended(StepKind.WAKE, 2)
    assert (site.calls(), len(site.home.registry.requests)) == (calls, asked)


async def test_a_notice_of_another_account_wakes_nobody(site: Told) -> None:
    await site.begun()
    site.finish()
    body = analysis_over(site.tag, site.digest, account="payments")
    assert await site.tell(body) == "ignored_other_account"
    await asyncio.sleep(A_MOMENT)
    assert await site.verdict() is None


# A verdict may be another one now


async def scanned(site: Told) -> Verdict:
    """The image has a verdict, and it is fresh."""
    await site.begun()
    site.finish()
    await site.tell(analysis_over(site.tag, site.digest))
    await site.judged(Outcome.PASS)
    verdict = await site.verdict()
    assert verdict is not None
    return verdict


@pytest.mark.parametrize("kind", ["policy_eval", "vuln_update"])
async def test_what_a_policy_or_a_feed_turned_is_known_though_the_verdict_was_fresh(
    site: Told, kind: str
) -> None:
    before = await scanned(site)
    site.home.anchore.store.decide(site.digest, "stop")
    assert await site.tell(verdict_changed(site.tag, site.digest, kind=kind)) == "queued"
    await site.judged(Outcome.FAIL)
    verdict = await site.verdict()
    assert verdict is not None
    assert verdict.why is Why.NOTICE
    # In the very second of the pass, where the machine is quick: an evaluation tells whole seconds.
    assert verdict.evaluated_at >= before.evaluated_at
    assert (await site.home.review(str(site.image))).code == 403


async def test_a_notice_of_a_fail_makes_no_fail(site: Told) -> None:
    await scanned(site)
    await asyncio.sleep(1.1)
    evaluated = site.calls()["image_check"]
    await site.tell(verdict_changed(site.tag, site.digest))
    await eventually(lambda: site.calls()["image_check"] == evaluated + 1)
    await site.ended(StepKind.REQUEST, 2)
    verdict = await site.verdict()
    assert verdict is not None
    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize("kind", ["policy_eval", "vuln_update"])
async def test_a_notice_about_an_image_that_was_never_judged_asks_anchore_nothing(
    site: Told, kind: str
) -> None:
    # It is in the registry, and nobody ever wanted it.
    calls = site.calls()
    assert await site.tell(verdict_changed(site.tag, site.digest, kind=kind)) == "queued"
    await site.ended(StepKind.REQUEST, 1)
    assert site.calls() == calls
    assert await site.verdict() is None
    # Whoever asks then is not kept from it.
    await site.begun()


async def test_a_notice_about_a_digest_that_is_nowhere_asks_anchore_nothing(site: Told) -> None:
    calls = site.calls()
    await site.tell(verdict_changed(site.tag, "sha256:" + "0" * 64))
    await site.ended(StepKind.REQUEST, 1)
    assert site.calls() == calls
