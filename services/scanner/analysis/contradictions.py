"""Where an image's own words about its distribution do not fit together.

Vulnerability records are looked up by what os-release says. An image that says one thing and
holds another would be asked about in the wrong place, and found clean. Who edits the package
database itself is not found out so: nothing in an image says what was taken out of it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from services.scanner.analysis.contents import OS_RELEASES, Contents
from services.scanner.analysis.packages import Artifact
from services.scanner.records import OS_PACKAGES, Package

_TYPES = {"dpkg": "deb", "opkg": "deb", "apk": "apk", "rpm": "rpm", "alpm": "alpm"}
"""Package types by the kind of database."""

_DISTRIBUTIONS = {
    "dpkg": frozenset({"debian", "ubuntu", "raspbian", "kali", "linuxmint", "devuan"}),
    "apk": frozenset({"alpine", "wolfi", "chainguard"}),
    "alpm": frozenset({"arch", "archarm", "manjaro"}),
    "rpm": frozenset(
        {"rhel", "centos", "fedora", "rocky", "almalinux", "ol", "amzn", "sles", "sled", "suse"}
        | {"opensuse", "opensuse-leap", "opensuse-tumbleweed", "photon", "mariner", "azurelinux"}
    ),
}
"""Distributions, as os-release names them, by the kind of their package database."""

_RELEASE_PACKAGES: Mapping[str, frozenset[str]] = {
    "alpine-release": frozenset({"alpine"}),
    "centos-release": frozenset({"centos"}),
    "centos-stream-release": frozenset({"centos"}),
    "centos-linux-release": frozenset({"centos"}),
    "rocky-release": frozenset({"rocky"}),
    "almalinux-release": frozenset({"almalinux"}),
    "redhat-release": frozenset({"rhel"}),
    "oraclelinux-release": frozenset({"ol"}),
    "fedora-release-common": frozenset({"fedora"}),
    "system-release": frozenset({"amzn"}),
    "sles-release": frozenset({"sles"}),
    "openSUSE-release": frozenset({"opensuse-leap", "opensuse-tumbleweed"}),
    "photon-release": frozenset({"photon"}),
    "azurelinux-release": frozenset({"azurelinux"}),
    "mariner-release": frozenset({"mariner"}),
}
"""The package that brings os-release, and whose it is."""

_UBUNTUS_BASE_FILES = {
    "14.04": "7",
    "16.04": "9",
    "18.04": "10",
    "20.04": "11",
    "22.04": "12",
    "24.04": "13",
}
"""Debian's number, of which Ubuntu made its own base-files; releases in between share them."""
_BY_TWO_NUMBERS = ("alpine", "opensuse-leap", "sles")

_LINE = re.compile(r"\s*([A-Z_]+)=(.*)")
_LEADING = re.compile(r"(?:[0-9]+:)?([0-9]+)(?:\.([0-9]+))?")


class Distribution(msgspec.Struct, frozen=True):
    """What Syft took an os-release for; empty where it found none."""

    id: str = ""
    version: str = msgspec.field(default="", name="versionID")
    like: tuple[str, ...] = msgspec.field(default=(), name="idLike")
    codename: str = msgspec.field(default="", name="versionCodename")
    name: str = msgspec.field(default="", name="prettyName")


def contradictions(
    contents: Contents,
    artifacts: Iterable[Artifact],
    packages: Iterable[Package],
    distribution: Distribution,
) -> tuple[str, ...]:
    """Sentences; none when all fits."""
    distro, version = distribution.id, distribution.version
    listed = [one for one in artifacts if one.type in OS_PACKAGES]
    installed = [one for one in packages if one.type in OS_PACKAGES]
    found = [
        *contents.doubts,
        *_of_release_files(contents, distro, version),
        *_of_databases(contents, _release(distro, version), (distro, *distribution.like)),
        *_of_reading(contents, listed),
        *_of_release_packages(installed, distro, version),
    ]
    return tuple(dict.fromkeys(found))


