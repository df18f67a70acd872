"""Images whose words about themselves do not fit together, and those of real distributions."""

from collections.abc import Mapping

import msgspec
import pytest

from services.scanner.analysis.contents import Contents, Database
from services.scanner.analysis.contradictions import Distribution, contradictions
from services.scanner.analysis.packages import Artifact, Location, read_packages
from tests.fakes.tars import files
from tests.unit.scanner.analysis.looks import looked

STATUS = Database("dpkg", "/var/lib/dpkg/status", "sha256:1")
INSTALLED = Database("apk", "/lib/apk/db/installed", "sha256:1")
RPMDB = Database("rpm", "/var/lib/rpm/rpmdb.sqlite", "sha256:1")
DESC = Database("alpm", "/var/lib/pacman/local/bash-5/desc", "sha256:1")
TYPES = {"dpkg": "deb", "apk": "apk", "rpm": "rpm", "alpm": "alpm"}


def artifact(name: str, version: str, database: Database) -> Artifact:
    where = Location(
        database.path, database.path, database.layer, annotations={"evidence": "primary"}
    )
    return Artifact(name, version, TYPES[database.kind], locations=(where,))


def said(
    distro: str,
    version: str,
    *artifacts: Artifact,
    databases: tuple[Database, ...] = (STATUS,),
    releases: Mapping[str, bytes] | None = None,
    like: tuple[str, ...] = (),
) -> tuple[str, ...]:
    written = f'ID={distro}\nVERSION_ID="{version}"\n'.encode()
    texts = {"/etc/os-release": written} if releases is None else dict(releases)
    contents = Contents(None, "", texts, databases, ())
    found = Distribution(id=distro, version=version, like=like)
    return contradictions(contents, artifacts, read_packages(artifacts, ()), found)


@pytest.mark.parametrize(
    ("distro", "version", "name", "package", "database"),
    [
        ("debian", "12", "base-files", "12.4+deb12u15", STATUS),
        ("debian", "8", "base-files", "8+deb8u11", STATUS),
        ("debian", "", "base-files", "13.3", STATUS),
        ("ubuntu", "22.04", "base-files", "12ubuntu4.6", STATUS),
        ("ubuntu", "18.04", "base-files", "10.1ubuntu2.11", STATUS),
        ("ubuntu", "20.04", "base-files", "11ubuntu5.8", STATUS),
        ("ubuntu", "24.04", "base-files", "13ubuntu10.3", STATUS),
        ("ubuntu", "25.10", "base-files", "14ubuntu3", STATUS),
        ("sles", "15.6", "sles-release", "15.6-150600.37.2", RPMDB),
        ("opensuse-leap", "15.5", "openSUSE-release", "15.5-lp155.286.1", RPMDB),
        ("opensuse-tumbleweed", "20240301", "openSUSE-release", "20240301-1.1", RPMDB),
        ("kali", "2024.1", "base-files", "1:2024.1.0", STATUS),
        ("alpine", "3.20.3", "alpine-release", "3.20.3-r0", INSTALLED),
        ("alpine", "3.21.0_alpha20240807", "alpine-release", "3.21.0_alpha20240807-r0", INSTALLED),
        ("wolfi", "20230201", "wolfi-baselayout", "20230201-r11", INSTALLED),
        ("rhel", "8.8", "redhat-release", "8.8-0.8.el8", RPMDB),
        ("ol", "8.8", "oraclelinux-release", "8:8.8-1.0.7.el8", RPMDB),
        ("centos", "9", "centos-stream-release", "9.0-12.el9", RPMDB),
        ("rocky", "9.2", "rocky-release", "9.2-1.6.el9", RPMDB),
        ("fedora", "38", "fedora-release-common", "38-36", RPMDB),
        ("amzn", "2", "system-release", "1:2-16.amzn2", RPMDB),
        ("amzn", "2023", "system-release", "2023.2.20231113-1.amzn2023", RPMDB),
        ("photon", "4.0", "photon-release", "4.0-2.ph4", RPMDB),
        ("arch", "", "bash", "5.2-1", DESC),
    ],
)
def test_distributions_do_not_contradict_themselves(
    distro: str, version: str, name: str, package: str, database: Database
) -> None:
    assert said(distro, version, artifact(name, package, database), databases=(database,)) == ()


def test_a_derivative_has_the_database_of_what_it_is_like() -> None:
    pop = artifact("base-files", "12ubuntu4.6", STATUS)

    assert said("pop", "22.04", pop, like=("ubuntu", "debian")) == ()
    assert said("alpaquita", "23", pop, like=("alpine",)) == (
        "The image says that it is alpaquita 23 but holds the package database of dpkg",
    )


def test_a_database_of_another_distribution_is_told() -> None:
    assert said("alpine", "3.20.3", artifact("bash", "5", STATUS)) == (
        "The image says that it is alpine 3.20.3 but holds the package database of dpkg",
    )


