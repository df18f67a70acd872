"""Writing the file of a new feed: what was noted, and what the feed before says of the rest."""

import hashlib
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from services.scanner.feeds.descriptor import Descriptor
from services.scanner.feeds.ecosystems import Group, Scheme
from services.scanner.feeds.known import Known, encode_known
from services.scanner.feeds.merging import Entry, merge
from services.scanner.feeds.schema import create, open_read
from services.scanner.feeds.staging import Package, Stage
from services.scanner.feeds.state import BadRecord, FeedRefused, Progress
from services.scanner.feeds.versions import BadVersion

EMPTY = encode_known(Known())


class Build(msgspec.Struct, frozen=True):
    """What a feed is made of."""

    stage: Stage
    descriptor: Descriptor
    whole: frozenset[str]
    as_of: int | None
    """When the dump was made; None: by its newest record."""
    before: Path | None
    """The feed whose other ecosystems are kept."""
    now: int
    demonstration: str = ""
    """Which one; empty: it is none."""


class Built(msgspec.Struct, frozen=True):
    """A file that is whole."""

    identity: str
    kept: tuple[str, ...]
    bad: tuple[BadRecord, ...]
    """Records whose versions cannot be compared."""


def build(file: Path, build: Build, progress: Progress) -> Built:
    """Write `file`, check it, and see it on the disk. Raises FeedRefused."""
    writer = _Writer(create(file), build)
    try:
        writer.groups()
        bad = writer.packages(progress)
        kept = writer.kept()
        identity = writer.finish()
    except sqlite3.Error as error:
        raise FeedRefused(
            f"the feed {file} cannot be written: {error}; is the disk full?"
        ) from error
    finally:
        writer.close()
    _check(file, identity, progress)
    return Built(identity, kept, tuple(bad))


