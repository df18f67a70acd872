"""Records on their way into a feed: each entry noted under its release and package.

On disk, since the largest dumps do not fit into memory, and sorted there.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from services.scanner.feeds.ecosystems import Group, group_of, lacks_release, normal_name
from services.scanner.feeds.entries import entry_of, milliseconds
from services.scanner.feeds.merging import Entry
from services.scanner.feeds.records import Affected, Doubt, Record
from services.scanner.feeds.scoring import scores_of
from services.scanner.feeds.state import BadRecord

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


class Package(NamedTuple):
    """A package with all that was noted about it."""

    group: str
    name: str
    entries: list[Entry]
    doubts: list[str]


class Stage:
    """A file beside the feed that is being built; removed by who made it."""

    def __init__(self, file: Path, *, whole: frozenset[str]) -> None:
        self._whole = whole
        self._seen: dict[str, int | None] = {}
        self._everywhere: list[tuple[str, str, str]] = []
        self.groups: dict[str, Group] = {}
        self.newest: dict[str, int] = {}
        """By ecosystem, ms since the epoch."""
        self.others: set[str] = set()
        """Ecosystems that records are about, though these are no dump of them."""
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE noted (release TEXT, package TEXT, record TEXT, entry BLOB, doubt TEXT);"
            "CREATE TABLE scores (id TEXT PRIMARY KEY, scores BLOB);"
            "CREATE INDEX by_record ON noted (record);"
            "BEGIN;"
        )

    def close(self) -> None:
        """The file is of no use afterwards."""
        self._db.close()

    def is_news(self, record: Record) -> bool:
        """False for one of which a newer was noted already: dumps of several ecosystems share
        records. An older one is taken back; of two that are as old, or that do not say when they
        were changed, both count."""
        at, former = milliseconds(record.modified), self._seen.get(record.id)
        if at is not None and former is not None:
            if at < former:
                return False
            if at > former:
                self._db.execute("DELETE FROM noted WHERE record = ?", (record.id,))
                self._db.execute("DELETE FROM scores WHERE id = ?", (record.id,))
        self._seen[record.id] = former if at is None else at
        return True

    def note(
        self, record: Record, doubts: Iterable[Doubt], where: str
    ) -> tuple[int, list[BadRecord]]:
        """How many packages it is about that count here, and what of it is bad."""
        doubts = list(doubts)
        count = 0
        for entry in record.affected or ():
            count += self._note_entry(record, entry, doubts)
        if record.id.startswith("CVE-") and (scores := scores_of(record)):
            self._db.execute(
                "INSERT OR REPLACE INTO scores VALUES (?, ?)", (record.id, _encode(scores))
            )
            count += 1
        return count, self.doubt(doubts, where, record.id)

    def doubt(self, doubts: Iterable[Doubt], where: str, record: str = "") -> list[BadRecord]:
        """Note the packages of bad entries, as far as they count here."""
        bad = []
        for one in doubts:
            if not self._counts(one.ecosystem):
                continue
            group, text = group_of(one.ecosystem), f"{where}: {one.reason}"
            if group is not None:
                name = normal_name(group.ecosystem, one.name)
                self._insert(group, name, record, None, text)
                bad.append(BadRecord(where, one.reason, (f"{group.name} {one.name}",)))
            elif lacks_release(one.ecosystem):
                ecosystem = one.ecosystem.partition(":")[0]
                self._everywhere.append((ecosystem, one.name, text))
                bad.append(BadRecord(where, one.reason, (f"{ecosystem} {one.name}",)))
        return bad

    def settle(self) -> None:
        """Once all is noted: what names no release counts for every release of its ecosystem."""
        for ecosystem, name, text in self._everywhere:
            for group in list(self.groups.values()):
                if group.ecosystem.name == ecosystem:
                    self._insert(group, normal_name(group.ecosystem, name), "", None, text)

    def packages(self) -> Iterator[Package]:
        """All of them, in order."""
        current: Package | None = None
        for release, name, entry, doubt in self._db.execute(
            "SELECT release, package, entry, doubt FROM noted "
            "ORDER BY release, package, record, rowid"
        ):
            if current is None or (current.group, current.name) != (release, name):
                if current is not None:
                    yield current
                current = Package(release, name, [], [])
            if entry is not None:
                current.entries.append(_decode(entry))
            if doubt is not None:
                current.doubts.append(doubt)
        if current is not None:
            yield current

    def counts(self) -> dict[str, int]:
        """Records by release."""
        return dict(
            self._db.execute("SELECT release, count(DISTINCT record) FROM noted GROUP BY release")
        )

    def scores(self) -> Iterator[tuple[str, bytes]]:
        """CVEs and their scores, packed."""
        return iter(self._db.execute("SELECT id, scores FROM scores ORDER BY id"))

    def _note_entry(self, record: Record, entry: Affected, doubts: list[Doubt]) -> int:
        package = entry.package
        if package is None:
            return 0
        if lacks_release(package.ecosystem) and self._counts(package.ecosystem):
            doubts.append(Doubt(package.ecosystem, package.name, "it names no release"))
            return 1
        group = group_of(package.ecosystem)
        if group is None:
            return 0
        if not self._counts(group.ecosystem.name):
            self.others.add(group.ecosystem.name)
            return 0
        made = entry_of(record, entry, group)
        if made is None:
            doubts.append(Doubt(package.ecosystem, package.name, "its ranges are not by versions"))
            return 1
        changed = milliseconds(record.modified) or milliseconds(record.published) or 0
        ecosystem = group.ecosystem.name
        self.newest[ecosystem] = max(self.newest.get(ecosystem, 0), changed)
        self._insert(group, normal_name(group.ecosystem, package.name), record.id, made, None)
        return 1

    def _counts(self, ecosystem: str) -> bool:
        return not self._whole or ecosystem.partition(":")[0] in self._whole

    def _insert(
        self, group: Group, name: str, record: str, entry: Entry | None, doubt: str | None
    ) -> None:
        self.groups.setdefault(group.name, group)
        packed = None if entry is None else _encode(entry)
        self._db.execute(
            "INSERT INTO noted VALUES (?, ?, ?, ?, ?)", (group.name, name, record, packed, doubt)
        )