def test_two_databases_are_told() -> None:
    found = said(
        "debian",
        "12",
        artifact("bash", "5", STATUS),
        artifact("musl", "1", INSTALLED),
        databases=(STATUS, INSTALLED),
    )

    assert found == (
        "The image says that it is debian 12 but holds the package database of apk",
        "The image holds the package databases of apk and dpkg",
    )


def test_a_database_without_an_os_release_is_told() -> None:
    assert said("", "", artifact("bash", "5", STATUS), releases={}) == (
        "The image holds the package database of dpkg but does not say what distribution it is: "
        "it has no /etc/os-release",
    )
    assert said("", "", databases=(), releases={}) == ()


@pytest.mark.parametrize(
    ("distro", "version", "name", "package", "database"),
    [
        ("debian", "11", "base-files", "12.4+deb12u15", STATUS),
        ("debian", "12", "base-files", "12ubuntu4.6", STATUS),
        ("ubuntu", "22.04", "base-files", "12.4+deb12u15", STATUS),
        ("ubuntu", "22.04", "base-files", "13ubuntu10.3", STATUS),
        ("ubuntu", "24.04", "base-files", "12ubuntu4.6", STATUS),
        ("sles", "15.6", "sles-release", "15.7-150700.28.1", RPMDB),
        ("opensuse-leap", "15.5", "openSUSE-release", "15.6-lp156.386.1", RPMDB),
    ],
)
def test_the_package_of_another_release_is_told(
    distro: str, version: str, name: str, package: str, database: Database
) -> None:
    assert said(distro, version, artifact(name, package, database), databases=(database,)) == (
        f"The image says that it is {distro} {version} but has {name} {package}, which is of "
        "another release",
    )


def test_the_release_package_of_another_distribution_is_told() -> None:
    rocky = artifact("rocky-release", "9.2-1", RPMDB)
    old = artifact("alpine-release", "3.12.1-r0", INSTALLED)

    assert said("rhel", "9.2", rocky, databases=(RPMDB,)) == (
        "The image says that it is rhel but has the package rocky-release",
    )
    assert "is of another release" in said("alpine", "3.20.1", old, databases=(INSTALLED,))[0]


def test_two_os_releases_that_differ_are_told() -> None:
    releases = {
        "/etc/os-release": b"ID='debian'\nVERSION_ID=\"12\"\n",
        "/usr/lib/os-release": b"ID=debian\nVERSION_ID=11\nVERSION_ID=10\n",
    }

    assert said("debian", "12", databases=(), releases=releases) == (
        "The image says that it is debian 12, and in /usr/lib/os-release debian 10",
    )


def test_what_syft_took_from_elsewhere_is_told() -> None:
    assert said("busybox", "1.36", databases=(), releases={"/etc/os-release": b"\n"}) == (
        "/etc/os-release says nothing, and Syft read busybox 1.36 elsewhere in the image",
    )


def test_packages_of_a_database_that_nodes_do_not_have_are_told() -> None:
    lower = msgspec.structs.replace(STATUS, layer="sha256:0")

    assert said("debian", "12", artifact("bash", "5", lower)) == (
        "Packages were read from /var/lib/dpkg/status, which is no package database of the image's "
        "own root",
        "No package could be read from the package database of dpkg, /var/lib/dpkg/status",
    )


def test_packages_of_another_root_are_told() -> None:
    inner = Database("dpkg", "/srv/root/var/lib/dpkg/status", "sha256:1")
    found = said("debian", "12", artifact("bash", "5", STATUS), artifact("bash", "4", inner))

    assert found == (
        "Packages were read from /srv/root/var/lib/dpkg/status, which is no package database of "
        "the image's own root",
    )


def test_databases_are_found_by_the_names_that_syft_reads() -> None:
    names = {
        "dpkg": ["var/lib/dpkg/status", "var/lib/dpkg/status.d/base"],
        "opkg": ["usr/lib/opkg/status"],
        "apk": ["lib/apk/db/installed", "usr/lib/apk/db/installed"],
        "rpm": [
            "var/lib/rpm/Packages",
            "usr/share/rpm/Packages.db",
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            "var/lib/rpmmanifest/container-manifest-2",
        ],
        "alpm": ["var/lib/pacman/local/bash-5/desc"],
    }
    every = {name: b"x" for kind in names.values() for name in kind}
    empty = {
        "var/lib/opkg/status": b"",
        "var/lib/rpm/rpmdb.sqlite": b"",
        "var/lib/dpkg/status.d/base.md5sums": b"x",
    }

    found = looked(files(every | empty))
    assert {(one.kind, one.path) for one in found.databases} == {
        (kind, f"/{name}") for kind, listed in names.items() for name in listed
    }
    assert found.doubts == ()


def test_what_syft_would_not_read_whole_is_doubted() -> None:
    found = looked(
        files(
            {
                "var/lib/rpm/rpmdb.sqlite": b"x",
                "var/lib/rpm/rpmdb.sqlite-wal": b"x",
                "etc/os-release": b"x" * 70_000,
            }
        )
    )

    assert found.doubts == (
        "/etc/os-release is over 65536 bytes",
        "/var/lib/rpm/rpmdb.sqlite-wal holds changes of a database that Syft does not read",
    )