def _of_release_files(contents: Contents, distro: str, version: str) -> Iterator[str]:
    """What Syft took for the release, and what each os-release says."""
    said = {path: _named(text) for path, text in contents.os_releases.items()}
    first = next((said[path] for path in OS_RELEASES if path in said), None)
    if first is None:
        if contents.databases:
            kinds = _and(sorted({one.kind for one in contents.databases}))
            yield (
                f"The image holds the package database of {kinds} but does not say what "
                f"distribution it is: it has no {OS_RELEASES[0]}"
            )
        return
    if first != (distro, version):
        yield (
            f"{OS_RELEASES[0]} says {_release(*first)}, and Syft read "
            f"{_release(distro, version)} elsewhere in the image"
        )
    for path, other in said.items():
        if other != first:
            yield f"The image says that it is {_release(*first)}, and in {path} {_release(*other)}"


def _of_databases(contents: Contents, release: str, names: tuple[str, ...]) -> Iterator[str]:
    kinds = sorted({one.kind for one in contents.databases})
    fitting = {kind for kind, known in _DISTRIBUTIONS.items() if known & set(names)}
    fitting |= {"opkg"} & set(kinds) if not fitting else set()
    foreign = [kind for kind in kinds if fitting and kind not in fitting]
    if foreign:
        yield (
            f"The image says that it is {release} but holds the package database of {_and(foreign)}"
        )
    if len({_TYPES[kind] for kind in kinds}) > 1:
        yield f"The image holds the package databases of {_and(kinds)}"


def _of_reading(contents: Contents, listed: list[Artifact]) -> Iterator[str]:
    """Whether Syft read the databases that a node has, and no others."""
    held = {(one.path, one.layer): one for one in contents.databases}
    read = {(one.evidence.path, one.evidence.layer) for one in listed}
    for path in sorted({path for path, _ in read - held.keys()}):
        yield (
            f"Packages were read from {path or 'nowhere'}, which is no package database of the "
            "image's own root"
        )
    for key in sorted(held.keys() - read):
        one = held[key]
        yield f"No package could be read from the package database of {one.kind}, {one.path}"


def _of_release_packages(packages: Iterable[Package], distro: str, version: str) -> Iterator[str]:
    for one in packages:
        of = _RELEASE_PACKAGES.get(one.name)
        if of is not None and distro and distro not in of:
            yield f"The image says that it is {distro} but has the package {one.name}"
        elif of is not None and not _same_release(one.version, version, distro):
            yield _of_another(one, distro, version)
        elif one.name == "base-files":
            yield from _of_base_files(one, distro, version)


def _of_base_files(package: Package, distro: str, version: str) -> Iterator[str]:
    """Debian's has the release's number, Ubuntu's has `ubuntu` in it."""
    of_ubuntu = "ubuntu" in package.version
    number = version if distro == "debian" else _UBUNTUS_BASE_FILES.get(version, "")
    fits = _same_release(package.version, number, distro)
    if distro in ("debian", "ubuntu") and (of_ubuntu != (distro == "ubuntu") or not fits):
        yield _of_another(package, distro, version)


def _of_another(package: Package, distro: str, version: str) -> str:
    return (
        f"The image says that it is {_release(distro, version)} but has {package.name} "
        f"{package.version}, which is of another release"
    )


def _same_release(package: str, version: str, distro: str) -> bool:
    """By the first number, for some by two; an os-release without a number fits all."""
    ours, theirs = _LEADING.match(version), _LEADING.match(package)
    if ours is None or theirs is None:
        return ours is None
    return ours.groups() == theirs.groups() if distro in _BY_TWO_NUMBERS else ours[1] == theirs[1]


def _named(text: bytes) -> tuple[str, str]:
    """ID and VERSION_ID; of two lines of a name the last, as a shell has it."""
    found = {"ID": "", "VERSION_ID": ""}
    for line in text.decode(errors="replace").splitlines():
        matched = _LINE.fullmatch(line)
        if matched and matched[1] in found:
            found[matched[1]] = _unquoted(matched[2].strip())
    return found["ID"], found["VERSION_ID"]


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _release(distro: str, version: str) -> str:
    return f"{distro} {version}".strip() or "nothing"


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
