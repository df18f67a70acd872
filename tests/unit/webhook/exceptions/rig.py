"""Signed exceptions of a webhook under test, a store and a folder that can go wrong."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from services.webhook.believed import Source
from services.webhook.book import CurrentBook
from services.webhook.exceptions import Pace, SignedExceptions, Uncounted
from services.webhook.switch import Switch
from shared.adapters.memory.claims import MemoryScanLeases
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.store import MemoryVerdictStore
from shared.domain.errors import StoreError
from shared.domain.exceptions import ImageException
from shared.domain.rules import Rules
from shared.domain.signing import Body, Kind, Record
from shared.ports.exceptions import Folder
from shared.ports.verdicts import Put
from tests.fakes.clock import FakeClock
from tests.fakes.exceptions import RING, exception, seal

SOON = Pace(least=0.02, retry=0.05, usual=0.1)
SELDOM = Pace(least=0.02, retry=60.0, usual=60.0)


class Store(MemoryExceptionStore):
    """Counts its reads, fails while there is `trouble`, and may hold what a `thief` put there."""

    def __init__(self, clock: FakeClock, announce: Callable[[str], None]) -> None:
        super().__init__(clock=clock, announce=announce)
        self.trouble: StoreError | None = None
        self.thief: Mapping[str, bytes] | None = None
        self.reads = 0
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def all(self) -> Mapping[str, bytes]:
        self.reads += 1
        self.asked.set()
        if self.trouble is not None:
            raise self.trouble
        found = await super().all() if self.thief is None else self.thief
        await self.answers.wait()
        return found


class Files:
    """A folder that a test fills; `changed` tells of it."""

    def __init__(self) -> None:
        self.sealed: dict[str, bytes] = {}
        self.unread: dict[str, str] = {}
        self.changed = asyncio.Event()

    async def read(self) -> Folder:
        return Folder(dict(self.sealed), dict(self.unread))

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self.changed.wait()
            self.changed.clear()
            yield


class CountingRing:
    """Counts what is verified."""

    def __init__(self) -> None:
        self.verified = 0

    def unseal(
        self, sealed: bytes, record_type: type[Record], *, kind: Kind, key: str
    ) -> tuple[Record, Body]:
        self.verified += 1
        return RING.unseal(sealed, record_type, kind=kind, key=key)


class Rig:
    """The exceptions of one webhook, over a store and a folder."""

    def __init__(self, *, pace: Pace = SOON, cluster: str = "prod") -> None:
        self.clock = FakeClock()
        leases = MemoryScanLeases(clock=self.clock)
        self.verdicts = MemoryVerdictStore(clock=self.clock, leases=leases)
        self.store = Store(self.clock, self.verdicts.announce)
        self.files = Files()
        self.ring = CountingRing()
        self.book = CurrentBook(Rules())
        self.left_out: Counter[tuple[Source, Uncounted]] = Counter()
        self.switch = Switch(clock=self.clock, on_change=self.book.emergency_changed)
        self.signed = SignedExceptions(
            store=self.store,
            files=self.files,
            unsealer=self.ring,
            clock=self.clock,
            on_change=self.book.exceptions_changed,
            switch=self.switch,
            cluster=cluster,
            on_left_out=self._left_out,
            pace=pace,
        )

    def _left_out(self, source: Source, why: Uncounted) -> None:
        self.left_out[source, why] += 1

    # A `Listener` of the store, as the webhook's near cache passes words on.

    def changed(self, key: str) -> None:
        self.signed.heard(key)

    def gap(self) -> None:
        self.signed.heard(None)

    @property
    def counting(self) -> list[str]:
        """The ids of those that the book has."""
        return [one.id for one in self.book().exceptions]

    def exception(self, name: str, **changes: object) -> ImageException:
        return exception(name, now=self.clock.now(), **changes)

    async def put(self, one: ImageException) -> None:
        put = await self.store.put(seal(one), exception_id=one.id, ends=one.expires)
        assert put is Put.WRITTEN

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.signed.first()
        tasks = [
            asyncio.create_task(self.signed.run()),
            asyncio.create_task(self.verdicts.listen(self)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
