"""What sources tell: images with what runs them, and what could not be read."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Protocol, TypeAlias

import msgspec

_NONE: Mapping[str, str] = MappingProxyType({})


class Found(msgspec.Struct, frozen=True):
    """A pod that runs, what makes pods, or an image that somebody named."""

    namespace: str
    images: tuple[str, ...]
    """As they are written, each once."""
    title: str = ""
    """`Deployment shop/web`; empty for an image that was named alone."""
    runs: bool = False
    """A pod that runs now."""
    labels: Mapping[str, str] = _NONE
    annotations: Mapping[str, str] = _NONE
    """What its author wrote on the pods."""

    @property
    def makes(self) -> bool:
        """Whether it makes pods; a Pod of a manifest makes one."""
        return bool(self.title) and not self.runs


class NotRead(msgspec.Struct, frozen=True):
    """Something that could not be read, so that its images are not known."""

    where: str
    """`images.txt:12`, `web.yaml, document 3`."""
    what: str


class PassedOver(msgspec.Struct, frozen=True):
    """Something that was seen and is no matter, and how often."""

    what: str
    count: int = 1


Told: TypeAlias = Found | NotRead | PassedOver


class Source(Protocol):
    """Where images are named. What it cannot read it tells (`NotRead`); it raises ImagegateError
    where it can read nothing at all."""

    def told(self) -> AsyncIterator[Told]:
        """All of it, piece by piece."""
