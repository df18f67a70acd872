"""Which release of Grype's database an image's is: its own, or none."""

from pathlib import Path

import msgspec
import pytest

from services.scanner.matching.grype_database import read_database
from services.scanner.matching.grype_releases import GrypeDatabase
from services.scanner.matching.port import MatchingFailed
from tests.fakes.grype import make_database
from tests.unit.scanner.grype.samples import changed

EDGE = """
    INSERT INTO operating_systems VALUES(5,'alpine','alpine','','','edge','','',NULL,NULL);
    INSERT INTO operating_systems VALUES(6,'wolfi','wolfi','','','rolling','','',NULL,NULL);
    INSERT INTO operating_systems VALUES(7,'ubuntu','ubuntu','22','4','','jammy','',NULL,NULL);
    INSERT INTO operating_systems VALUES(8,'redhat','rhel','9','4','','','eus',NULL,NULL);
    INSERT INTO operating_systems VALUES(9,'debian','debian','13','','','trixie','',NULL,NULL);
    INSERT INTO affected_package_handles VALUES(101,14,5,8);
    INSERT INTO affected_package_handles VALUES(102,14,6,8);
    INSERT INTO affected_package_handles VALUES(103,14,7,1);
    INSERT INTO affected_package_handles VALUES(104,14,8,9);
"""


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> GrypeDatabase:
    return read_database(make_database(tmp_path_factory.mktemp("larger"), EDGE))


def release(database: GrypeDatabase, distro: str, version: str, codename: str = "") -> str:
    facts = changed("debian-12", distro=distro, distro_version=version, distro_codename=codename)
    found = database.release_of(facts)
    return f"{found.names[-1]}:{found.version}" if found else ""


@pytest.mark.parametrize(
    ("distro", "version", "codename", "expected"),
    [
        ("debian", "12", "bookworm", "debian:12"),
        ("debian", "12", "", "debian:12"),
        ("alpine", "3.20.3", "", "alpine:3.20"),
        ("rhel", "9.4", "", "rhel:9"),
        ("rocky", "9.3", "", "rhel:9"),
        ("almalinux", "9", "", "rhel:9"),
        ("raspbian", "12", "bookworm", "debian:12"),
        ("alpine", "3.21.0_alpha20240807", "", "alpine:edge"),
        ("wolfi", "20230201", "", "wolfi:rolling"),
        ("ubuntu", "22.04", "jammy", "ubuntu:22.04"),
    ],
)
def test_a_release_is_found_as_grype_finds_it(
    larger: GrypeDatabase, distro: str, version: str, codename: str, expected: str
) -> None:
    assert release(larger, distro, version, codename) == expected


@pytest.mark.parametrize(
    ("distro", "version", "codename"),
    [
        ("alpine", "3.24.0", ""),  # Grype takes 3.20's records
        ("alpine", "3", ""),
        ("alpine", "0", ""),
        ("debian", "13", "trixie"),  # the database names it and has no record of it
        ("debian", "0", "trixie"),
        ("debian", "12", "nonsense"),  # Grype asks by the codename, too, and finds nothing
        ("ubuntu", "22.10", ""),
        ("strangelinux", "12", ""),
        ("Unknown", "0", ""),
        ("", "", ""),
        ("debian", "x" * 300, ""),
    ],
)
def test_no_other_release_stands_for_one_that_is_not_there(
    larger: GrypeDatabase, distro: str, version: str, codename: str
) -> None:
    assert release(larger, distro, version, codename) == ""


def test_the_day_on_which_records_were_taken_and_the_end_of_support(
    database: GrypeDatabase,
) -> None:
    named = {f"{one.names[-1]}:{one.version}": one for one in database.releases}
    assert named["alpine:3.20"].captured == 1_795_132_800_000  # days before the build
    assert named["debian:9"].ended == "2022-06-30"


def test_long_support_counts_where_there_is_one_and_else_what_grype_says(
    database: GrypeDatabase,
) -> None:
    (twelve,) = [one for one in database.releases if one.major == "12"]
    early = msgspec.structs.replace(twelve, ended="2026-06-10")
    in_autumn_2026 = 1_795_478_400_000
    assert early.ended_before("debian:12", in_autumn_2026) == ""
    assert early.ended_before("debian:9", in_autumn_2026) == "2022-07-01"
    assert early.ended_before("amzn:2", in_autumn_2026) == "2026-06-10"
    assert early.ended_before("amzn:2", 1_767_225_600_000) == ""  # 2026-01-01


def test_what_is_there_is_counted(database: GrypeDatabase) -> None:
    assert {f"{one.names[-1]}:{one.version}": one.records for one in database.releases} == {
        "debian:12": 8,
        "debian:9": 1,
        "alpine:3.20": 1,
        "rhel:9": 3,
    }
    assert {one.type: one.records for one in database.ecosystems} == {"npm": 1, "python": 1}


def test_a_database_of_another_schema_is_refused_by_its_number(tmp_path: Path) -> None:
    file = make_database(tmp_path, "UPDATE db_metadata SET model = 7;")
    with pytest.raises(MatchingFailed, match="of schema 7, and this scanner reads 6"):
        read_database(file)


def test_a_file_that_is_no_database_is_said_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "vulnerability.db"
    file.write_bytes(b"nothing" * 1000)
    with pytest.raises(MatchingFailed, match="run `grype db delete`"):
        read_database(file)
    with pytest.raises(MatchingFailed, match="unable to open database file"):
        read_database(tmp_path / "none.db")
