"""Packages as Syft 1.18 writes them, each kind with what its own database says."""

from typing import Any

import msgspec
import pytest

from services.scanner.analysis.packages import Artifact, Relationship, read_packages
from services.scanner.records import Package

STATUS = {"path": "/var/lib/dpkg/status", "accessPath": "/var/lib/dpkg/status"}


def read(*artifacts: dict[str, Any], owned: tuple[str, str] | None = None) -> tuple[Package, ...]:
    listed = msgspec.convert(artifacts, list[Artifact])
    relations = [Relationship(*owned, "ownership-by-file-overlap")] if owned else []
    return read_packages(listed, relations)


def rpm(**metadata: Any) -> Package:
    (found,) = read({"name": "n", "version": "1:2-3", "type": "rpm", "metadata": metadata})
    return found


def test_a_deb_says_where_it_is_from_and_its_size_in_bytes() -> None:
    (found,) = read(
        {
            "name": "apt",
            "version": "2.6.1",
            "type": "deb",
            "purl": "pkg:deb/debian/apt@2.6.1?arch=amd64",
            "locations": [
                {"path": "/usr/share/doc/apt/copyright", "annotations": {"evidence": "supporting"}},
                STATUS | {"annotations": {"evidence": "primary"}},
            ],
            "licenses": [
                {"value": "GPL-2+", "spdxExpression": "GPL-2.0-or-later"},
                {"value": "curl", "spdxExpression": ""},
            ],
            "cpes": [{"cpe": "cpe:2.3:a:apt:apt:2.6.1:*:*:*:*:*:*:*"}],
            "metadata": {
                "architecture": "amd64",
                "maintainer": "APT <apt@example>",
                "installedSize": 4232,
            },
        }
    )

    assert found.location == "/var/lib/dpkg/status"
    assert found.licences == ("GPL-2.0-or-later", "curl")
    assert (found.architecture, found.origin, found.size) == (
        "amd64",
        "APT <apt@example>",
        4_333_568,
    )
    assert found.purl == "pkg:deb/debian/apt@2.6.1?arch=amd64"
    assert found.cpes == ()


def test_an_apk_names_its_origin() -> None:
    (found,) = read(
        {
            "name": "libssl3",
            "version": "3.1.4-r5",
            "type": "apk",
            "cpes": [{"cpe": "cpe:2.3:a:libssl3:libssl3:3.1.4-r5:*:*:*:*:*:*:*"}],
            "metadata": {"originPackage": "openssl", "size": 1, "installedSize": 622_592},
        }
    )

    assert (found.source, found.source_version, found.size) == ("openssl", "3.1.4-r5", 622_592)
    assert found.cpes == ("cpe:2.3:a:libssl3:libssl3:3.1.4-r5:*:*:*:*:*:*:*",)


def test_an_rpm_names_its_source_epoch_and_module() -> None:
    found = rpm(
        sourceRpm="nodejs-18.16.1-1.module+el8.8.0+1.src.rpm",
        epoch=1,
        modularityLabel="nodejs:18:8080020230718:63b34585",
        vendor="Red Hat, Inc.",
        size=4711,
    )

    assert (found.source, found.source_version) == ("nodejs", "18.16.1-1.module+el8.8.0+1")
    assert (found.epoch, found.module) == (1, "nodejs:18:8080020230718:63b34585")
    assert (found.origin, found.size) == ("Red Hat, Inc.", 4711)


@pytest.mark.parametrize(
    ("source_rpm", "source"),
    [
        (
            "java-1.8.0-openjdk-1.8.0.392.b08-4.el8.src.rpm",
            ("java-1.8.0-openjdk", "1.8.0.392.b08-4.el8"),
        ),
        ("x-1-2.nosrc.rpm", ("x", "1-2")),
        ("(none)", ("n", "1:2-3")),
        ("", ("n", "1:2-3")),
        (None, ("n", "1:2-3")),
    ],
)
def test_the_source_of_an_rpm_is_in_the_name_of_its_file(
    source_rpm: str | None, source: tuple[str, str]
) -> None:
    found = rpm(sourceRpm=source_rpm)

    assert (found.source, found.source_version) == source


@pytest.mark.parametrize(
    ("said", "epoch"), [(None, None), (0, 0), (2, 2), (True, None), ("1", None)]
)
def test_an_epoch_that_is_not_there_is_not_nought(said: Any, epoch: int | None) -> None:
    assert rpm(epoch=said).epoch == epoch


def test_a_package_of_arch_names_its_base() -> None:
    (found,) = read(
        {
            "name": "gcc-libs",
            "version": "13.2.1-3",
            "type": "alpm",
            "metadata": {"basepackage": "gcc", "packager": "A <a@example>", "size": 9},
        }
    )

    assert (found.source, found.origin, found.size) == ("gcc", "A <a@example>", 9)


def test_what_a_package_of_the_distribution_brought_names_it() -> None:
    wheel = {"id": "w", "name": "requests", "version": "2.28", "type": "python"}
    deb = {"id": "d", "name": "python3-requests", "version": "2.28-1", "type": "deb"}

    assert [one.owner for one in read(wheel, deb, owned=("d", "w"))] == ["python3-requests", ""]
    assert [one.owner for one in read(wheel, deb, owned=("w", "d"))] == ["", ""]


@pytest.mark.parametrize("size", [-1, 2**60, "12", None, 1.5, True])
def test_a_size_that_is_none_is_not_known(size: Any) -> None:
    assert rpm(size=size).size == 0
