"""Which questions a webhook asks again, and since when it says that a scan is under way."""

import logging
from collections.abc import Sequence

import msgspec
import pytest

from services.webhook.catalogue import Image, Need
from services.webhook.requests import Asked, Requests
from services.webhook.timings import Timings
from services.webhook.trouble import Trouble
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import QueueUnconfirmed, StoreMisconfigured
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Subject, scan_key, verdict_key
from shared.ports.claims import MAX_OF_A_TENANT, Claim
from tests.fakes.clock import FakeClock

REFERENCE = parse_reference("ghcr.io/team/app:1")
IMAGE = Image(str(REFERENCE), REFERENCE, False, Rules().default.question(scanner="anchore"))
STEP = Step("another", StepKind.REQUEST, Lane.ADMISSION, "a.b/c:1", IMAGE.question, first_seen=0)


class Silent(MemoryQueue):
    """Takes what it is given, and its word of that is lost."""

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        await super().publish(step, delay=delay, expires_in=expires_in)
        raise QueueUnconfirmed("no confirm")


class Refusing(MemoryRequestClaims):
    """Those of a store that does not take our password."""

    async def claim(self, key: str, step: Step, *, life: int, scans: Sequence[str] = ()) -> Claim:
        raise StoreMisconfigured("WRONGPASS: check the user, password and ACL of REDIS_URL")


class Rig:
    def __init__(
        self, *, queue: type[MemoryQueue] = MemoryQueue, max_ready: int | None = None
    ) -> None:
        self.clock = FakeClock()
        self.leases = MemoryScanLeases(clock=self.clock)
        self.queue = queue(clock=self.clock, max_ready=max_ready)
        self.claims = MemoryRequestClaims(clock=self.clock, leases=self.leases)
        self.timings = Timings(clock=self.clock)
        self.requests = Requests(
            claims=self.claims, queue=self.queue, clock=self.clock, timings=self.timings
        )

    async def ask(self, lane: Lane, need: Need = Need.REQUEST, *, tenant: str = "") -> Asked:
        return await self.requests.ask(IMAGE, need, lane=lane, tenant=tenant)

    async def fill(self, tenant: str) -> None:
        """The namespace has as many new images analysed as it may."""
        for number in range(MAX_OF_A_TENANT):
            step = msgspec.structs.replace(STEP, claim=f"{tenant} {number}", tenant=tenant)
            assert await self.claims.claim(step.claim, step, life=5_000) is Claim.TAKEN

    def another(self) -> Requests:
        """Those of another webhook, whose broker works."""
        return Requests(
            claims=self.claims,
            queue=MemoryQueue(clock=self.clock),
            clock=self.clock,
            timings=self.timings,
        )

    def judged(self) -> int:
        """The verdict is announced; how long such scans take as far as is known."""
        subject = Subject("ghcr.io/team/app", "sha256:" + "a" * 64, "1")
        self.timings.changed(verdict_key(subject, IMAGE.question))
        return self.requests.usual(IMAGE)

    async def ready(self) -> dict[Lane, int]:
        return {each.lane: each.ready for each in (await self.queue.depths()).lanes if each.ready}


async def test_what_was_asked_for_a_moment_ago_is_not_asked_for_again() -> None:
    rig = Rig()
    assert await rig.ask(Lane.ADMISSION) is Asked.FIRST
    assert await rig.ask(Lane.ADMISSION) is Asked.UNDER_WAY
    assert await rig.ask(Lane.PREWARM) is Asked.UNDER_WAY
    assert await rig.ready() == {Lane.ADMISSION: 1}


async def test_a_pod_does_not_wait_in_the_line_in_which_its_deployment_was_put_a_moment_ago() -> (
    None
):
    rig = Rig()
    assert await rig.ask(Lane.PREWARM) is Asked.FIRST
    assert await rig.ask(Lane.ADMISSION) is Asked.FIRST
    assert await rig.ask(Lane.ADMISSION) is Asked.UNDER_WAY
    assert await rig.ready() == {Lane.PREWARM: 1, Lane.ADMISSION: 1}


async def test_a_scan_is_under_way_since_it_was_first_asked_for_until_it_is_known() -> None:
    rig = Rig()
    began = rig.clock.now()
    await rig.ask(Lane.ADMISSION)
    rig.clock.advance(300_000)
    await rig.ask(Lane.ADMISSION)
    assert rig.requests.since(IMAGE) == began
    rig.requests.forget(IMAGE)
    rig.clock.advance(60_000)
    await rig.ask(Lane.ADMISSION)
    assert rig.requests.since(IMAGE) == began + 360_000


async def test_a_webhook_that_knows_of_no_question_says_since_when_others_wait() -> None:
    rig = Rig()
    subject = Subject("ghcr.io/team/app", "sha256:" + "a" * 64, "1")
    began = rig.clock.now()
    scan = scan_key(subject, IMAGE.question)
    await rig.leases.hold(
        scan, chain="others", hop=0, life=600_000, lane=Lane.CHECK, first_seen=began
    )
    rig.clock.advance(300_000)
    restarted = rig.another()
    assert await restarted.ask(IMAGE, Need.REQUEST, subjects=[subject]) is Asked.UNDER_WAY
    assert restarted.since(IMAGE) == began


async def test_a_clock_that_is_behind_makes_no_scan_begin_in_the_future() -> None:
    rig = Rig()
    subject = Subject("ghcr.io/team/app", "sha256:" + "a" * 64, "1")
    scan = scan_key(subject, IMAGE.question)
    ahead = rig.clock.now() + 60_000
    await rig.leases.hold(
        scan, chain="others", hop=0, life=600_000, lane=Lane.CHECK, first_seen=ahead
    )
    await rig.requests.ask(IMAGE, Need.REQUEST, subjects=[subject])
    assert rig.requests.since(IMAGE) == rig.clock.now()


