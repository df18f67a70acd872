"""The gate `packages`: which must not be installed, and which must.

Engine's `verify` is not there: it compares an image's files with what its package database
says of them, and the scanner keeps no file of an image.
"""

from collections.abc import Iterator, Mapping

from services.scanner.feeds.ecosystems import Scheme
from services.scanner.feeds.versions import BadVersion, parse_version
from services.scanner.gates.params import Param, Values, exact, one_of, package_name
from services.scanner.gates.trigger import CannotEvaluate, Hit, Sight, Trigger
from services.scanner.records import Package, os_packages

_NAME = Param(package_name, required=True)
_VERSION = Param(exact)
"""Empty: any."""
_SCHEMES: Mapping[str, Scheme] = {"apk": "apk", "deb": "deb", "rpm": "rpm"}


def _blacklist(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires for a package, of the distribution or of a language, that must not be there."""
    name, version = values["name"], values.get("version", "")
    for package in sight.facts.packages:
        if package.name == name and version in ("", package.version):
            yield Hit("Package is blacklisted: " + "-".join(filter(None, (name, version))))


def _required(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires when a package of the distribution is not there, or not in the version it should be.

    Of one that is there several times, each has to be as it should.
    """
    name, version = values["name"], values.get("version", "")
    installed = [one for one in os_packages(sight.facts) if one.name == name]
    if not installed:
        wanted = ",".join(filter(None, (name, version)))
        yield Hit(f"Required input package ({wanted}) is not present in container image")
    for package in installed if version else ():
        if values.get("version_match_type") == "minimum":
            yield from _older(package, version)
        elif package.version != version:
            yield _other(package, version)


def _other(package: Package, version: str) -> Hit:
    """Engine's message names the package once more where it means the version; the id is made
    of that text, so that its whitelists fit."""
    there = (
        f"Required input package ({package.name}) is present ({package.version}), but not at the "
        "version specified in policy"
    )
    return Hit(f"{there} ({version})", identity=f"{there} ({package.name})")


def _older(package: Package, version: str) -> Iterator[Hit]:
    try:
        scheme = _SCHEMES[package.type]
        older = bool(parse_version(scheme, package.version) < parse_version(scheme, version))
    except (KeyError, BadVersion) as error:
        raise CannotEvaluate(
            f"the versions {package.version!r} (installed) and {version!r} (policy) of "
            f"{package.name} cannot be compared as {package.type} does"
        ) from error
    if older:
        yield Hit(
            f"Required min-version input package ({package.name}) is present ({package.version}), "
            f"but is lower version than what is specified in policy ({version})"
        )


def _minimum_of_what(values: Values) -> str:
    if values.get("version_match_type") == "minimum" and not values.get("version"):
        return "version_match_type minimum needs a version"
    return ""


PACKAGES: Mapping[str, Trigger] = {
    "blacklist": Trigger(_blacklist, {"name": _NAME, "version": _VERSION}),
    "required_package": Trigger(
        _required,
        {
            "name": _NAME,
            "version": _VERSION,
            "version_match_type": Param(one_of("exact", "minimum")),
        },
        _minimum_of_what,
    ),
}
