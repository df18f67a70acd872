"""Releases of distributions as Grype's database names them, and which of them an image's is.

Grype itself says of a release it has no records of what it says of a clean image: nothing. It even
takes the records of another release of the same major version (Alpine 3.20's for 3.24). So a
release counts here only where it stands in the database itself.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from services.scanner.feeds.ecosystems import ECOSYSTEMS
from services.scanner.feeds.lifecycle import ended_before
from services.scanner.records import UNKNOWN_DISTRO, ImageFacts

_DISTRIBUTIONS = frozenset(one.distribution for one in ECOSYSTEMS if one.distribution)


class Release(msgspec.Struct, frozen=True):
    """A release of a distribution; text that is not there is empty."""

    names: tuple[str, ...]
    """Those that os-release's ID may have."""
    major: str
    minor: str
    label: str
    codename: str
    kinds: tuple[str, ...]
    """Types of its packages, in Syft's words: deb."""
    records: int
    captured: int | None
    """When its records were taken from the distributor (ms since the epoch)."""
    ended: str
    """Grype's day on which normal support ends, as `2022-06-30`; empty: it knows none."""

    @property
    def version(self) -> str:
        """As people write it: `12`, `3.20`, `22.04`, `edge`."""
        minor = self.minor.zfill(2) if self.minor and "ubuntu" in self.names else self.minor
        return ".".join(filter(None, (self.major, minor))) or self.label or self.codename

    def ended_before(self, group: str, as_of: int) -> str:
        """The last day of its support as `group` (`debian:12`), if that was before `as_of` (ms
        since the epoch); empty: it was looked after then, or nobody knows.

        Grype's days are those of normal support. Where there is long support, whose fixes its
        records have, ours count.
        """
        if group.partition(":")[0] in _DISTRIBUTIONS:
            return ended_before(group, as_of)
        return self.ended if self.ended and milliseconds(self.ended) < as_of else ""


class Alias(msgspec.Struct, frozen=True):
    """A distribution that is judged by the records of another: Rocky by Red Hat's."""

    name: str
    version: str = ""
    pattern: str = ""
    codename: str = ""
    replacement: str | None = None
    major: str | None = None
    minor: str | None = None
    label: str | None = None
    rolling: bool = False


class Ecosystem(msgspec.Struct, frozen=True):
    """Packages of a language, by their type in Syft's words: python, npm, java-archive."""

    type: str
    records: int


class GrypeDatabase(msgspec.Struct, frozen=True):
    """All that a database speaks about."""

    releases: tuple[Release, ...]
    aliases: tuple[Alias, ...]
    ecosystems: tuple[Ecosystem, ...]
    renamed: dict[str, str]
    """Types of packages that are looked for under another: a Jenkins plugin is a java-archive."""
    by_cpe: bool
    """Whether there are NVD's records, which name programs instead of packages."""

    def release_of(self, facts: ImageFacts) -> Release | None:
        """The image's own release; None: there is none in the database, or no word of it."""
        if facts.distro == UNKNOWN_DISTRO[0]:
            return None
        version = "" if facts.distro_version == UNKNOWN_DISTRO[1] else facts.distro_version
        wanted = _Wanted.of(facts.distro, version, facts.distro_codename, self.aliases)
        return next((one for one in self.releases if wanted.is_in(one)), None)


class _Wanted(msgspec.Struct):
    """A release as it is looked for."""

    name: str
    major: str
    minor: str
    label: str
    rolling: bool = False

    @classmethod
    def of(cls, name: str, version: str, codename: str, aliases: Iterable[Alias]) -> "_Wanted":
        parts = version.removeprefix("v").split(".")
        numbered = parts[0].isdigit()
        wanted = cls(
            name=name,
            major=_plain(parts[0]) if numbered else "",
            minor=_plain(parts[1]) if numbered and len(parts) > 1 else "",
            label=codename or ("" if numbered else version),
        )
        alias = next((one for one in aliases if _means(one, name, version, codename)), None)
        if alias is not None:
            wanted._take(alias)
        return wanted

    def _take(self, alias: Alias) -> None:
        self.name = self.name if alias.replacement is None else alias.replacement
        if alias.rolling:
            self.rolling, self.major, self.minor = True, "", ""
        self.major = self.major if alias.major is None else alias.major
        self.minor = self.minor if alias.minor is None else alias.minor
        self.label = self.label if alias.label is None else alias.label

    def is_in(self, release: Release) -> bool:
        if self.name.casefold() not in release.names:
            return False
        # Grype asks for the codename as well: an image that lies about it would find no records.
        called = (release.label.casefold(), release.codename.casefold())
        if self.label and self.label.casefold() not in called:
            return False
        if self.major:
            # Red Hat's records are about 9 and hold for 9.4; those of 3.20 do not for 3.24.
            return self.major == release.major and release.minor in ("", self.minor)
        return bool(self.label) or (self.rolling and not release.major)


def _means(alias: Alias, name: str, version: str, codename: str) -> bool:
    return (
        alias.name.casefold() == name.casefold()
        and alias.codename in ("", codename)
        and alias.version in ("", version)
        and (not alias.pattern or any(re.search(alias.pattern, one) for one in (version, codename)))
    )


def _plain(number: str) -> str:
    """Ubuntu's 22.04 stands there as 22.4."""
    return number.lstrip("0") or "0"


def milliseconds(text: str) -> int:
    """Of a day or a time as SQLite keeps it: `2022-06-30`, `2026-11-24 00:00:00+00:00`."""
    at = datetime.fromisoformat(text)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
