"""Where answers come from, image by image; and what was known of an image when it was first seen.

The second tells what prewarming is worth: of the images that would have had to be asked for, how
many a push event had judged before anybody wanted them.
"""

from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum

import msgspec

from services.webhook.catalogue import Image
from shared.domain.decision import Judgement
from shared.domain.why import Why

MAX_SEEN = 10_000
"""Images that are remembered as seen; about 1 MiB."""


class Layer(StrEnum):
    """What had to be asked to answer for one image."""

    NEAR_CACHE = "near_cache"
    STORE = "store"
    QUEUE = "queue"
    """Neither knew, or not well enough: it was asked for."""


class First(StrEnum):
    """What was known of an image when this process first looked it up."""

    PREWARMED = "prewarmed"
    KNOWN = "known"
    ASKED = "asked"
    """Nothing: a scan was asked for."""


class Lookups:
    """Tells `on_layer` how many images came from where, `on_first` of each new image, and
    `on_overrun` of each that was answered by a verdict whose `policy_grace` is over."""

    def __init__(
        self,
        *,
        on_layer: Callable[[Layer, int], None] = lambda layer, images: None,
        on_first: Callable[[First], None] = lambda first: None,
        on_overrun: Callable[[], None] = lambda: None,
        max_seen: int = MAX_SEEN,
    ) -> None:
        self._on_layer = on_layer
        self._on_first = on_first
        self._on_overrun = on_overrun
        self._max_seen = max_seen
        # In the order of coming; of a tag whether a digest of it was seen as well. Their hashes
        # suffice: what is lost is a count.
        self._seen: OrderedDict[int, bool] = OrderedDict()

    def kept(self, images: int) -> None:
        """So many images were answered from what was kept of earlier answers."""
        self._on_layer(Layer.NEAR_CACHE, images)

    def known(self, image: Image, judgement: Judgement, layer: Layer) -> None:
        """An image was judged without a scan being asked for."""
        self._on_layer(layer, 1)
        prewarmed = any(verdict.why is Why.PREWARM for verdict in judgement.verdicts)
        self._first(image, First.PREWARMED if prewarmed else First.KNOWN)

    def asked(self, image: Image) -> None:
        """A scan had to be asked for, here or by somebody before."""
        self._on_layer(Layer.QUEUE, 1)
        self._first(image, First.ASKED)

    def overrun(self) -> None:
        """An image was answered by a verdict whose policy was replaced too long ago: nobody has
        tried yet to judge it anew."""
        self._on_overrun()

    def untold(self, layer: Layer) -> None:
        """The image is not known, and whether a scan of it is needed neither."""
        self._on_layer(layer, 1)

    def _first(self, image: Image, first: First) -> None:
        """A tag and the digest it is pinned to are one image; a digest that it moves to is
        another one."""
        reference = image.reference
        whole = hash((reference, image.question))
        if whole in self._seen:
            return
        known_by_tag = False
        if reference.tag and reference.digest:
            tagged = msgspec.structs.replace(reference, digest=None)
            tag = hash((tagged, image.question))
            known_by_tag = self._seen.get(tag) is False
            self._see(tag, pinned=True)
        self._see(whole, pinned=False)
        if not known_by_tag:
            self._on_first(first)

    def _see(self, image: int, *, pinned: bool) -> None:
        self._seen[image] = pinned
        if len(self._seen) > self._max_seen:
            self._seen.popitem(last=False)
