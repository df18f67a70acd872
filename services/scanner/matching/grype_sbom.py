"""Stored facts of an image as Syft's own JSON, which Grype reads: no image is pulled again for it.

Only what Grype's matchers look at (docs/design/scanner-facts.md, "Grype"). Of all formats that it
takes Syft's alone carries a module, an epoch and who owns a file without going through a purl.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from services.scanner.feeds.ecosystems import group_of_image, is_of_another_vendor
from services.scanner.records import OS_PACKAGES, UNKNOWN_DISTRO, ImageFacts, Package

SCHEMA = {
    "version": "16.0.18",
    "url": "https://raw.githubusercontent.com/anchore/syft/main/schema/json/schema-16.0.18.json",
}
"""Of Syft 1.18, whose fields these are; later ones read it. Syft's JSON is told from others by
this URL, which is never fetched, and found soonest when it stands last."""


def write_sbom(facts: ImageFacts) -> bytes:
    """A package's id is its place in `facts.packages`: Grype's answer names it by that."""
    artifacts = [_artifact(number, one) for number, one in enumerate(facts.packages)]
    document: dict[str, Any] = {
        "artifacts": artifacts,
        "artifactRelationships": list(_ownership(facts)),
        "source": {"id": "image", "name": "image", "version": "", "type": "file", "metadata": {}},
        "distro": _distro(facts),
        "descriptor": {"name": "syft", "version": "1.18.1"},
        "schema": SCHEMA,
    }
    return msgspec.json.encode(document)


def _artifact(number: int, package: Package) -> dict[str, Any]:
    written: dict[str, Any] = {
        "id": str(number),
        "name": package.name,
        "version": package.version,
        "type": package.type,
        "locations": [{"path": package.location}] if package.location else [],
        "licenses": [],
        "language": "",
        "cpes": [{"cpe": one} for one in package.cpes],
        "purl": package.purl,
    }
    if package.type in _METADATA:
        name, of = _METADATA[package.type]
        written |= {"metadataType": name, "metadata": of(package)}
    return written


def _dpkg(package: Package) -> dict[str, Any]:
    origin = (package.source, package.source_version)
    itself = origin == (package.name, package.version)
    return {
        "package": package.name,
        "source": "" if itself else package.source,
        "version": package.version,
        "sourceVersion": "" if package.source_version == package.version else origin[1],
        "architecture": package.architecture,
        "files": [],
    }


def _apk(package: Package) -> dict[str, Any]:
    return {
        "package": package.name,
        "originPackage": package.source,
        "version": package.version,
        "architecture": package.architecture,
        "files": [],
    }


def _rpm(package: Package) -> dict[str, Any]:
    version, _, release = package.version.rpartition(":")[2].partition("-")
    return {
        "name": package.name,
        "version": version,
        "release": release,
        "epoch": package.epoch,
        "architecture": package.architecture,
        "sourceRpm": f"{package.source}-{package.source_version.rpartition(':')[2]}.src.rpm",
        "modularityLabel": package.module,
        "files": [],
    }


_METADATA: Mapping[str, tuple[str, Callable[[Package], dict[str, Any]]]] = {
    "deb": ("dpkg-db-entry", _dpkg),
    "apk": ("apk-db-entry", _apk),
    "rpm": ("rpm-db-entry", _rpm),
}


def _ownership(facts: ImageFacts) -> Iterator[dict[str, str]]:
    """What a distribution's own package brought: Grype judges it by that package."""
    group = group_of_image(facts)
    owners = {
        one.name: number
        for number, one in enumerate(facts.packages)
        if one.type in OS_PACKAGES and not is_of_another_vendor(one, group)
    }
    for number, package in enumerate(facts.packages):
        owner = owners.get(package.owner) if package.owner else None
        if owner is not None and owner != number:
            yield {
                "parent": str(owner),
                "child": str(number),
                "type": "ownership-by-file-overlap",
            }


def _distro(facts: ImageFacts) -> dict[str, Any]:
    if facts.distro == UNKNOWN_DISTRO[0]:
        return {}
    version = "" if facts.distro_version == UNKNOWN_DISTRO[1] else facts.distro_version
    return {
        "id": facts.distro,
        "versionID": version,
        "idLike": list(facts.distro_like),
        "versionCodename": facts.distro_codename,
        "prettyName": facts.distro_name,
    }
