"""Versions as each distribution and language compares them, by `univers` where it can.

`univers` takes any text for an RPM's version and no snapshot (`_git20240512`) for Alpine's, and
says of 1.0 that it is later than 1.0-1 in RPMs: those are checked, or compared, here.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, total_ordering
from typing import Any

from univers import versions

from services.scanner.feeds.ecosystems import Scheme

MAX_VERSION = 256


class BadVersion(ValueError):
    """A text that is no version of its scheme."""


@lru_cache(maxsize=65_536)
def parse_version(scheme: Scheme, text: str) -> Any:
    """Something that `<` compares with others of its scheme. Raises BadVersion."""
    if not text or len(text) > MAX_VERSION:
        raise BadVersion(f"{text[:40]!r} is no version of {scheme}")
    try:
        return _PARSERS[scheme](text)
    except Exception as error:  # `univers` and what it stands on raise errors of many kinds
        raise BadVersion(f"{text!r} is no version of {scheme}") from error


def _rpm(text: str) -> versions.RpmVersion:
    """[epoch:]version-release; a missing epoch is 0."""
    if not re.fullmatch(r"(\d+:)?[A-Za-z0-9._+~^%{}]+-[A-Za-z0-9._+~^%{}]+", text):
        raise BadVersion(text)
    return versions.RpmVersion(text)


def _golang(text: str) -> versions.GolangVersion:
    """Go's own library is `go1.22.1` in an image, `1.22.1` in a record."""
    return versions.GolangVersion(text.removeprefix("go"))


def _semver(text: str) -> versions.SemverVersion:
    if not re.match(r"v?\d+(\.\d+){0,2}(?![.\d])", text):
        raise BadVersion(text)
    return versions.SemverVersion(text)


def _maven(text: str) -> versions.MavenVersion:
    """Any text is one, but for what Syft writes where there is none, and what was left open."""
    if text.casefold() == "unknown" or "${" in text:
        raise BadVersion(text)
    return versions.MavenVersion(text)


_APK = re.compile(
    r"(?P<numbers>\d+(?:\.\d+)*)(?P<letter>[a-z]?)"
    r"(?P<suffixes>(?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:-r(?P<revision>\d+))?"
)
_SUFFIXES = {
    name: order
    for order, name in enumerate(
        ("alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"), start=-4
    )
}


@total_ordering
class ApkVersion:
    """apk-tools' order: numbers, a letter, suffixes, the revision."""

    __slots__ = ("_order",)

    def __init__(self, text: str) -> None:
        found = _APK.fullmatch(text)
        if found is None:
            raise BadVersion(text)
        first, *rest = found["numbers"].split(".")
        suffixes = re.findall(r"_([a-z]+)(\d*)", found["suffixes"])
        self._order = (
            (0, int(first), ""),
            *(_number(number) for number in rest),
            (-1,),
            found["letter"],
            *((_SUFFIXES[name], int(number or 0)) for name, number in suffixes),
            (0, -1),
            int(found["revision"] or -1),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApkVersion) and self._order == other._order

    def __lt__(self, other: "ApkVersion") -> bool:
        return self._order < other._order

    def __hash__(self) -> int:
        return hash(self._order)


def _number(text: str) -> tuple[int, int, str]:
    """Behind a dot a number with a leading zero is a fraction: 1.05 is before 1.1."""
    if text.startswith("0"):
        return (0, 0, text)
    return (1, int(text), "")


_PARSERS: Mapping[Scheme, Callable[[str], Any]] = {
    "deb": versions.DebianVersion,
    "rpm": _rpm,
    "apk": ApkVersion,
    "pypi": versions.PypiVersion,
    "semver": _semver,
    "golang": _golang,
    "gem": versions.RubygemsVersion,
    "maven": _maven,
    "composer": versions.ComposerVersion,
    "nuget": versions.NugetVersion,
}
