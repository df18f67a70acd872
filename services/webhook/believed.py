"""Which signed exceptions are believed: of each id the newest that this process ever saw."""

from enum import StrEnum

import msgspec

from shared.domain.exceptions import ImageException

MAX_BELIEVED = 10_000


class Source(StrEnum):
    """Where an exception was read."""

    STORE = "store"
    FOLDER = "folder"


class Taken(StrEnum):
    """What became of an exception that was offered."""

    NEW = "new"
    KNOWN = "known"
    """As new a one of this id is believed, or a newer one; or it has ended."""
    FULL = "full"


class _Held(msgspec.Struct):
    exception: ImageException
    source: Source
    until: int
    """When nothing that was ever believed of this id counts any more (ms)."""


class Believed:
    """Nothing is revoked by deletion, and nothing that was revoked comes back: each id is
    remembered until its end, whoever still has which record of it."""

    def __init__(self, *, cluster: str, most: int = MAX_BELIEVED) -> None:
        """Those for other clusters than `cluster` are remembered as well, and never count."""
        self._cluster = cluster
        self._most = most
        self._held: dict[str, _Held] = {}

    def take(self, exception: ImageException, source: Source, *, now: int) -> Taken:
        """Believe it, unless there is nothing new in it; one of a known id always finds room."""
        held = self._held.get(exception.id)
        if exception.expires <= now:
            return Taken.KNOWN
        if held is None:
            if len(self._held) >= self._most:
                return Taken.FULL
            self._held[exception.id] = _Held(exception, source, exception.expires)
            return Taken.NEW
        # An older one is remembered by its end: it must not come back when the newer has ended.
        held.until = max(held.until, exception.expires)
        if not _newer(exception, held.exception):
            return Taken.KNOWN
        held.exception, held.source = exception, source
        return Taken.NEW

    def forget_ended(self, now: int) -> None:
        """Make room."""
        ended = [name for name, held in self._held.items() if held.until <= now]
        for name in ended:
            del self._held[name]

    def active(self, now: int) -> tuple[ImageException, ...]:
        """Those that count, by id."""
        counting = [each for each in self._held.values() if self._counts(each, now)]
        return tuple(sorted((each.exception for each in counting), key=lambda one: one.id))

    def numbers(self, now: int) -> dict[Source, int]:
        """How many of them count, by where they were read."""
        numbers = dict.fromkeys(Source, 0)
        for held in self._held.values():
            numbers[held.source] += self._counts(held, now)
        return numbers

    def _counts(self, held: _Held, now: int) -> bool:
        return held.exception.is_for(self._cluster) and held.exception.counts(now)


def _newer(one: ImageException, other: ImageException) -> bool:
    """Of the same moment is newer what revokes."""
    return (one.made_at, one.revoked) > (other.made_at, other.revoked)
