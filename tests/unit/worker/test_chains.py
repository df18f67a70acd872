"""How a chain goes on for as long as its next step is away, and what becomes of one that cannot."""

import asyncio

import pytest

from services.worker.chains import LEASE_LIFE, Chains
from services.worker.dispatch import Dispatch, Follower
from services.worker.scanning import Scanning
from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import StoreUnreachable
from shared.domain.pointer import MINUTE
from shared.domain.step import Lane, Step
from shared.domain.verdict import Outcome, Subject, scan_key
from shared.ports.claims import Holder
from tests.fakes.clock import FakeClock
from tests.fakes.images import tiny_image
from tests.fakes.registry import hang
from tests.unit.worker.rig import CONTENT, QUESTION, Rig
from tests.waiting import eventually


class Silent(MemoryScanLeases):
    """Renews nothing: the store went away meanwhile."""

    async def renew(self, key: str, *, chain: str, life: int) -> bool:
        raise StoreUnreachable("no redis")


class Held:
    """A scan in hand, and what follows from it."""

    def __init__(self, rig: Rig, leases: type[MemoryScanLeases] = MemoryScanLeases) -> None:
        self.clock = FakeClock()
        self.leases = leases(clock=self.clock)
        self.followed: list[tuple[Step, int]] = []
        self.chains = Chains(leases=self.leases, follow=self.follow)
        self.step, self.subject = rig.step(), rig.subject

    async def follow(self, step: Step, delay: int) -> None:
        self.followed.append((step, delay))

    async def scanning(self) -> Scanning:
        scanning = await self.chains.hold(self.step, self.subject, chain="chain", hop=3)
        assert scanning is not None
        return scanning

    async def holder(self) -> Holder | None:
        return await self.leases.holder(scan_key(self.subject, QUESTION))


async def test_a_record_lives_longer_than_the_delay_of_the_chain_s_next_step(rig: Rig) -> None:
    held = Held(rig)
    await held.chains.go_on(await held.scanning(), 300)
    held.clock.advance(300_000 + 59_000)
    assert await held.holder() is not None
    held.clock.advance(1_000)
    assert await held.holder() is None


async def test_a_usual_delay_needs_no_more_than_the_usual_life(rig: Rig) -> None:
    held = Held(rig, Silent)
    await held.chains.go_on(await held.scanning(), 30)
    assert held.followed[0][1] == 30
    held.clock.advance(LEASE_LIFE)
    assert await held.holder() is None


async def test_a_chain_that_cannot_renew_publishes_nothing_and_is_tried_again(rig: Rig) -> None:
    held = Held(rig, Silent)
    with pytest.raises(StoreUnreachable):
        await held.chains.go_on(await held.scanning(), 300)
    assert held.followed == []


async def test_a_chain_whose_record_is_gone_when_it_renews_goes_on_all_the_same(rig: Rig) -> None:
    held = Held(rig)
    scanning = await held.scanning()
    held.clock.advance(LEASE_LIFE)
    await held.chains.go_on(scanning, 300)
    assert [(step.hop, delay) for step, delay in held.followed] == [(4, 300)]
    assert await held.holder() is None


async def test_a_drain_that_ends_a_request_in_its_middle_costs_nothing(rig: Rig) -> None:
    """The registry hangs between state and submit; the step is cut off, and comes again."""
    await rig.scan.resolve(rig.step())
    rig.registry.fault(CONTENT.digest, hang)
    dispatch = Dispatch(scan=rig.scan, follower=Follower(queue=MemoryQueue(clock=rig.clock)))
    request = rig.step()
    handling = asyncio.create_task(dispatch.handle(request))
    await eventually(lambda: bool(rig.registry.asked(CONTENT.digest)))
    handling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await handling
    assert await rig.held()
    assert not rig.followed
    rig.registry.heal()
    await dispatch.handle(request)
    assert rig.anchore.store.submits == {CONTENT.digest: 1}
    assert rig.next_check().chain == request.id


async def test_a_tag_that_moves_meanwhile_takes_nothing_from_the_digest_that_it_named(
    rig: Rig,
) -> None:
    await rig.scan.request(rig.step())
    check = rig.next_check()
    moved = tiny_image(config={"User": "moved"})
    rig.registry.put(moved, "team/app:1")
    rig.clock.advance(MINUTE)
    await rig.scan.resolve(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(check)
    verdict = await rig.verdict()
    assert verdict is not None
    assert (verdict.outcome, verdict.subject) == (Outcome.PASS, rig.subject)
    now = Subject(rig.reference.repository, moved.digest, "1")
    assert await rig.ledger.verdict(now, QUESTION) is None


async def test_a_tag_that_moves_twice_meanwhile_has_its_image_asked_for_anew(rig: Rig) -> None:
    await rig.scan.request(rig.step())
    check = rig.next_check()
    for number in range(2):
        rig.clock.advance(MINUTE)
        rig.registry.put(tiny_image(config={"User": f"moved{number}"}), "team/app:1")
        await rig.scan.resolve(rig.step())
    rig.anchore.store.finish(CONTENT.digest)
    await rig.scan.check(check)
    assert await rig.verdict() is None
    assert rig.next_check().lane is Lane.ADMISSION
    assert not await rig.held()
