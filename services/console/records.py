"""What the store remembers, as an operator looks at it: needs the store alone."""

from services.console.rows import VerdictRow, keys_about, row_of, untrusted_row
from shared.domain.errors import InvalidSignature
from shared.domain.records import record_type
from shared.ports.clock import Clock
from shared.ports.decisions import DecisionLog, StoredDecision
from shared.ports.signing import Unsealer
from shared.ports.verdicts import VerdictStore

READ_AT_ONCE = 200
PREFIXES = ("verdict:", "error:", "pointer:")
MAX_KEYS = 10_000
"""Keys of each kind that are looked through for one image."""


class Records:
    """`RecordsView` on the ports."""

    def __init__(
        self, *, store: VerdictStore, decisions: DecisionLog, unsealer: Unsealer, clock: Clock
    ) -> None:
        self._store = store
        self._decisions = decisions
        self._unsealer = unsealer
        self._clock = clock

    async def verdicts(self, *, limit: int, image: str = "") -> tuple[VerdictRow, ...]:
        """Verdicts, errors beside them, and tags that the registry did not give."""
        keys: list[str] = []
        for prefix in PREFIXES:
            keys += await self._store.keys(prefix, limit=MAX_KEYS if image else limit)
        if image:
            keys = keys_about(image, keys)[:limit]
        rows: list[VerdictRow] = []
        for start in range(0, len(keys), READ_AT_ONCE):
            some = keys[start : start + READ_AT_ONCE]
            found = await self._store.read(some)
            opened = (self._row(key, sealed) for key, sealed in zip(some, found, strict=True))
            rows += [row for row in opened if row is not None]
        return tuple(sorted(rows, key=lambda row: (-row.at, row.image)))

    async def decisions(self, *, limit: int, after: str = "") -> tuple[StoredDecision, ...]:
        """The newest first."""
        return tuple(await self._decisions.recent(limit=limit, after=after))

    def _row(self, key: str, sealed: bytes | None) -> VerdictRow | None:
        if sealed is None:
            return None
        kind, wanted = record_type(key)
        try:
            record, body = self._unsealer.unseal(sealed, wanted, kind=kind, key=key)
        except InvalidSignature as error:
            return untrusted_row(key, str(error))
        return row_of(record, body, self._clock.now())
