"""Official dumps of OSV into the feed: what changed is downloaded, and each is imported by itself.

One that cannot be had, or not be read, leaves what the feed said of it before, and is told. A
process that ends in the middle leaves beginnings that the next one goes on with.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from yarl import URL

from services.scanner.feeds.ecosystems import NAMES, SCORES_ONLY
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.imports import Imports
from services.scanner.feeds.state import FeedBusy, FeedError, FeedState
from shared.domain.errors import InvalidSettings
from shared.ports.clock import Clock
from shared.ports.downloads import Download, DownloadFailed, Downloads
from shared.runtime.folder_lock import FolderLock

OFFICIAL = "https://osv-vulnerabilities.storage.googleapis.com"

DISTRIBUTIONS = (
    "Debian",
    "Ubuntu",
    "Alpine",
    "Red Hat",
    "Rocky Linux",
    "AlmaLinux",
    "Wolfi",
    "Chainguard",
    "SUSE",
    "openSUSE",
)
DEFAULT = (*DISTRIBUTIONS, SCORES_ONLY)
"""What images are built on, and the scores of CVEs, which Debian's and SUSE's records do not have.
Languages are left to who wants them: npm alone is as large as most of these together, nearly all
of it malicious packages, and the default bundle asks about packages of distributions only."""

MAX_DUMP = 4 * 1024**3

Outcome = Literal["imported", "unchanged", "failed"]


class Synced(msgspec.Struct, frozen=True):
    """What became of one ecosystem."""

    ecosystem: str
    outcome: Outcome
    size: int = 0
    """Bytes of the dump."""
    as_of: int | None = None
    """When the dump was made (ms since the epoch)."""
    records: int = 0
    """Read now."""
    bad: int = 0
    """Records that could not be used, or not in full: what they are about is not covered."""
    reason: str = ""
    """Why it failed, or was left out; empty otherwise."""


class Watching(Protocol):
    """Who looks on."""

    def downloading(self, ecosystem: str, had: int, of: int | None) -> None:
        """Bytes that are there, and in all."""

    def importing(self, ecosystem: str, step: str, done: int, total: int) -> None:
        """See `feeds.state.Progress`."""

    def over(self, synced: Synced) -> None:
        """One ecosystem is done with."""


class Unwatched:
    """Nobody does."""

    def downloading(self, ecosystem: str, had: int, of: int | None) -> None:
        """See `Watching`."""

    def importing(self, ecosystem: str, step: str, done: int, total: int) -> None:
        """See `Watching`."""

    def over(self, synced: Synced) -> None:
        """See `Watching`."""


class _Taken(msgspec.Struct, frozen=True):
    """The state of a dump that was imported, beside the dump."""

    url: str
    etag: str
    size: int
    modified: int | None


class Syncing:
    """Keeps one folder's feed what the dumps under `base` are."""

    def __init__(
        self,
        *,
        downloads: Downloads,
        imports: Imports,
        clock: Clock,
        base: str = OFFICIAL,
    ) -> None:
        self._downloads = downloads
        self._imports = imports
        self._clock = clock
        self._base = checked_base(base)
        self._folder = imports.folder / "downloads"

    async def sync(
        self, ecosystems: Iterable[str], *, watching: Watching | None = None
    ) -> tuple[Synced, ...]:
        """One after the other, each told of as it ends. Raises FeedBusy while another process
        does the same in this folder, FeedError when the folder cannot be used."""
        wanted = checked_ecosystems(ecosystems)
        watching = watching or Unwatched()
        done = []
        with self._alone():
            for ecosystem in wanted:
                synced = await self._one(ecosystem, watching)
                watching.over(synced)
                done.append(synced)
        return tuple(done)

    async def _one(self, ecosystem: str, watching: Watching) -> Synced:
        into = self._folder / f"{ecosystem}.zip"
        url = str(self._base / ecosystem / "all.zip")
        try:
            dump = await self._downloads.fetch(
                url,
                into,
                max_bytes=MAX_DUMP,
                told=lambda had, of: watching.downloading(ecosystem, had, of),
            )
            known = await asyncio.to_thread(self._need_not, ecosystem, dump)
            if known is not None:
                at = _as_of(dump, self._clock)
                return Synced(ecosystem, "unchanged", dump.size, at, reason=known)
            return await self._imported(ecosystem, dump, watching)
        except (DownloadFailed, FeedError) as error:
            return Synced(ecosystem, "failed", reason=str(error))

    async def _imported(self, ecosystem: str, dump: Download, watching: Watching) -> Synced:
        as_of = _as_of(dump, self._clock)
        imported = await self._imports.run(
            [dump.path],
            whole=[ecosystem],
            as_of=as_of,
            progress=lambda step, done, of: watching.importing(ecosystem, step, done, of),
        )
        await asyncio.to_thread(_mark(dump.path).write_bytes, msgspec.json.encode(_taken(dump)))
        return Synced(ecosystem, "imported", dump.size, as_of, imported.records, imported.bad_count)

    def _need_not(self, ecosystem: str, dump: Download) -> str | None:
        """Why the dump need not be imported; None: it must be."""
        state = FeedFolder(self._imports.folder).state()
        at = _as_of(dump, self._clock)
        known = _as_of_in(state, ecosystem)
        if at is not None and known is not None and known > at:
            return "the feed is newer than this dump"
        there = known is not None or (ecosystem == SCORES_ONLY and state and state.scores)
        return "" if there and _taken_before(dump.path) == _taken(dump) else None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            lock = FolderLock(self._folder)
        except OSError as error:
            raise FeedError(
                f"the feed folder {self._imports.folder} cannot be used: "
                f"{error.strerror or error}; choose a writable one"
            ) from error
        with closing(lock):
            if not lock.take():
                raise FeedBusy(
                    f"another sync into {self._imports.folder} is under way: wait until it is done"
                )
            yield


