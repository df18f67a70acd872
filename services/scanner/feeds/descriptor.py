"""`imagegate-feed.json`: what a set of records that is no official dump speaks about.

```json
{"as_of": "2026-11-25", "releases": {"Debian:12": {"covers": ["openssl", "zlib"]}}}
```
"""

import msgspec

from services.scanner.feeds.ecosystems import Group, group_of, normal_name
from services.scanner.feeds.entries import milliseconds
from services.scanner.feeds.state import FeedRefused


class _Covered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    covers: tuple[str, ...]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    as_of: str = ""
    releases: dict[str, _Covered] = {}
    about: tuple[str, ...] = ()
    """For people."""


class Descriptor(msgspec.Struct, frozen=True):
    """Which packages silence means something about, besides those that records name."""

    as_of: int | None = None
    covers: tuple[tuple[Group, tuple[str, ...]], ...] = ()

    def joined(self, other: "Descriptor") -> "Descriptor":
        """Both; data is as old as the older says."""
        known = [one.as_of for one in (self, other) if one.as_of is not None]
        return Descriptor(min(known, default=None), self.covers + other.covers)


def read_descriptor(text: bytes, where: str) -> Descriptor:
    """Raises FeedRefused."""
    try:
        document = msgspec.json.decode(text, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FeedRefused(f"{where} is no descriptor of a feed: {error}") from error
    as_of = milliseconds(document.as_of)
    if document.as_of and as_of is None:
        raise FeedRefused(f"{where}: as_of is no date: {document.as_of!r}; write 2026-11-25")
    covers = []
    for written, covered in document.releases.items():
        group = group_of(written)
        if group is None:
            raise FeedRefused(f"{where}: {written!r} is no ecosystem with a release, as Debian:12")
        names = tuple(normal_name(group.ecosystem, name) for name in covered.covers)
        covers.append((group, names))
    return Descriptor(as_of, tuple(covers))
