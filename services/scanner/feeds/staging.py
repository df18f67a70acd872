"""Records on their way into a feed: each entry noted under its release and package.

On disk, since the largest dumps do not fit into memory, and sorted there.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from services.scanner.feeds.ecosystems import Group, group_of, lacks_release, normal_name
from services.scanner.feeds.known import PLAIN, SOME_MODULE
from services.scanner.feeds.merging import START, Entry, Events
from services.scanner.feeds.records import Affected, Doubt, Record
from services.scanner.feeds.scoring import is_unimportant, rating_of, scores_of
from services.scanner.feeds.state import BadRecord
from services.scanner.matching.finding import Severity

_CVE = re.compile(r"(?:[A-Z]+-)?(CVE-\d{4}-\d{4,})")
_NAMES_BY_RELATED = re.compile(
    r"(?:AL[SBE]A|RL[SBE]A|RXSA|RH[SBE]A|(?:open)?SUSE-[A-Z]U|USN|DSA|DLA|DTSA)-"
)
"""Advisories that named their CVEs in `related` before the schema had `upstream`; elsewhere
`related` names other vulnerabilities."""

_MODULAR = re.compile(r"\.module[+_]el")
_STREAM = re.compile(r"(?<![\w.+-])([\w.+-]+:[\w.+-]+)(?![\w.+:-])")

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
        self._seen: dict[str, str] = {}
        self._everywhere: list[tuple[str, str, str]] = []
        self.groups: dict[str, Group] = {}
        self.newest: dict[str, int] = {}
        """By ecosystem, ms since the epoch."""
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
        """False for one that was noted already, at least as new: dumps of several ecosystems
        share records. An older one is taken back."""
        former = self._seen.get(record.id)
        if former is not None and record.modified <= former:
            return False
        self._seen[record.id] = record.modified
        if former is not None:
            self._db.execute("DELETE FROM noted WHERE record = ?", (record.id,))
            self._db.execute("DELETE FROM scores WHERE id = ?", (record.id,))
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
        if group is None or not self._counts(group.ecosystem.name):
            return 0
        made = _entry(record, entry, group, package.purl)
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


def _entry(record: Record, entry: Affected, group: Group, purl: object) -> Entry | None:
    """None where no version can be compared with what it says."""
    usable = [one for one in entry.ranges if one.type in {"ECOSYSTEM", "SEMVER"}]
    ranges = tuple(_events(one.events, _epoch(group, purl)) for one in usable)
    if any(all(kind != "introduced" for kind, _ in events) for events in ranges):
        return None
    if not ranges and not entry.versions:
        if entry.ranges:
            return None
        ranges = ((("introduced", START),),)
    scores = scores_of(record, entry)
    return Entry(
        record=record.id,
        subjects=subjects_of(record),
        own=_CVE.fullmatch(record.id) is not None,
        ranges=ranges,
        versions=entry.versions,
        paid=group.paid,
        unimportant=is_unimportant(entry),
        scores=scores,
        rating=Severity.UNKNOWN if scores else rating_of(record, entry),
        published=milliseconds(record.published),
        module=_module(record, ranges) if group.ecosystem.scheme == "rpm" else PLAIN,
    )


def _events(events: Iterable[msgspec.Struct], epoch: str) -> Events:
    return tuple(
        (kind, _with_epoch(text, epoch))
        for event in events
        for kind in event.__struct_fields__
        if (text := getattr(event, kind)) is not None
    )


def _epoch(group: Group, purl: object) -> str:
    """Rocky's older records have the epoch in the purl alone: `...?distro=rocky-9&epoch=1`."""
    if group.ecosystem.scheme != "rpm" or not isinstance(purl, str) or "epoch=" not in purl:
        return ""
    epoch = parse_qs(urlsplit(purl).query).get("epoch", [""])[0]
    return epoch if epoch.isdecimal() and epoch != "0" else ""


def _with_epoch(text: str, epoch: str) -> str:
    return f"{epoch}:{text}" if epoch and text not in {START, "*"} and ":" not in text else text


def _module(record: Record, ranges: Iterable[Events]) -> str:
    """The stream stands in the summary alone: `Important: nodejs:22 security update`."""
    if not any(_MODULAR.search(text) for events in ranges for _, text in events):
        return PLAIN
    summary = record.summary if isinstance(record.summary, str) else ""
    streams = set(_STREAM.findall(summary.partition(": ")[2]))
    return streams.pop() if len(streams) == 1 else SOME_MODULE


def subjects_of(record: Record) -> tuple[str, ...]:
    """The CVEs that a record is about; without any GitHub's id or its own."""
    named = [record.id, *(record.aliases or ()), *(record.upstream or ())]
    if _NAMES_BY_RELATED.match(record.id) and not any(map(_CVE.fullmatch, named)):
        named += record.related or ()
    cves = [found[1] for name in named if (found := _CVE.fullmatch(name))]
    if cves:
        return tuple(dict.fromkeys(cves))
    return (next((name for name in named if name.startswith("GHSA-")), record.id),)


@lru_cache(maxsize=1024)
def milliseconds(written: str | None) -> int | None:
    """Since the epoch, of RFC 3339 or a day; None for a text that is none."""
    try:
        at = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", written or ""))
    except ValueError:
        return None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