def checked_ecosystems(names: Iterable[str]) -> tuple[str, ...]:
    """Each once; `default` stands for DEFAULT. Raises InvalidSettings for one that images are not
    asked about."""
    known = sorted({*NAMES, SCORES_ONLY})
    all_names = [each for name in names for each in (DEFAULT if name == "default" else (name,))]
    for name in all_names:
        if name not in known:
            near = get_close_matches(re.sub(":.*", "", name), known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise InvalidSettings(
                f"there is no ecosystem {name!r} (OSV's names, without a release): {hint}"
            )
    return tuple(dict.fromkeys(all_names))


def checked_base(text: str) -> URL:
    """The address that the dumps are under. Raises InvalidSettings, which repeats no password."""
    try:
        url = URL(text.rstrip("/"))
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
        raise InvalidSettings(
            "the dumps' URL (IMAGEGATE_SCANNER_SYNC_URL) must be https://HOST/PATH, or http:// for "
            "a mirror"
        )
    if url.user or url.password:
        raise InvalidSettings(
            "the dumps' URL (IMAGEGATE_SCANNER_SYNC_URL) must not hold credentials: use a mirror "
            "without any"
        )
    return url


def _as_of(dump: Download, clock: Clock) -> int | None:
    """When the dump was made; a server whose clock is ahead does not make it newer than now."""
    return None if dump.modified is None else min(dump.modified, clock.now())


def _as_of_in(state: FeedState | None, ecosystem: str) -> int | None:
    """Up to when the feed has all of an ecosystem; None: it has not."""
    releases = [one for one in state.releases if one.ecosystem == ecosystem] if state else []
    whole = all(one.whole for one in releases)
    return min((one.as_of for one in releases), default=None) if whole else None


def _mark(dump: Path) -> Path:
    return dump.with_name(f"{dump.name}.imported")


def _taken(dump: Download) -> _Taken:
    return _Taken(url=dump.url, etag=dump.etag, size=dump.size, modified=dump.modified)


def _taken_before(dump: Path) -> _Taken | None:
    """What the mark says; None: there is none, or one that cannot be read."""
    try:
        return msgspec.json.decode(_mark(dump).read_bytes(), type=_Taken)
    except (OSError, msgspec.MsgspecError):
        return None
