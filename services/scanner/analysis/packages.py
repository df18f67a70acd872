"""Packages as Syft lists them, in the shape that is kept (docs/design/scanner-facts.md).

What an artifact says about itself under `metadata` differs by the kind of package, and comes from
the image: text that is not of the shape expected counts as not there.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from services.scanner.records import OS_PACKAGES, Package

_SOURCE_RPM = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm")
_PRIMARY = "primary"
_OWNED = "ownership-by-file-overlap"
_KIB = 1024
_LARGEST = 2**53


class Location(msgspec.Struct, frozen=True, rename="camel"):
    """Where Syft saw it: in which file, of which layer (its diff id)."""

    path: str = ""
    access_path: str = ""
    layer: str = msgspec.field(default="", name="layerID")
    annotations: dict[str, str] = {}


class Licence(msgspec.Struct, frozen=True, rename={"spdx": "spdxExpression"}):
    """As the package writes it, and by its SPDX name where Syft knows it."""

    value: str = ""
    spdx: str = ""


class Cpe(msgspec.Struct, frozen=True):
    """A name that NVD may know a package by."""

    cpe: str = ""


class Artifact(msgspec.Struct, frozen=True):
    """A package in Syft's output."""

    name: str
    version: str = ""
    type: str = ""
    id: str = ""
    purl: str = ""
    metadata: Any = None
    locations: tuple[Location, ...] = ()
    licenses: tuple[Licence, ...] = ()
    cpes: tuple[Cpe, ...] = ()

    @property
    def evidence(self) -> Location:
        """The file that says that it is installed; a copyright file only adds to it."""
        primary = (one for one in self.locations if one.annotations.get("evidence") == _PRIMARY)
        return next(primary, self.locations[0] if self.locations else Location())


class Relationship(msgspec.Struct, frozen=True):
    """How two artifacts belong together, by their ids."""

    parent: str = ""
    child: str = ""
    type: str = ""


class _Metadata(msgspec.Struct):
    """What the databases of distributions say, by Syft's names for it."""

    source: Any = ""
    source_version: Any = msgspec.field(default="", name="sourceVersion")
    origin_package: Any = msgspec.field(default="", name="originPackage")
    base_package: Any = msgspec.field(default="", name="basepackage")
    source_rpm: Any = msgspec.field(default="", name="sourceRpm")
    epoch: Any = None
    module: Any = msgspec.field(default="", name="modularityLabel")
    architecture: Any = ""
    maintainer: Any = ""
    vendor: Any = ""
    packager: Any = ""
    size: Any = 0
    installed_size: Any = msgspec.field(default=0, name="installedSize")


def read_packages(
    artifacts: Iterable[Artifact], relationships: Iterable[Relationship]
) -> tuple[Package, ...]:
    """Each once, in Syft's order."""
    listed = list(artifacts)
    names = {one.id: one.name for one in listed if one.id and one.type in OS_PACKAGES}
    owners = {
        one.child: names[one.parent]
        for one in relationships
        if one.type == _OWNED and one.parent in names
    }
    return tuple(dict.fromkeys(_package(one, owners.get(one.id, "")) for one in listed))


def _package(artifact: Artifact, owner: str) -> Package:
    said = _said(artifact)
    source, source_version = _source(artifact, said)
    described_by_cpe = artifact.type not in ("deb", "rpm")
    return Package(
        name=artifact.name,
        version=artifact.version,
        type=artifact.type,
        source=source or artifact.name,
        source_version=source_version or artifact.version,
        epoch=said.epoch if type(said.epoch) is int and artifact.type == "rpm" else None,
        module=_text(said.module),
        architecture=_text(said.architecture),
        purl=artifact.purl,
        location=artifact.evidence.access_path or artifact.evidence.path,
        licences=tuple(dict.fromkeys(filter(None, _licences(artifact)))),
        size=_size(artifact.type, said),
        origin=_text(said.maintainer) or _text(said.vendor) or _text(said.packager),
        cpes=tuple(one.cpe for one in artifact.cpes if one.cpe) if described_by_cpe else (),
        owner=owner,
    )


def _said(artifact: Artifact) -> _Metadata:
    try:
        return msgspec.convert(artifact.metadata or {}, _Metadata)
    except msgspec.ValidationError:
        return _Metadata()


def _source(artifact: Artifact, said: _Metadata) -> tuple[str, str]:
    """Name and version of what it was built from; empty where it is itself."""
    if artifact.type == "rpm":
        built = _SOURCE_RPM.fullmatch(_text(said.source_rpm))
        return (built[1], built[2]) if built else ("", "")
    name = _text(said.source) or _text(said.origin_package) or _text(said.base_package)
    return name, _text(said.source_version)


def _size(kind: str, said: _Metadata) -> int:
    """Installed bytes; dpkg counts in KiB, apk's `size` is the archive's."""
    size = said.installed_size if kind in ("deb", "apk") else said.size
    if type(size) is not int or not 0 < size < _LARGEST:
        return 0
    return size * _KIB if kind == "deb" else size


def _licences(artifact: Artifact) -> Iterator[str]:
    return (one.spdx or one.value for one in artifact.licenses)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
