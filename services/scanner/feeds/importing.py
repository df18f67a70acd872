"""Importing OSV records: files in, a new feed out, or the old one untouched.

```python
folder = FeedFolder(settings.feeds)
imported = import_records(folder, [Path("all.zip")], whole=["Debian"])
```
"""

import time
from collections.abc import Iterable
from pathlib import Path

from services.scanner.feeds.building import Build, build
from services.scanner.feeds.descriptor import Descriptor, read_descriptor
from services.scanner.feeds.ecosystems import NAMES, SCORES_ONLY
from services.scanner.feeds.folder import FeedFolder, read_state
from services.scanner.feeds.lifecycle import ended_before
from services.scanner.feeds.records import Unreadable, decode_record
from services.scanner.feeds.sources import Sources, Text
from services.scanner.feeds.staging import Stage
from services.scanner.feeds.state import (
    BadRecord,
    FeedError,
    FeedRefused,
    FeedState,
    Imported,
    Progress,
    no_progress,
)

SHOWN = 1000
ENOUGH = 100
"""Records of a release, for a dump with less than half of them to be suspicious."""


def import_records(
    folder: FeedFolder,
    sources: Iterable[Path],
    *,
    whole: Iterable[str] = (),
    as_of: int | None = None,
    leave_out_unreadable: bool = False,
    progress: Progress = no_progress,
    demonstration: str = "",
) -> Imported:
    """Build a feed of `sources` and of what the folder's feed says of other ecosystems.

    `sources` are `.json` records, `.zip` archives of them (OSV's `all.zip`), or folders of both.
    Without `whole` they speak of the packages that they name, or that a descriptor
    `imagegate-feed.json` among them names (feeds/descriptor.py).
    `whole` names the ecosystems (`Debian`, `PyPI`) of which they are the official dump: silence
    about a package of a release in it then means that nothing is known against it, and entries
    about other ecosystems do not count. Each ecosystem that they speak of replaces what the
    feed before said of it; a demonstration feed is replaced altogether. Records of CVEs without
    packages (`whole=["GIT"]`) are kept for their scores.
    `as_of` (ms since the epoch) is when the dump was made; else the newest record's change.

    Blocks; call it in a thread. Raises FeedBusy; FeedRefused when a source cannot be read to its
    end, is a bomb, lacks half of what the feed before knew, or holds records that are
    unreadable, so that nobody knows which packages they are about (`leave_out_unreadable`
    accepts that); FeedError.
    """
    wanted = frozenset(whole)
    if unknown := wanted - NAMES - {SCORES_ONLY}:
        raise FeedRefused(
            f"no ecosystem of OSV's that images are asked about: {', '.join(sorted(unknown))}; "
            f"there are {', '.join(sorted(NAMES))}"
        )
    with folder.locked():
        former = _former(folder)
        staged = folder.building().with_suffix(".stage")
        stage = Stage(staged, whole=wanted)
        try:
            reading = _Reading(stage)
            reading.all(Sources(sources), progress)
            reading.check(leave_out_unreadable, wanted)
            _check_whole(former, stage.counts(), wanted)
            built = build(
                folder.building(),
                Build(
                    stage=stage,
                    descriptor=reading.descriptor,
                    whole=wanted,
                    as_of=as_of,
                    before=folder.current() if former and not former.demonstration else None,
                    now=int(time.time() * 1000),
                    demonstration=demonstration,
                ),
                progress,
            )
        finally:
            stage.close()
            staged.unlink(missing_ok=True)
        file = folder.replace(folder.building(), built.identity)
    bad = [*reading.bad, *built.bad]
    return Imported(
        state=read_state(file),
        records=reading.records,
        withdrawn=reading.withdrawn,
        elsewhere=reading.elsewhere,
        bad=tuple(bad[:SHOWN]),
        bad_count=len(bad),
        kept=built.kept,
        changed=former is None or former.identity != built.identity,
    )


def _former(folder: FeedFolder) -> FeedState | None:
    """None too for one that nobody can read any more: there is nothing in it to keep."""
    try:
        return folder.state()
    except FeedError:
        return None


def _check_whole(former: FeedState | None, counts: dict[str, int], whole: frozenset[str]) -> None:
    """A dump of which half is missing is well-formed all the same, and its silence would be
    believed. Once support has ended distributors do take records back. Raises FeedRefused."""
    now = int(time.time() * 1000)
    for release in former.releases if former else ():
        found = counts.get(release.name, 0)
        if not release.whole or release.ecosystem not in whole or release.records < ENOUGH:
            continue
        if found < release.records / 2 and not ended_before(release.name, now):
            raise FeedRefused(
                f"{found} records about {release.name}, where the feed has {release.records}: the "
                "dump is not whole. The feed stays as it was: get it again; if it is right, remove "
                "`current` from the feed's folder and import again"
            )


class _Reading:
    """The sources' records, noted one by one."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.descriptor = Descriptor()
        self.bad: list[BadRecord] = []
        self.unreadable: list[BadRecord] = []
        self.records = 0
        self.withdrawn = 0
        self.elsewhere = 0

    def all(self, sources: Sources, progress: Progress) -> None:
        for number, text in enumerate(sources):
            if number % 500 == 0:
                progress("read", number, sources.total)
            if text.descriptor:
                self.descriptor = self.descriptor.joined(read_descriptor(text.content, text.where))
            else:
                self._one(text)
        progress("read", sources.total, sources.total)
        self._stage.settle()

    def check(self, leave_out: bool, whole: frozenset[str]) -> None:
        """Raises FeedRefused."""
        self.bad += self.unreadable
        if self.unreadable and not leave_out:
            shown = "; ".join(f"{one.where}: {one.reason}" for one in self.unreadable[:5])
            raise FeedRefused(
                f"{len(self.unreadable)} of {self.records} records cannot be read, so that nobody "
                f"knows which packages they are about: {shown}. The feed stays as it was: get the "
                "records again, or leave these out knowingly"
            )
        if not self._stage.groups and not self.descriptor.covers and self.elsewhere == self.records:
            raise FeedRefused(self._about_nothing(whole))

    def _about_nothing(self, whole: frozenset[str]) -> str:
        if not whole:
            return (
                f"none of {self.records} records is about a release or language that is known here"
            )
        others = ", ".join(sorted(self._stage.others))
        named = f": they are about {others}, so name that" if others else ""
        return (
            f"none of {self.records} records is about {', '.join(sorted(whole))}, whose whole dump "
            f"they were said to be{named}"
        )

    def _one(self, text: Text) -> None:
        self.records += 1
        try:
            record, doubts = decode_record(text.content)
        except Unreadable as error:
            self.unreadable.append(BadRecord(text.where, str(error)))
            return
        if record is None:
            self.bad += self._stage.doubt(doubts, text.where)
        elif self._stage.is_news(record):
            if record.withdrawn:
                self.withdrawn += 1
                return
            count, bad = self._stage.note(record, doubts, text.where)
            self.bad += bad
            self.elsewhere += not count and not bad
