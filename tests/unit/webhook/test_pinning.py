"""Which digest a tag is pinned to, by the pointer's age and the pull policy (behaviour.md 2)."""

import asyncio

import pytest

from services.webhook.catalogue import Image
from services.webhook.near_cache import NearCache
from services.webhook.pinning import Pin, Pinning
from services.webhook.requests import Requests
from services.webhook.waiters import Room, Waiters
from services.worker.ledger import Ledger
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import ErrorKind
from shared.domain.glob import Glob
from shared.domain.pointer import DAY, SECOND, Pointer
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from shared.domain.step import Lane
from shared.domain.verdict import Question, error_verdict, unresolved
from tests.fakes.clock import FakeClock
from tests.fakes.sealing import PlainSealer
from tests.waiting import eventually

pytestmark = pytest.mark.virtual_time

OLD = "sha256:" + "a" * 64
NEW = "sha256:" + "b" * 64
REFERENCE = parse_reference("registry.corp/team/app:1")
IMMUTABLE = Rules(registries=(RegistryRule("registry.corp", immutable_tags=(Glob("1"),)),))


class Rig:
    """A webhook's pinning over stores in process, on a clock that stands still."""

    def __init__(self, *, rules: Rules | None = None, max_ready: int | None = None) -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        store = MemoryVerdictStore(clock=self.clock, leases=leases)
        claims = MemoryRequestClaims(clock=self.clock, leases=leases)
        sealer = PlainSealer()
        self.queue = MemoryQueue(clock=self.clock, max_ready=max_ready)
        self.ledger = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=self.clock)
        self.waiters = Waiters()
        self.waiting = 0
        self.cache = NearCache(
            store=store, unsealer=sealer, clock=self.clock, on_change=self.waiters.wake
        )
        self.pinning = Pinning(
            cache=self.cache,
            requests=Requests(claims=claims, queue=self.queue, clock=self.clock),
            waiters=self.waiters,
            clock=self.clock,
            rules=lambda: rules or Rules(),
            room=Room(places=2, on_waiting=self._waits),
        )
        self.listening = asyncio.create_task(store.listen(self.cache))

    def _waits(self, waiting: int) -> None:
        self.waiting = waiting

    async def point(self, *, age: int = 0, digest: str | None = OLD) -> None:
        """A worker asked the registry `age` milliseconds ago."""
        error = None if digest else ErrorKind.NOT_FOUND
        asked_at = self.clock.now() - age
        pointer = Pointer(REFERENCE.tagged, asked_at=asked_at, digest=digest, error=error)
        await self.ledger.write_pointer(pointer)

    async def pin(
        self, *, always: bool = False, asks: bool = True, wait: float = 0.0
    ) -> Pin | None:
        image = Image(str(REFERENCE), REFERENCE, always, Question())
        return await self.pinning.pin(image, until=self.clock.monotonic() + wait, asks=asks)

    async def asked(self) -> int:
        """Resolves that were asked for; waits for those behind an answer."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        depths = await self.queue.depths()
        assert all(lane.ready == 0 for lane in depths.lanes if lane.lane is not Lane.RESOLVE)
        return sum(lane.ready for lane in depths.lanes)

    async def wait_for_waiters(self, waiting: int = 1) -> None:
        await eventually(lambda: self.waiting == waiting)


@pytest.fixture
async def rig() -> Rig:
    return Rig()


@pytest.mark.parametrize(
    ("age", "always", "rules", "old", "asked"),
    [
        (0, False, Rules(), False, 0),
        (9 * SECOND, True, Rules(), False, 0),
        (59 * SECOND, False, Rules(), False, 0),
        (60 * SECOND, False, Rules(), False, 1),
        (6 * DAY, False, Rules(), False, 1),
        (10 * SECOND, True, Rules(), True, 1),
        (6 * DAY, True, Rules(), True, 1),
        (6 * DAY, True, IMMUTABLE, False, 0),
        (6 * DAY, False, IMMUTABLE, False, 0),
    ],
)
async def test_the_table_of_pointers(
    age: int, always: bool, rules: Rules, old: bool, asked: int
) -> None:
    rig = Rig(rules=rules)
    await rig.point(age=age)
    pin = await rig.pin(always=always)
    assert pin is not None
    assert str(pin.reference) == f"registry.corp/team/app:1@{OLD}"
    assert (pin.old, await rig.asked()) == (old, asked)


async def test_who_need_not_ask_the_registry_is_warned_once_it_was_asked_in_vain(rig: Rig) -> None:
    await rig.point(age=DAY)
    old = []
    for _ in range(4):
        pin = await rig.pin()
        assert pin is not None
        old.append(pin.old)
        rig.clock.advance(SECOND)
    assert old == [False, False, True, True]
    await rig.point(age=70 * SECOND)
    rig.clock.advance(6 * SECOND)
    pin = await rig.pin()
    assert pin is not None
    assert not pin.old


@pytest.mark.parametrize("always", [True, False])
async def test_a_tag_that_nobody_asked_about_is_asked_for_and_left(rig: Rig, always: bool) -> None:
    assert await rig.pin(always=always) is None
    assert await rig.asked() == 1


async def test_a_pointer_beyond_its_age_is_as_none(rig: Rig) -> None:
    await rig.point(age=6 * DAY)
    assert await rig.pin(asks=False) is not None
    rig.clock.advance(DAY + SECOND)
    assert await rig.pin(asks=False) is None


@pytest.mark.parametrize("always", [True, False])
async def test_a_tag_that_cannot_be_had_is_left_and_not_asked_for_again(
    rig: Rig, always: bool
) -> None:
    await rig.point(age=30 * SECOND, digest=None)
    assert await rig.pin(always=always) is None
    assert await rig.asked() == 0


async def test_what_failed_a_moment_ago_rests(rig: Rig) -> None:
    await rig.ledger.write_verdict(
        error_verdict(
            unresolved(REFERENCE),
            Question(),
            kind=ErrorKind.TRANSIENT,
            message="503",
            now=rig.clock.now(),
        ),
        chain="",
    )
    assert await rig.pin() is None
    assert await rig.asked() == 0


@pytest.mark.parametrize("age", [None, 30 * SECOND, DAY])
async def test_a_dry_run_gets_the_same_and_asks_nothing(rig: Rig, age: int | None) -> None:
    if age is not None:
        await rig.point(age=age)
    for always in (True, False):
        pin = await rig.pin(always=always, asks=False, wait=30.0)
        assert (pin is None) == (age is None)
    assert await rig.asked() == 0


@pytest.mark.parametrize("age", [None, 30 * SECOND])
async def test_it_waits_for_the_registrys_word_and_pins_to_that(rig: Rig, age: int | None) -> None:
    if age is not None:
        await rig.point(age=age)
    pinning = asyncio.create_task(rig.pin(always=True, wait=30.0))
    await rig.wait_for_waiters()
    await rig.point(digest=NEW)
    pin = await pinning
    assert pin is not None
    assert (pin.reference.digest, pin.old) == (NEW, False)
    assert rig.waiting == 0


async def test_a_workers_clock_that_is_behind_makes_no_new_pointer_old(rig: Rig) -> None:
    await rig.point(age=60 * SECOND)
    pinning = asyncio.create_task(rig.pin(always=True, wait=30.0))
    await rig.wait_for_waiters()
    await rig.point(age=40 * SECOND, digest=NEW)
    async with asyncio.timeout(10):
        pin = await pinning
    assert pin is not None
    assert (pin.reference.digest, pin.old) == (NEW, False)


async def test_word_of_something_else_changes_nothing(rig: Rig) -> None:
    await rig.point(age=30 * SECOND)
    pinning = asyncio.create_task(rig.pin(always=True, wait=0.3))
    await rig.wait_for_waiters()
    rig.cache.gap()
    pin = await pinning
    assert pin is not None
    assert (pin.reference.digest, pin.old) == (OLD, True)


async def test_a_tag_that_turns_out_to_be_gone_is_left(rig: Rig) -> None:
    await rig.point(age=30 * SECOND)
    pinning = asyncio.create_task(rig.pin(always=True, wait=30.0))
    await rig.wait_for_waiters()
    await rig.point(digest=None)
    assert await pinning is None


async def test_where_all_places_to_wait_are_taken_nobody_waits_and_all_is_asked_for(
    rig: Rig,
) -> None:
    await rig.point(age=30 * SECOND)
    waiting = [asyncio.create_task(rig.pin(always=True, wait=30.0)) for _ in range(2)]
    await rig.wait_for_waiters(2)
    async with asyncio.timeout(5):
        pin = await rig.pin(always=True, wait=30.0)
    assert pin is not None
    assert pin.old
    assert await rig.asked() == 1
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert rig.waiting == 0


async def test_a_queue_that_takes_nothing_is_not_waited_for() -> None:
    rig = Rig(max_ready=0)
    await rig.point(age=30 * SECOND)
    async with asyncio.timeout(5):
        pin = await rig.pin(always=True, wait=30.0)
        assert pin is not None
        assert pin.old
