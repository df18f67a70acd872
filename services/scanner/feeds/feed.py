"""Advisories of distributions, and which packages they say anything about.

A folder of JSON files, one a release (docs/design/scanner.md, "The feed"). A package that no
file covers is not clean but unknown, and so is a vulnerability without a severity.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from importlib.resources import files
from pathlib import Path

import msgspec
from univers.versions import DebianVersion, InvalidVersion

from services.scanner.matching.finding import Finding, Matches, Score, Severity
from services.scanner.records import ImageFacts, Package
from shared.domain.errors import InvalidSettings

PACKAGED = Path(str(files("services.scanner"))) / "data" / "feed"


class Cvss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A CVSS 3.x base score, and its vector where it is known."""

    score: float
    vector: str = ""


class Advisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One vulnerability of one source package in one release."""

    id: str
    source: str
    fixed: str | None = None
    """The first version of the release without it; None: there is none yet."""
    cvss: Cvss | None = None
    distributor: str = ""
    """The distributor's own judgement where it counts instead: `unimportant`."""
    advisory: str = ""
    note: str = ""

    @property
    def severity(self) -> Severity:
        """Unknown where neither the distributor nor a score says it."""
        if self.distributor == "unimportant":
            return Severity.NEGLIGIBLE
        return Severity.of_score(self.cvss.score) if self.cvss else Severity.UNKNOWN


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution's release, by the ids of its os-release."""

    id: str
    version: str
    codename: str
    package_type: str
    url: str
    """Of an advisory; `{id}` is its id."""


class ReleaseFeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    schema: int
    release: Release
    as_of: date
    """Up to this day the advisories of what is covered are in it."""
    about: tuple[str, ...]
    sources: tuple[str, ...]
    covers: tuple[str, ...]
    """Source packages."""
    advisories: tuple[Advisory, ...]


class Feed:
    """All releases of a folder."""

    def __init__(self, releases: tuple[ReleaseFeed, ...]) -> None:
        self.releases = releases
        self.identity = hashlib.sha256(msgspec.json.encode(releases)).hexdigest()
        self._by_release = {(one.release.id, one.release.version): one for one in releases}
        self._covered = {key: frozenset(one.covers) for key, one in self._by_release.items()}

    @classmethod
    def read(cls, folder: Path | None = None) -> "Feed":
        """Read every `*.json`. Raises InvalidSettings, which names the file."""
        place = folder or PACKAGED
        paths = sorted(place.glob("*.json"))
        if not paths:
            raise InvalidSettings(f"no advisory files (*.json) in the feed folder {place}")
        return cls(tuple(_read(path) for path in paths))

    def release_of(self, facts: ImageFacts) -> ReleaseFeed | None:
        """The advisories of the image's release."""
        return self._by_release.get((facts.distro, facts.distro_version))

    def covers(self, facts: ImageFacts, package: Package) -> bool:
        """Whether silence about `package` means that nothing is known against it."""
        release = self.release_of(facts)
        return (
            release is not None
            and package.type == release.release.package_type
            and package.source in self._covered[facts.distro, facts.distro_version]
            and _version(package.source_version) is not None
        )

    def match(self, facts: ImageFacts) -> Matches:
        """All that it says of an image."""
        group = f"{facts.distro}:{facts.distro_version}"
        release = self.release_of(facts)
        if release is None:
            return Matches(
                data=self.identity,
                group=group,
                unavailable="there is no data about this release",
                uncovered=facts.packages,
            )
        at = datetime.combine(release.as_of, time.min, UTC)
        return Matches(
            data=self.identity,
            group=group,
            as_of=int(at.timestamp() * 1000),
            findings=tuple(self._findings(facts, release, group)),
            uncovered=tuple(one for one in facts.packages if not self.covers(facts, one)),
        )

    def _findings(self, facts: ImageFacts, release: ReleaseFeed, group: str) -> Iterator[Finding]:
        by_source: dict[str, list[Advisory]] = {}
        for advisory in release.advisories:
            by_source.setdefault(advisory.source, []).append(advisory)
        for package in facts.packages:
            if not self.covers(facts, package):
                continue
            for advisory in by_source.get(package.source, ()):
                if _affects(advisory, package):
                    yield Finding(
                        id=advisory.id,
                        package=package,
                        severity=advisory.severity,
                        fixed=advisory.fixed,
                        scores=(Score(advisory.cvss.score, advisory.cvss.vector),)
                        if advisory.cvss
                        else (),
                        url=release.release.url.replace("{id}", advisory.id),
                        group=group,
                    )


def _affects(advisory: Advisory, package: Package) -> bool:
    """Versions are the distribution's: upstream's fixed version says nothing of a backport."""
    if advisory.fixed is None:
        return True
    installed, fixed = _version(package.source_version), _version(advisory.fixed)
    return installed is not None and fixed is not None and bool(installed < fixed)


def _version(text: str) -> DebianVersion | None:
    try:
        return DebianVersion(text)
    except (InvalidVersion, ValueError, TypeError):
        return None


def _read(path: Path) -> ReleaseFeed:
    try:
        feed = msgspec.json.decode(path.read_bytes(), type=ReleaseFeed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidSettings(f"the advisory file {path} cannot be used: {error}") from error
    if feed.schema != 1 or feed.release.package_type != "deb":
        raise InvalidSettings(f"the advisory file {path} is not of schema 1 about deb packages")
    for advisory in feed.advisories:
        if advisory.source not in feed.covers:
            raise InvalidSettings(
                f"the advisory file {path}: {advisory.id} is about {advisory.source}, which "
                "`covers` does not name"
            )
        if advisory.fixed is not None and _version(advisory.fixed) is None:
            raise InvalidSettings(f"the advisory file {path}: {advisory.id} has no valid version")
    return feed
