"""The dead messages of the queue in this process."""

import uuid
from itertools import islice

import msgspec

from shared.domain.latest import Latest
from shared.domain.step import Lane
from shared.ports.clock import Clock


class Dead(msgspec.Struct, frozen=True):
    """A message that its lane's handler or reader gave up."""

    id: str
    lane: Lane
    body: bytes
    died_at: int


class Pile:
    """Dead messages by id, the oldest first; above `most` the oldest go."""

    def __init__(self, *, clock: Clock, most: int) -> None:
        self._clock = clock
        self._dead = Latest[str, Dead](most)

    def __len__(self) -> int:
        return len(self._dead)

    def add(self, lane: Lane, body: bytes) -> None:
        """A message of `lane` died, now."""
        dead = Dead(uuid.uuid4().hex[:16], lane, body, self._clock.now())
        self._dead[dead.id] = dead

    def oldest(self, limit: int) -> list[Dead]:
        """At most `limit` of them, the oldest first."""
        return list(islice(self._dead.values(), max(0, limit)))

    def find(self, letter_id: str) -> Dead | None:
        """The message of that id, if it is there."""
        return self._dead.get(letter_id)

    def remove(self, letter_id: str) -> bool:
        """Whether it was there."""
        return self._dead.pop(letter_id, None) is not None
