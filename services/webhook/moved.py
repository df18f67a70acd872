"""The digest that a tag moved to, while pods run the one before (docs/adr/0016).

/mutate pins pods that need not have the newest to the digest before until the new one has a
verdict, and asks for no scan. Nobody would ever ask for the new one then: so /validate does, which
sees what really runs.
"""

from collections.abc import Awaitable, Callable

import msgspec

from services.webhook.behind import Behind
from services.webhook.catalogue import Image, Known, Missing
from services.webhook.near_cache import NearCache
from shared.domain.errors import StoreError
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import ImageReference

Look = Callable[[Image], Awaitable[tuple[Known | Missing, StoreError | None]]]
"""What is known of an image, and the trouble where the store did not tell all."""


class Moved:
    """Has the digest judged that a tag names now, behind answers about the one before."""

    def __init__(self, *, cache: NearCache, behind: Behind, look: Look) -> None:
        self._cache = cache
        self._behind = behind
        self._look = look

    def judged(self, image: Image) -> None:
        """An image was judged in a review that may ask for more."""
        reference = image.reference
        if image.always or reference.tag is None or reference.digest is None:
            return
        held = self._cache.glance((pointer_key(reference),))
        if held is None or _left(held[0].record, reference):
            self._behind.do(lambda: self._ask(image), name=f"what {reference.tagged} names now")

    async def _ask(self, image: Image) -> None:
        """Have the tag judged, if it left the image's digest for one of which nothing is known."""
        look = await self._cache.read((pointer_key(image.reference),))
        if not _left(look.records[0], image.reference):
            return
        tagged = msgspec.structs.replace(image.reference, digest=None)
        image = msgspec.structs.replace(image, written=str(tagged), reference=tagged)
        answer, trouble = await self._look(image)
        if isinstance(answer, Missing) and not answer.resting and trouble is None:
            self._behind.ask(image, answer.need, subjects=answer.subjects)


def _left(record: msgspec.Struct | None, reference: ImageReference) -> bool:
    """Whether the reference's digest is what its tag named before it moved."""
    return isinstance(record, Pointer) and record.previous == reference.digest