class _Writer:
    def __init__(self, connection: sqlite3.Connection, build: Build) -> None:
        self._db = connection
        self._build = build
        self._ids: dict[str, int] = {}
        self._db.execute("BEGIN")

    def close(self) -> None:
        self._db.close()

    def groups(self) -> None:
        stage, descriptor = self._build.stage, self._build.descriptor
        groups = dict(stage.groups)
        groups |= {group.name: group for group, _ in descriptor.covers}
        counts = stage.counts()
        for group in sorted(groups.values(), key=lambda one: one.name):
            self._ids[group.name] = self._release(group, counts.get(group.name, 0))
        for group, names in descriptor.covers:
            self._insert((group.name, name, None, EMPTY) for name in names)

    def packages(self, progress: Progress) -> list[BadRecord]:
        bad: list[BadRecord] = []
        for number, package in enumerate(self._build.stage.packages()):
            self._insert([self._row(package, bad)])
            if number % 1000 == 0:
                progress("build", number, 0)
        self._db.executemany("INSERT INTO scores VALUES (?, ?)", self._build.stage.scores())
        return bad

    def kept(self) -> tuple[str, ...]:
        """Copy what the feed before says of ecosystems that this import does not speak of."""
        if self._build.before is None:
            return ()
        spoken = {group.ecosystem.name for group in self._build.stage.groups.values()}
        spoken |= {group.ecosystem.name for group, _ in self._build.descriptor.covers}
        spoken |= self._build.whole
        before = open_read(self._build.before)
        try:
            return self._copy(before, spoken)
        finally:
            before.close()

    def finish(self) -> str:
        """Returns the identity: of what is said, not of when it was built."""
        identity = self._identity()
        self._db.executemany(
            "INSERT INTO meta VALUES (?, ?)",
            [
                ("identity", identity),
                ("built_at", self._build.now),
                ("demonstration", self._build.demonstration),
            ],
        )
        self._db.execute("COMMIT")
        return identity

    def _copy(self, before: sqlite3.Connection, spoken: set[str]) -> tuple[str, ...]:
        kept = set()
        releases = before.execute(
            "SELECT id, name, ecosystem, as_of, whole, records FROM releases ORDER BY name"
        )
        for old_id, name, ecosystem, *rest in releases.fetchall():
            if ecosystem in spoken:
                continue
            kept.add(ecosystem)
            new_id = self._add_release(name, ecosystem, *rest)
            rows = before.execute(
                "SELECT name, doubt, known FROM packages WHERE release = ? ORDER BY name", (old_id,)
            )
            self._db.executemany(
                "INSERT INTO packages VALUES (?, ?, ?, ?)", ((new_id, *row) for row in rows)
            )
        self._db.executemany(
            "INSERT OR IGNORE INTO scores VALUES (?, ?)",
            before.execute("SELECT id, scores FROM scores"),
        )
        return tuple(sorted(kept))

    def _release(self, group: Group, records: int) -> int:
        ecosystem = group.ecosystem.name
        said = (
            self._build.as_of
            or self._build.descriptor.as_of
            or self._build.stage.newest.get(ecosystem, 0)
        )
        as_of = min(said, self._build.now)  # a wrong year must not keep it fresh for ever
        return self._add_release(
            group.name, ecosystem, as_of, ecosystem in self._build.whole, records
        )

    def _add_release(self, *row: object) -> int:
        cursor = self._db.execute(
            "INSERT INTO releases (name, ecosystem, as_of, whole, records) VALUES (?, ?, ?, ?, ?)",
            row,
        )
        return int(cursor.lastrowid or 0)

    def _row(self, package: Package, bad: list[BadRecord]) -> tuple[str, str, str | None, bytes]:
        """What the good records say of a package is kept, whatever the bad ones are about."""
        scheme = self._build.stage.groups[package.group].ecosystem.scheme
        doubts = list(package.doubts)
        try:
            known = merge(scheme, package.entries)
        except BadVersion as error:
            reasons = {entry.record: _reason(scheme, entry) for entry in package.entries}
            wrong = {record: reason for record, reason in reasons.items() if reason}
            about = (f"{package.group} {package.name}",)
            bad += [BadRecord(record, reason, about) for record, reason in wrong.items()]
            doubts += [f"{record}: {reason}" for record, reason in wrong.items()] or [str(error)]
            good = [entry for entry in package.entries if entry.record not in wrong]
            known = _merged(scheme, good) if wrong else Known()
        return package.group, package.name, "; ".join(doubts[:3]) or None, encode_known(known)

    def _insert(self, rows: Iterable[tuple[str, str, str | None, bytes]]) -> None:
        self._db.executemany(
            "INSERT INTO packages VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "doubt = excluded.doubt, known = excluded.known",
            ((self._ids[group], name, doubt, known) for group, name, doubt, known in rows),
        )

    def _identity(self) -> str:
        digest = hashlib.sha256(self._build.demonstration.encode())
        for query in (
            "SELECT name, ecosystem, as_of, whole, records FROM releases ORDER BY name",
            "SELECT r.name, p.name, doubt, known FROM packages p JOIN releases r ON r.id = release "
            "ORDER BY r.name, p.name",
            "SELECT id, scores FROM scores ORDER BY id",
        ):
            for row in self._db.execute(query):
                digest.update(msgspec.msgpack.encode(row))
        return digest.hexdigest()[:32]


def _merged(scheme: Scheme, good: list[Entry]) -> Known:
    """Nothing where each entry is good by itself, and their versions cannot be compared."""
    try:
        return merge(scheme, good)
    except BadVersion:
        return Known()


def _reason(scheme: Scheme, entry: Entry) -> str | None:
    """What is wrong with the versions of an entry."""
    try:
        merge(scheme, [entry])
    except BadVersion as error:
        return str(error)
    return None


def _check(file: Path, identity: str, progress: Progress) -> None:
    """The file is on the disk, opens, is sound, and says who it is. Raises FeedRefused."""
    progress("check", 0, 0)
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
    connection = open_read(file)
    try:
        (sound,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        found = connection.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()
    finally:
        connection.close()
    if sound != "ok" or found != (identity,):
        raise FeedRefused(
            f"the new feed {file} is not what was written: {sound}; is the disk good?"
        )
