"""OSV's ecosystems, and what of an image they are about.

How each is written: docs/design/scanner-facts.md. A *group* is a release in Engine's words
(`debian:12`) or a language's ecosystem in OSV's own (`PyPI`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal
from urllib.parse import unquote

import msgspec

from services.scanner.records import ImageFacts, Package

Scheme = Literal[
    "deb", "rpm", "apk", "pypi", "semver", "golang", "gem", "maven", "composer", "nuget"
]
"""How versions are compared."""


class Ecosystem(msgspec.Struct, frozen=True):
    """One of OSV's ecosystems, or the part of one that images are made of."""

    name: str
    """OSV's: `Red Hat`."""
    scheme: Scheme
    package_type: str
    """Syft's: `rpm`."""
    by_source: bool = True
    """Its records name source packages; else those that are installed."""
    distribution: str = ""
    """`ID` of os-release; empty: a language."""
    release: str = ""
    """Pattern of what stands behind the ecosystem's name; its groups are the release's numbers."""
    numbers: int = 0
    """How many numbers of VERSION_ID name a release; 0: it has none and rolls."""
    vendors: tuple[str, ...] = ()
    """How an RPM begins to say that it is the distributor's own, in small letters."""


_RED_HAT = r"enterprise_linux:(\d+)(?:\.\d+)?(?:::.*)?"
_SUSE = r"Linux Enterprise (?:Server|Module for [^:]+?) (\d+)(?: SP(\d+)|\.(\d+))?"
_SUSES = ("suse", "opensuse")
_NO_VENDOR = ("", "(none)")

ECOSYSTEMS = (
    Ecosystem("Debian", "deb", "deb", True, "debian", r"(\d+)", 1),
    Ecosystem("Ubuntu", "deb", "deb", True, "ubuntu", r"(?:Pro:)?(\d+)\.(\d+)(?::LTS)?", 2),
    Ecosystem("Alpine", "apk", "apk", True, "alpine", r"v(\d+)\.(\d+)", 2),
    Ecosystem("Wolfi", "apk", "apk", True, "wolfi"),
    Ecosystem("Chainguard", "apk", "apk", True, "chainguard"),
    Ecosystem("Red Hat", "rpm", "rpm", False, "rhel", _RED_HAT, 1, ("red hat",)),
    Ecosystem("AlmaLinux", "rpm", "rpm", False, "almalinux", r"(\d+)", 1, ("almalinux",)),
    Ecosystem("Rocky Linux", "rpm", "rpm", True, "rocky", r"(\d+)", 1, ("rocky",)),
    Ecosystem("SUSE", "rpm", "rpm", True, "sles", _SUSE, 2, _SUSES),
    Ecosystem("openSUSE", "rpm", "rpm", True, "opensuse-leap", r"Leap (\d+)\.(\d+)", 2, _SUSES),
    Ecosystem("openSUSE", "rpm", "rpm", True, "opensuse-tumbleweed", "Tumbleweed", 0, _SUSES),
    Ecosystem("PyPI", "pypi", "python"),
    Ecosystem("npm", "semver", "npm"),
    Ecosystem("Go", "golang", "go-module"),
    Ecosystem("RubyGems", "gem", "gem"),
    Ecosystem("Maven", "maven", "java-archive"),
    Ecosystem("crates.io", "semver", "rust-crate"),
    Ecosystem("Packagist", "composer", "php-composer"),
    Ecosystem("NuGet", "nuget", "dotnet"),
)

NAMES = frozenset(one.name for one in ECOSYSTEMS)
SCORES_ONLY = "GIT"
"""The ecosystem of CVEs by commits: no package of an image, but scores for others."""


class Group(msgspec.Struct, frozen=True):
    """A release, or a language's ecosystem."""

    name: str
    ecosystem: Ecosystem
    paid: bool = False
    """For who pays only: Ubuntu Pro. Its fixes are not a normal user's."""


def group_of(written: str) -> Group | None:
    """What an `affected[].package.ecosystem` names; None: nothing that images are asked about."""
    name, _, release = written.partition(":")
    for one in ECOSYSTEMS:
        if one.name != name:
            continue
        found = re.fullmatch(one.release, release)
        if found is None:
            continue
        numbers = [number for number in found.groups() if number is not None]
        return Group(_name(one, numbers), one, paid=release.startswith("Pro:"))
    return None


def lacks_release(written: str) -> bool:
    """A distribution's ecosystem that names no release: about which of them, nobody knows."""
    name, _, release = written.partition(":")
    return not release and any(one.name == name and one.release for one in ECOSYSTEMS)


def group_of_image(facts: ImageFacts) -> Group | None:
    """The image's release; None: no ecosystem has releases of this name."""
    for one in ECOSYSTEMS:
        if one.distribution and one.distribution == facts.distro:
            numbers = facts.distro_version.split(".")[: one.numbers]
            if one.numbers == 0 or (numbers and all(number.isdecimal() for number in numbers)):
                return Group(_name(one, numbers), one)
    return None


def is_of_another_vendor(package: Package, group: Group | None) -> bool:
    """An RPM that says who made it, and it was not the distributor of `group`: EPEL's, or one of
    a shop's own. Debian's and Alpine's packages do not say it."""
    vendors = group.ecosystem.vendors if group else ()
    made_by = package.origin.strip().casefold()
    return bool(vendors) and made_by not in _NO_VENDOR and not made_by.startswith(vendors)


def languages() -> Iterator[Group]:
    """The ecosystems without releases, which every image is asked about."""
    for one in ECOSYSTEMS:
        if not one.distribution:
            yield Group(one.name, one)


def _name(ecosystem: Ecosystem, numbers: list[str]) -> str:
    if not ecosystem.distribution:
        return ecosystem.name
    return f"{ecosystem.distribution}:{'.'.join(numbers) or 'rolling'}"


def _pep503(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


_NORMAL: Mapping[str, Callable[[str], str]] = {
    "PyPI": _pep503,
    "NuGet": str.lower,
    "Packagist": str.lower,
}


def normal_name(ecosystem: Ecosystem, name: str) -> str:
    """One spelling of a package's name, where an ecosystem has several."""
    normal = _NORMAL.get(ecosystem.name)
    return normal(name) if normal else name


def asked_as(package: Package, ecosystem: Ecosystem) -> tuple[str, str]:
    """The name and version that an ecosystem's records are about; a name of none is empty."""
    if ecosystem.name == "Maven":
        return _maven_name(package.purl), package.version
    if not ecosystem.by_source:
        return package.name, _with_epoch(package, package.version)
    name, version = package.source or package.name, package.source_version or package.version
    return name, _with_epoch(package, version) if ecosystem.scheme == "rpm" else version


def _with_epoch(package: Package, version: str) -> str:
    """The name of a source RPM has no epoch: it is that of what was built of it."""
    return f"{package.epoch}:{version}" if package.epoch and ":" not in version else version


def _maven_name(purl: str) -> str:
    """`group:artifact`; a file's name alone says no group: `pkg:maven/org.x/y@1.0`."""
    group, _, artifact = purl.removeprefix("pkg:maven/").partition("@")[0].partition("/")
    return f"{unquote(group)}:{unquote(artifact)}" if artifact and "/" not in artifact else ""
