"""What prewarm believes of the store: what a webhook would."""

from collections.abc import Sequence

import pytest

from services.cli.prewarm.known import Reader
from services.webhook.catalogue import Image
from services.webhook.terms import Terms
from shared.domain.pointer import MINUTE, Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.signing import Kind
from shared.domain.verdict import Question
from tests.fakes.clock import START, FakeClock
from tests.fakes.sealing import PlainSealer

APP = parse_reference("registry.corp/app:1")


class Shelf(dict[str, bytes]):
    """Sealed records by key."""

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        return [self.get(key) for key in keys]


@pytest.mark.parametrize(
    ("secret", "ends", "known", "strange"),
    [
        (b"one", START + 1, True, 0),
        (b"one", START, False, 0),
        (b"another", START + MINUTE, False, 1),
    ],
    ids=["good", "ended", "not ours"],
)
async def test_what_has_ended_or_nobody_of_ours_signed_is_not_there(
    secret: bytes, ends: int, *, known: bool, strange: int
) -> None:
    key = pointer_key(APP)
    pointer = Pointer("registry.corp/app:1", START, "sha256:" + "a" * 64)
    sealed = PlainSealer(secret).seal(pointer, kind=Kind.POINTER, key=key, order=START, ends=ends)
    reader = Reader(
        records=Shelf({key: sealed}),
        unsealer=PlainSealer(),
        rules=Rules(),
        terms=Terms(),
        clock=FakeClock(),
    )
    look = await reader.look(Image("app", APP, always=False, question=Question()))
    assert bool(look.answer.subjects) is known
    assert reader.strange == strange
