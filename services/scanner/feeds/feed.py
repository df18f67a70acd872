"""A built feed, asked about images.

What is known of a package in one version is kept: images share most of theirs. Nothing is kept
across feeds.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from services.scanner.feeds.ecosystems import (
    Group,
    asked_as,
    group_of_image,
    is_of_another_vendor,
    languages,
    normal_name,
)
from services.scanner.feeds.known import Known, Vulnerability, decode_known
from services.scanner.feeds.lifecycle import ended_before
from services.scanner.feeds.links import link_to
from services.scanner.feeds.schema import open_read
from services.scanner.feeds.scoring import severity_of
from services.scanner.feeds.state import FeedError
from services.scanner.feeds.subject import stream_of, subject_to
from services.scanner.feeds.versions import BadVersion
from services.scanner.matching.finding import Finding, Matches, Score, Severity
from services.scanner.records import OS_PACKAGES, ImageFacts, Package

MAX_FINDINGS = 100_000
"""Of one image: ten times what the largest that people build have."""
_KEPT_HITS = 100_000
"""Some 30 MB: a version of a kernel alone has thousands, and an image may list any versions."""

_scores = msgspec.msgpack.Decoder(tuple[Score, ...]).decode


class _Hit(msgspec.Struct, frozen=True, gc=False):
    """What a version is subject to: all of a finding but the package."""

    id: str
    severity: Severity
    fixed: str | None
    scores: tuple[Score, ...]
    advisories: tuple[str, ...]
    url: str
    published: int | None
    fix_published: int | None


class _Told(NamedTuple):
    """What is known of a version; not `covered`: what is not known may be there all the same."""

    covered: bool
    hits: tuple[_Hit, ...]


_NOTHING = _Told(covered=False, hits=())


class _Release(msgspec.Struct, frozen=True):
    id: int
    as_of: int
    whole: bool


class Feed:
    """One file, open for reading. Not for several threads."""

    def __init__(self, connection: sqlite3.Connection, identity: str) -> None:
        self.identity = identity
        self._db = connection
        self._releases = {
            name: _Release(id_, as_of, bool(whole))
            for id_, name, as_of, whole in connection.execute(
                "SELECT id, name, as_of, whole FROM releases"
            )
        }
        self._hits = lru_cache(maxsize=100_000)(self._look_up)
        self._held = 0
        self._named = lru_cache(maxsize=20_000)(self._names)
        self._score = lru_cache(maxsize=20_000)(self._score_of)

    @classmethod
    def open(cls, file: Path) -> "Feed":
        """Raises FeedError."""
        connection = open_read(file)
        try:
            row = connection.execute("SELECT value FROM meta WHERE name = 'identity'").fetchone()
            return cls(connection, row[0])
        except (sqlite3.Error, TypeError) as error:
            raise FeedError(f"the feed {file} cannot be read: {error}; import again") from error

    def close(self) -> None:
        """Of no use afterwards."""
        self._db.close()

    def match(self, facts: ImageFacts) -> Matches:
        """All that it says of an image. Raises FeedError for more than anybody can read."""
        group = group_of_image(facts)
        release = self._releases.get(group.name) if group else None
        asked = {one.ecosystem.package_type: one for one in languages()}
        if group is not None:
            asked[group.ecosystem.package_type] = group
        owners = self._owners(facts, group)
        findings: list[Finding] = []
        uncovered: list[Package] = []
        for package in facts.packages:
            if package.owner in owners and package.type not in OS_PACKAGES:
                continue  # its fixes are the distributor's: what owns it is asked about
            about = asked.get(package.type)
            told = self._of(package, about)
            if not told.covered or is_of_another_vendor(package, about):
                uncovered.append(package)
            if about is not None:
                findings += _findings(package, about, told.hits)
            if len(findings) > MAX_FINDINGS:
                raise FeedError(
                    f"more than {MAX_FINDINGS} vulnerabilities in one image: its list of packages "
                    "is not that of an image that people build"
                )
        return Matches(
            data=self.identity,
            group=group.name if group else f"{facts.distro}:{facts.distro_version}",
            as_of=release.as_of if release else None,
            unavailable=_unavailable(group, release),
            findings=tuple(findings),
            uncovered=tuple(uncovered),
        )

    def _owners(self, facts: ImageFacts, group: Group | None) -> frozenset[str]:
        """Packages by whose records all that they brought is judged: those that the distributor's
        records name. A package that was built elsewhere they never heard of."""
        if group is None or group.name not in self._releases:
            return frozenset()
        wanted = {one.owner for one in facts.packages if one.owner}
        return frozenset(
            one.name
            for one in facts.packages
            if one.name in wanted
            and one.type == group.ecosystem.package_type
            and not is_of_another_vendor(one, group)
            and self._named(group, normal_name(group.ecosystem, asked_as(one, group.ecosystem)[0]))
        )

    def _names(self, group: Group, name: str) -> bool:
        release = self._releases[group.name]
        query = "SELECT 1 FROM packages WHERE release = ? AND name = ?"
        return self._db.execute(query, (release.id, name)).fetchone() is not None

    def _of(self, package: Package, group: Group | None) -> _Told:
        if group is None or group.name not in self._releases:
            return _NOTHING
        name, version = asked_as(package, group.ecosystem)
        if not name:
            return _NOTHING
        return self._hits(group, normal_name(group.ecosystem, name), version, stream_of(package))

    def _look_up(self, group: Group, name: str, version: str, stream: str) -> _Told:
        release = self._releases[group.name]
        row = self._db.execute(
            "SELECT doubt, known FROM packages WHERE release = ? AND name = ?", (release.id, name)
        ).fetchone()
        if row is None and not release.whole:
            return _NOTHING
        doubt, packed = row or (None, None)
        known = decode_known(packed) if packed else Known()
        try:
            rung = known.rung(group.ecosystem.scheme, version)
        except BadVersion:
            return _NOTHING
        hits = tuple(self._hit(group, *one) for one in subject_to(known, rung, stream))
        self._held += len(hits)
        if self._held > _KEPT_HITS:
            self._held = len(hits)
            self._hits.cache_clear()
        return _Told(doubt is None, hits)

    def _hit(self, group: Group, found: Vulnerability, fixed: str | None) -> _Hit:
        scores, severity = found.scores, found.severity
        if found.ask and (own := self._score(found.id)):
            scores, severity = own, severity_of(own)
        return _Hit(
            id=found.id,
            severity=severity,
            fixed=fixed,
            scores=scores,
            advisories=found.advisories,
            url=link_to(group, found.id),
            published=found.published,
            fix_published=found.fix_published if fixed else None,
        )

    def _score_of(self, cve: str) -> tuple[Score, ...]:
        row = self._db.execute("SELECT scores FROM scores WHERE id = ?", (cve,)).fetchone()
        return _scores(row[0]) if row else ()


class OpenFeed:
    """The feed that was asked last: a question of another one opens that."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._feed: Feed | None = None

    def at(self, file: Path) -> Feed:
        """Raises FeedError."""
        if self._feed is None or self._file != file:
            feed = Feed.open(file)
            if self._feed is not None:
                self._feed.close()
            self._file, self._feed = file, feed
        return self._feed


def _unavailable(group: Group | None, release: _Release | None) -> str:
    if group is None or release is None:
        return "there is no data about this release"
    if ended := ended_before(group.name, release.as_of):
        return (
            f"support of this release ended on {ended}: nobody looks any more whether new "
            "vulnerabilities concern it"
        )
    return ""


def _findings(package: Package, group: Group, hits: Iterable[_Hit]) -> Iterator[Finding]:
    for hit in hits:
        yield Finding(
            id=hit.id,
            package=package,
            severity=hit.severity,
            fixed=hit.fixed,
            scores=hit.scores,
            advisories=hit.advisories,
            url=hit.url,
            group=group.name,
            published=hit.published,
            fix_published=hit.fix_published,
        )
