"""What is said of feeds: what is in one, what an import did, and why one was refused."""

from collections.abc import Callable

import msgspec

from shared.domain.errors import ImagegateError


class FeedError(ImagegateError):
    """A feed that cannot be read or built; the message says which, why, and what to do."""


class FeedBusy(FeedError):
    """Another import into the same folder is under way."""


class FeedRefused(FeedError):
    """An import that would have made a worse feed: the one that was there stays."""


class ReleaseState(msgspec.Struct, frozen=True):
    """What a feed says of one release, or of one language's packages."""

    name: str
    """In Engine's words: `debian:12`; of languages OSV's: `PyPI`."""
    ecosystem: str
    """OSV's: `Debian`."""
    records: int
    """Records that name a package of it, withdrawn ones left out."""
    packages: int
    """Packages that it names."""
    as_of: int
    """Up to when it says something (ms since the epoch)."""
    whole: bool
    """Its silence about any package of the release means that nothing is known against it."""
    doubtful: int = 0
    """Packages that a bad record is about: they count as not covered."""
    covers: tuple[str, ...] = ()
    """Where it is not whole: the only packages that it says anything about."""
    ended: str = ""
    """The day on which support ended, if that was before `as_of`: `2024-06-30`."""


class FeedState(msgspec.Struct, frozen=True):
    """A built feed."""

    identity: str
    """Another one whenever what it says is another."""
    built_at: int
    """ms since the epoch."""
    size: int
    """Bytes of its file."""
    releases: tuple[ReleaseState, ...]
    scores: int = 0
    """CVEs whose scores it has for records that have none."""
    demonstration: str = ""
    """Not empty: it is made of the handful of records that come with the package (of these ones,
    by their digest), and no substitute for a feed."""

    @property
    def as_of(self) -> int | None:
        """The oldest of its releases."""
        return min((one.as_of for one in self.releases), default=None)


class BadRecord(msgspec.Struct, frozen=True):
    """A record that could not be used, or not in full."""

    where: str
    """`all.zip/DSA-1-1.json`."""
    reason: str
    packages: tuple[str, ...] = ()
    """What it is about, as `debian:12 openssl`: not covered because of it. Empty: nobody knows."""


class Imported(msgspec.Struct, frozen=True):
    """What an import did."""

    state: FeedState
    records: int
    """Read, bad and withdrawn ones included."""
    withdrawn: int
    elsewhere: int
    """Records that name no package of a release that is known here, or asked for."""
    bad: tuple[BadRecord, ...]
    """The first thousand."""
    bad_count: int
    kept: tuple[str, ...]
    """Ecosystems taken over from the feed before."""
    changed: bool
    """Whether the feed says anything else than the one before."""


Progress = Callable[[str, int, int], None]
"""`progress(step, done, total)`: step is `read`, `build` or `check`; total 0: not known."""


def no_progress(step: str, done: int, total: int) -> None:
    """For who does not look."""
