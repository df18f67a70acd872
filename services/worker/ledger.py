"""The worker's pen: sealed records into the store, and the ones it needs back.

Every write is fenced by the store: an older record never overwrites a newer one
(docs/design/protocol.md, "What orders evaluations").
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from services.worker.unbelieved import Unbelieved
from shared.domain.errors import InvalidSignature, TransientFailure
from shared.domain.platforms import Platforms, platforms_key
from shared.domain.pointer import Index, Pointer, index_key, pointer_key
from shared.domain.records import record_type
from shared.domain.reference import ImageReference
from shared.domain.revision import Revision, revision_key
from shared.domain.signing import Kind
from shared.domain.verdict import (
    MAX_AGE,
    Outcome,
    Question,
    Subject,
    Verdict,
    last_error_key,
    scan_key,
    verdict_key,
)
from shared.ports.clock import Clock
from shared.ports.signing import Sealer, Unsealer
from shared.ports.verdicts import Put, VerdictStore

Record = TypeVar("Record", bound=msgspec.Struct)


class Ledger:
    """Reads and writes pointers, indexes, revisions, platforms and verdicts.

    Raises StoreError, and TransientFailure for a record that the store's clock refuses.
    """

    def __init__(
        self,
        *,
        store: VerdictStore,
        sealer: Sealer,
        unsealer: Unsealer,
        clock: Clock,
        on_unbelieved: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_unbelieved` counts the records that are not believed, each once a day."""
        self._store = store
        self._clock = clock
        self._unbelieved = Unbelieved(clock=clock, on_found=on_unbelieved)
        self._sealer = sealer
        self._unsealer = unsealer

    async def pointer(self, reference: ImageReference) -> Pointer | None:
        """What the registry last said of the reference's tag."""
        return await self._read(pointer_key(reference), Pointer)

    async def index(self, digest: str) -> Index | None:
        """The manifests of an index."""
        return await self._read(index_key(digest), Index)

    async def verdict(self, subject: Subject, question: Question) -> Verdict | None:
        """The verdict of a manifest, if one that counts is there."""
        return await self._read(verdict_key(subject, question), Verdict)

    async def last_error(self, subject: Subject, question: Question) -> Verdict | None:
        """Why a manifest, or what could not be resolved, was not judged when that was last
        tried."""
        return await self._read(last_error_key(subject, question), Verdict)

    async def revision(self, question: Question) -> Revision | None:
        """Which policy the question is answered by, as far as anybody saw."""
        return await self._read(revision_key(question), Revision)

    async def platforms(self, cluster: str) -> Platforms | None:
        """Those of a cluster's nodes, as a worker saw them last."""
        return await self._read(platforms_key(cluster), Platforms)

    async def all(self, keys: Sequence[str]) -> list[msgspec.Struct | None]:
        """The records of `keys` that count, in their order: whatever kinds they are of."""
        sealed = await self._store.read(keys)
        return [
            None if one is None else self._opened(key, one, record_type(key)[1])
            for key, one in zip(keys, sealed, strict=True)
        ]

    async def write_pointer(self, pointer: Pointer) -> None:
        """Move a tag's pointer, unless the registry was asked later by somebody else."""
        key = f"pointer:{pointer.reference}"
        await self._write(
            pointer, kind=Kind.POINTER, key=key, order=pointer.asked_at, ends=pointer.ends_at
        )

    async def write_index(self, index: Index) -> None:
        """Keep what an index names, as long as a verdict of its manifests may count."""
        ends = index.asked_at + 2 * MAX_AGE
        key = index_key(index.digest)
        await self._write(index, kind=Kind.INDEX, key=key, order=index.asked_at, ends=ends)

    async def write_verdict(self, verdict: Verdict, *, chain: str) -> None:
        """Put a verdict and end its chain; an error goes beside the verdict, never into it."""
        key = (
            last_error_key(verdict.subject, verdict.question)
            if verdict.outcome is Outcome.ERROR
            else verdict_key(verdict.subject, verdict.question)
        )
        await self._write(
            verdict,
            kind=Kind.VERDICT,
            key=key,
            order=verdict.order,
            ends=verdict.ends_at,
            scan=scan_key(verdict.subject, verdict.question),
            chain=chain,
        )

    async def write_revision(self, revision: Revision) -> None:
        """Note which policy answers, unless a later answer named another."""
        await self._write(
            revision,
            kind=Kind.REVISION,
            key=revision_key(revision.question),
            order=revision.seen_at,
            ends=revision.ends_at,
        )

    async def write_platforms(self, platforms: Platforms) -> None:
        """Note which platforms a cluster's nodes have, unless somebody did later."""
        await self._write(
            platforms,
            kind=Kind.PLATFORMS,
            key=platforms_key(platforms.cluster),
            order=platforms.at,
            ends=platforms.ends_at,
        )

    async def _read(self, key: str, record: type[Record]) -> Record | None:
        sealed = (await self._store.read([key]))[0]
        return None if sealed is None else self._opened(key, sealed, record)

    def _opened(self, key: str, sealed: bytes, record: type[Record]) -> Record | None:
        kind, _ = record_type(key)
        try:
            opened, body = self._unsealer.unseal(sealed, record, kind=kind, key=key)
        except InvalidSignature as error:
            self._unbelieved.found(kind, key, sealed, error)
            return None
        # The store forgets what has ended; somebody who writes to it may have put it back.
        return opened if body.ends > self._clock.now() else None

    async def _write(
        self,
        record: msgspec.Struct,
        *,
        kind: Kind,
        key: str,
        order: int,
        ends: int,
        scan: str = "",
        chain: str = "",
    ) -> None:
        sealed = self._sealer.seal(record, kind=kind, key=key, order=order, ends=ends)
        put = await self._store.put(sealed, key=key, ends=ends, scan=scan, chain=chain)
        wrong = {Put.AHEAD: "its time is ahead of", Put.ENDED: "its end is past on"}.get(put)
        if wrong is not None:
            raise TransientFailure(
                f"{key}: {wrong} the store's clock: set the clocks of Anchore, the workers and "
                "Redis by NTP"
            )
