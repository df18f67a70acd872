"""Pinning one image: which digest its tag is replaced by (docs/design/behaviour.md 2).

A pointer is the registry's word, written by a worker; here it is read, and where it is too old or
absent a worker is asked to have the registry asked. No scan is asked for: another webhook may
still replace the image, and /validate judges what is there in the end. Where a tag moved to what
nobody judged yet, a pod that need not have the newest gets the digest before
(docs/adr/0016).
"""

from collections.abc import Awaitable, Callable

import msgspec

from services.webhook.behind import REFRESH_WAIT, Behind
from services.webhook.catalogue import Image, Need
from services.webhook.knowledge import DOWN
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.waiters import Room, Waiters
from shared.domain.decision import Decision, State
from shared.domain.latest import Latest
from shared.domain.pointer import Pointer, Standing, pointer_key
from shared.domain.reference import ImageReference
from shared.domain.rules import Rules
from shared.domain.verdict import Verdict, last_error_key, unresolved
from shared.ports.clock import Clock

Foresee = Callable[[ImageReference], Awaitable[Decision]]
"""What /validate would say of an image, from what is known."""

DECIDED = (State.FAIL, State.REFUSED, State.INVALID)
"""Of a denial: somebody looked at the image, and time alone will not change it."""


MAX_AWAITED = 4_096
"""Pointers whose renewal is awaited behind answers; of more nobody is warned."""


class Pin(msgspec.Struct, frozen=True):
    """A reference with the digest that its tag named."""

    reference: ImageReference
    """With tag and digest."""
    asked_at: int
    """When the registry said so (ms)."""
    old: bool = False
    """The registry should have been asked again, and did not answer in time."""
    instead: State | None = None
    """The digest is the one before the tag moved: what is known of the one that it names now."""


class Pinning:
    """Finds the digests that tags name."""

    def __init__(
        self,
        *,
        cache: NearCache,
        requests: Requests,
        waiters: Waiters,
        clock: Clock,
        rules: Callable[[], Rules],
        room: Room | None = None,
    ) -> None:
        """`room`: where those wait who need a registry's word."""
        self._cache = cache
        self._requests = requests
        self._waiters = waiters
        self._clock = clock
        self._rules = rules
        self._room = room or Room()
        self._behind = Behind(requests=requests)
        # By tag: when the pointer says that the registry was asked, and since when it is to be
        # asked again (monotonic seconds).
        self._awaited = Latest[ImageReference, tuple[int, float]](MAX_AWAITED)

    async def pin(
        self, image: Image, *, until: float, asks: bool, foresee: Foresee | None = None
    ) -> Pin | None:
        """What the image's tag names, at `until` (monotonic seconds) at the latest; None where
        nobody knows. `asks`: False for a dry run, which leaves no trace. With `foresee` a tag that
        moved may be replaced by the digest before."""
        pointer = await self._pointer(image)
        standing = self._standing(image, pointer)
        if standing is Standing.OLD and asks and not await self._rests(image, pointer):
            before = pointer.asked_at if pointer else 0
            pointer = await self._renewed(image, before, until)
            standing = self._standing(image, pointer, renewed=before)
        if pointer is None or pointer.digest is None:
            return None
        old = standing is Standing.OLD
        if standing is Standing.USABLE and asks:
            old = self._awaited_in_vain(image.reference, pointer)
            self._behind.ask(image, Need.RESOLVE)
        reference = msgspec.structs.replace(image.reference, digest=pointer.digest)
        pin = Pin(reference, pointer.asked_at, old=old)
        if foresee is None or pointer.previous is None or image.always:
            return pin
        return await or_the_one_before(pin, pointer.previous, foresee)

    async def _renewed(self, image: Image, before: int, until: float) -> Pointer | None:
        """The pointer as it is once a worker has asked the registry, or at `until`.

        In the order of docs/design/protocol.md: register, look again, ask, wait, last look.
        """
        with self._waiters.on((pointer_key(image.reference),)) as changed:
            pointer = await self._pointer(image, fresh=True)
            if self._standing(image, pointer, renewed=before) is not Standing.OLD:
                return pointer
            within = until - self._clock.monotonic()
            asked = await self._requests.ask(image, Need.RESOLVE, within=max(within, 0.05))
            waits = asked not in DOWN and not self._room.full
            while waits and self._standing(image, pointer, renewed=before) is Standing.OLD:
                waits = await self._room.wait(changed, until - self._clock.monotonic())
                changed.clear()
                pointer = await self._pointer(image, fresh=True)
        return pointer

    def _awaited_in_vain(self, reference: ImageReference, pointer: Pointer) -> bool:
        """Whether this very pointer was to be renewed behind an earlier answer, and was not."""
        now = self._clock.monotonic()
        asked_at, since = self._awaited.get(reference, (None, now))
        if asked_at == pointer.asked_at:
            return now - since >= REFRESH_WAIT
        self._awaited[reference] = (pointer.asked_at, now)
        return False

    async def _pointer(self, image: Image, *, fresh: bool = False) -> Pointer | None:
        look = await self._cache.read((pointer_key(image.reference),), fresh=fresh)
        (record,) = look.records
        return record if isinstance(record, Pointer) else None

    def _standing(
        self, image: Image, pointer: Pointer | None, *, renewed: int | None = None
    ) -> Standing:
        """An absent pointer is an old one; why a tag cannot be had is the answer while it lasts."""
        if pointer is None:
            return Standing.OLD
        if pointer.digest is None:
            return Standing.YOUNG
        return pointer.standing(
            self._clock.now(),
            always=image.always,
            immutable=self._rules().immutable(image.reference),
            renewed=renewed,
        )

    async def _rests(self, image: Image, pointer: Pointer | None) -> bool:
        """Whether asking the registry failed a moment ago: each pod would wait in vain."""
        if pointer is not None:
            return False
        key = last_error_key(unresolved(image.reference), image.question)
        (error,) = (await self._cache.read((key,))).records
        return isinstance(error, Verdict) and not error.stale(self._clock.now())


async def or_the_one_before(pin: Pin, previous: str, foresee: Foresee) -> Pin:
    """The pin as it is, unless only the digest before would run: that was judged good, and what the
    tag names now has no verdict yet."""
    now = await foresee(pin.reference)
    if now.allowed or now.state in DECIDED:
        return pin
    before = msgspec.structs.replace(pin.reference, digest=previous)
    if not (await foresee(before)).allowed:
        return pin
    return msgspec.structs.replace(pin, reference=before, instead=now.state)
