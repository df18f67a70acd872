"""What is known of an analysed image: its facts, and what the vulnerability data says of them.

Both are kept. The data is asked about an image once, and again when it is another.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from services.scanner.matching.finding import WrittenMatches
from services.scanner.matching.port import MatchingFailed, VulnerabilityData
from services.scanner.records import Image
from services.scanner.store import images
from services.scanner.store import matches as kept
from services.scanner.store.database import Database


class Known(msgspec.Struct, frozen=True):
    """All that an evaluation of an image stands on."""

    facts: bytes
    """`records.ImageFacts` as JSON."""
    matches: WrittenMatches


class Knowledge:
    """Answers from what is kept, and keeps what it had to ask for."""

    def __init__(self, *, database: Database, data: VulnerabilityData) -> None:
        self._database = database
        self._data = data
        self._locks: dict[str, asyncio.Lock] = {}
        self._wanted: Counter[str] = Counter()

    async def of(self, image: Image) -> Known:
        """Raises MatchingFailed."""
        facts = await self.facts(image)
        return Known(facts, await self.matches(image, facts))

    async def facts(self, image: Image) -> bytes:
        """`records.ImageFacts` as JSON; empty where the image was forgotten meanwhile."""
        return await self._database.run(images.facts, image.digest) or b""

    async def matches(self, image: Image, facts: bytes) -> WrittenMatches:
        """What the data of this moment says. Raises MatchingFailed."""
        async with self._one_at_a_time(image.digest):
            identity = (await self._data.state()).identity
            found = await self._database.run(kept.find, image.digest, data=identity)
            if found is not None:
                return found
            if not facts:
                raise MatchingFailed("the image was forgotten or is being analysed again")
            # Named as the answer says, not as the question hoped: the data may have changed.
            told = await self._data.match(facts)
            await self._database.run(
                kept.keep,
                digest=image.digest,
                attempt=image.attempt,
                data=told.data,
                matches=told,
            )
            return told

    @asynccontextmanager
    async def _one_at_a_time(self, digest: str) -> AsyncIterator[None]:
        """Several tags of an image are asked about at once: the data is asked by the first."""
        lock = self._locks.setdefault(digest, asyncio.Lock())
        self._wanted[digest] += 1
        try:
            async with lock:
                yield
        finally:
            self._wanted[digest] -= 1
            if not self._wanted[digest]:
                del self._wanted[digest], self._locks[digest]