async def test_what_nobody_asked_about_for_half_an_hour_is_another_story() -> None:
    rig = Rig()
    await rig.ask(Lane.ADMISSION)
    rig.clock.advance(1_700_000)
    await rig.ask(Lane.ADMISSION)
    rig.clock.advance(1_900_000)
    began = rig.clock.now()
    await rig.ask(Lane.ADMISSION)
    assert rig.requests.since(IMAGE) == began


async def test_a_scan_is_measured_from_when_this_process_had_it_queued_for_people() -> None:
    rig = Rig()
    rig.clock.advance(10_000)
    await rig.ask(Lane.ADMISSION)
    await rig.ask(Lane.ADMISSION)
    rig.clock.advance(5_000)
    assert rig.judged() == 5_000


@pytest.mark.parametrize(
    ("lane", "need"), [(Lane.PREWARM, Need.REQUEST), (Lane.ADMISSION, Need.RESOLVE)]
)
async def test_what_nobody_waits_for_and_a_resolve_are_not_measured(lane: Lane, need: Need) -> None:
    rig = Rig()
    await rig.ask(lane, need)
    rig.clock.advance(5_000)
    assert rig.judged() == 0


async def test_of_a_scan_that_somebody_else_had_queued_nobody_here_knows_when_it_began() -> None:
    rig, other = Rig(), Rig()
    await rig.ask(Lane.ADMISSION)
    other.requests = Requests(
        claims=rig.claims, queue=rig.queue, clock=other.clock, timings=other.timings
    )
    assert await other.ask(Lane.ADMISSION) is Asked.UNDER_WAY
    other.clock.advance(5_000)
    assert other.judged() == 0


async def test_what_is_known_before_its_verdict_was_announced_is_not_measured() -> None:
    rig = Rig()
    await rig.ask(Lane.ADMISSION)
    rig.requests.forget(IMAGE)
    rig.clock.advance(5_000)
    assert rig.judged() == 0


async def test_what_the_queue_does_not_take_may_be_asked_for_by_the_next_who_comes() -> None:
    rig = Rig(max_ready=0)
    assert await rig.ask(Lane.ADMISSION) is Asked.QUEUE_DOWN
    assert await rig.another().ask(IMAGE, Need.REQUEST) is Asked.FIRST


async def test_what_nobody_confirmed_may_be_on_its_way_and_is_claimed_until_that_ends() -> None:
    rig = Rig(queue=Silent)
    assert await rig.ask(Lane.ADMISSION) is Asked.FIRST
    assert await rig.ready() == {Lane.ADMISSION: 1}
    rig.clock.advance(29_999)
    assert await rig.another().ask(IMAGE, Need.REQUEST) is Asked.UNDER_WAY
    rig.clock.advance(1)
    assert await rig.another().ask(IMAGE, Need.REQUEST) is Asked.FIRST


async def test_what_a_namespace_wants_above_its_budget_is_not_queued_and_asked_again() -> None:
    rig = Rig()
    await rig.fill("a")
    assert await rig.ask(Lane.ADMISSION, tenant="a") is Asked.OVER
    assert await rig.ready() == {}
    rig.clock.advance(5_000)
    began = rig.clock.now()
    assert await rig.ask(Lane.ADMISSION, tenant="a") is Asked.FIRST
    assert rig.requests.since(IMAGE) == began


async def test_a_namespace_above_its_budget_keeps_no_other_from_asking_for_the_same_image() -> None:
    rig = Rig()
    await rig.fill("a")
    assert await rig.ask(Lane.ADMISSION, tenant="a") is Asked.OVER
    assert await rig.ask(Lane.ADMISSION, tenant="a") is Asked.OVER
    assert not rig.requests.asked_lately(IMAGE, Need.REQUEST)
    assert await rig.ask(Lane.ADMISSION, tenant="b") is Asked.FIRST
    assert await rig.ask(Lane.ADMISSION, tenant="a") is Asked.UNDER_WAY


async def test_what_nobody_waits_for_and_a_resolve_count_for_no_namespace() -> None:
    rig = Rig()
    await rig.fill("a")
    assert await rig.ask(Lane.ADMISSION, Need.RESOLVE, tenant="a") is Asked.FIRST
    assert await rig.ask(Lane.PREWARM, tenant="a") is Asked.FIRST


async def test_a_queue_that_confirms_nothing_is_one_line_in_the_log_and_not_one_a_review(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig(queue=Silent)
    for number in range(50):
        image = msgspec.structs.replace(
            IMAGE, reference=parse_reference(f"ghcr.io/team/app:{number}")
        )
        await rig.requests.ask(image, Need.REQUEST)
    (line,) = (record.getMessage() for record in caplog.records)
    assert line == (
        "no confirm, the claim ends by itself, "
        f"request:ghcr.io/team/app:0|{IMAGE.question.label}: no confirm"
    )


async def test_a_store_that_refuses_our_password_is_an_error_in_the_log_and_counted_as_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, troubles = FakeClock(), list[Trouble]()
    requests = Requests(
        claims=Refusing(clock=clock, leases=MemoryScanLeases(clock=clock)),
        queue=MemoryQueue(clock=clock),
        clock=clock,
        on_trouble=troubles.append,
    )
    assert await requests.ask(IMAGE, Need.REQUEST) is Asked.STORE_DOWN
    (line,) = caplog.records
    assert line.levelno == logging.ERROR
    assert line.getMessage().startswith("not asked for: WRONGPASS: check the user, password")
    assert troubles == [Trouble.MISCONFIGURED]
