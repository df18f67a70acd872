"""Which questions a webhook asks again, and since when it says that a scan is under way."""

from services.webhook.catalogue import Image, Need
from services.webhook.requests import Asked, Requests
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.step import Lane
from tests.fakes.clock import FakeClock

REFERENCE = parse_reference("ghcr.io/team/app:1")
IMAGE = Image(str(REFERENCE), REFERENCE, False, Rules().default.question(scanner="anchore"))


class Rig:
    def __init__(self) -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        self.queue = MemoryQueue(clock=self.clock)
        claims = MemoryRequestClaims(clock=self.clock, leases=leases)
        self.requests = Requests(claims=claims, queue=self.queue, clock=self.clock)

    async def ask(self, lane: Lane) -> Asked:
        return await self.requests.ask(IMAGE, Need.REQUEST, lane=lane)

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
