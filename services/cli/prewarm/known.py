"""What the store says of images, as a webhook reads it; nobody is asked."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from services.webhook.catalogue import Catalogue, Image, Known, Missing, Need
from services.webhook.terms import Terms
from services.webhook.verdicts import Fetch
from services.webhook.wording import moment
from shared.domain.errors import InvalidSignature
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.records import record_type
from shared.domain.rules import Rules
from shared.domain.verdict import Verdict, last_error_key, unresolved
from shared.ports.clock import Clock
from shared.ports.signing import Unsealer


class Records(Protocol):
    """Whoever has the store. Errors: ImagegateError."""

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `VerdictStore.read`."""


class Look(msgspec.Struct, frozen=True):
    """What is known of an image now."""

    answer: Known | Missing
    note: str = ""
    """Why nothing is known, or nothing newer by an old tag, where anybody said."""
    asked_at: int = 0
    """When a registry said what the tag names, by a worker's clock (ms); 0: none did."""

    @property
    def fresh(self) -> bool:
        """Whether asking would bring nothing else."""
        return isinstance(self.answer, Known) and self.answer.refresh is None

    @property
    def by_an_old_tag(self) -> bool:
        """Whether only the registry is to be asked again: its tag may name something else by
        now."""
        return isinstance(self.answer, Known) and self.answer.refresh is Need.RESOLVE

    def not_renewed(self, note: str) -> str:
        """By an old tag: of when it is what is known, and why of then; else empty."""
        if not self.by_an_old_tag:
            return ""
        why = f": {note}" if note else ""
        named = f"it is known by what its tag named at {moment(self.asked_at)}"
        return f"{named}, and nothing newer is{why}"


class Reader:
    """Looks images up."""

    def __init__(
        self, *, records: Records, unsealer: Unsealer, rules: Rules, terms: Terms, clock: Clock
    ) -> None:
        self._records = records
        self._unsealer = unsealer
        self._rules = rules
        self._terms = terms
        self._clock = clock
        self.strange = 0
        """Records that nobody we trust signed: to a webhook they are not there."""

    async def look_at(self, images: Iterable[Image]) -> list[Look]:
        """All of these at a time. Raises as `look`."""
        return await asyncio.gather(*map(self.look, images))

    async def look(self, image: Image) -> Look:
        """One look-up. Raises StoreError, or what the process says that has the store."""
        held: dict[str, msgspec.Struct | None] = {}
        wanted: list[str] = []

        def fetch(keys: Sequence[str]) -> list[msgspec.Struct | None]:
            if any(key not in held for key in keys):
                wanted.extend(key for key in keys if key not in held)
                raise LookupError(keys)
            return [held[key] for key in keys]

        while True:
            catalogue = Catalogue(
                image=image,
                rules=self._rules,
                now=self._clock.now(),
                fetch=fetch,
                policy_grace=self._terms.policy_grace,
                platforms=self._terms.platforms,
            )
            try:
                return _look(image, catalogue.judge(), fetch)
            except LookupError:
                sealed = await self._records.read(wanted)
                for key, record in zip(wanted, sealed, strict=True):
                    held[key] = self._opened(key, record)
                wanted.clear()

    def _opened(self, key: str, sealed: bytes | None) -> msgspec.Struct | None:
        if sealed is None:
            return None
        kind, record = record_type(key)
        try:
            opened, body = self._unsealer.unseal(sealed, record, kind=kind, key=key)
        except InvalidSignature:
            self.strange += 1
            return None
        return opened if body.ends > self._clock.now() else None


def _look(image: Image, answer: Known | Missing, fetch: Fetch) -> Look:
    """With what is told of an image beside what a webhook needs."""
    if isinstance(answer, Missing):
        return Look(answer, answer.note)
    if image.reference.digest is not None:
        return Look(answer)
    (pointer,) = fetch((pointer_key(image.reference),))
    look = Look(answer, asked_at=pointer.asked_at if isinstance(pointer, Pointer) else 0)
    if not look.by_an_old_tag:
        return look
    (error,) = fetch((last_error_key(unresolved(image.reference), image.question),))
    note = error.message if isinstance(error, Verdict) else ""
    return msgspec.structs.replace(look, note=note)
