"""The digest that a tag named before it moved, kept as long as the registry has it.

A pod of a moved tag may be pinned to it until the new digest is judged (docs/design/behaviour.md
2). One that the registry dropped starts nowhere, so it is asked about: when the tag moves, and
then at most once in YOUNG at a renewal of the pointer, which costs one HEAD more.
"""

from typing import Self

import msgspec

from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure
from shared.domain.pointer import POINTER_MAX_AGE, YOUNG, Pointer
from shared.domain.reference import ImageReference
from shared.ports.resolver import DigestResolver

_HAS_IT_NOT = frozenset({ErrorKind.NOT_FOUND, ErrorKind.UNTRUSTED})
"""What a registry says, or serves, in the place of a digest that it dropped. Who is refused, or
gets no answer, was told nothing of it."""


class Previous(msgspec.Struct, frozen=True):
    """A digest, and when the registry was last seen to have it (ms)."""

    digest: str
    seen_at: int

    @classmethod
    def beside(cls, pointer: Pointer | None) -> Self | None:
        """The one that a pointer remembers."""
        if pointer is None or pointer.previous is None:
            return None
        return cls(pointer.previous, pointer.previous_seen_at)

    @classmethod
    def left(cls, pointer: Pointer | None, digest: str | None) -> Self | None:
        """The one that the tag names no longer, since it names `digest` (None: nothing)."""
        if pointer is None or pointer.digest in (None, digest):
            return None
        return cls(pointer.digest, pointer.asked_at)


class Previously:
    """Asks whether registries still have what tags named before. Raises nothing."""

    def __init__(self, *, resolver: DigestResolver) -> None:
        self._resolver = resolver

    async def renewed(
        self, tagged: ImageReference, previous: Previous | None, now: int
    ) -> Previous | None:
        """`previous` as it stands at `now` (ms): asked about unless it was seen a moment ago."""
        if previous is None or now < previous.seen_at + YOUNG:
            return previous
        return await self.seen(tagged, previous, now)

    async def seen(self, tagged: ImageReference, previous: Previous, now: int) -> Previous | None:
        """As the registry says; where it does not say, as before, for as long as a pointer may be
        used without its registry."""
        by_digest = msgspec.structs.replace(tagged, tag=None, digest=previous.digest)
        try:
            await self._resolver.resolve(by_digest)
        except StepFailure as error:
            dropped = isinstance(error, PermanentFailure) and error.kind in _HAS_IT_NOT
            old = now >= previous.seen_at + POINTER_MAX_AGE
            return None if dropped or old else previous
        return Previous(previous.digest, now)
