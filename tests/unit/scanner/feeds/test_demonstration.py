"""The feed that a new scanner begins with."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.scanner.feeds import demonstration
from services.scanner.feeds.feed import Feed
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.state import FeedError
from services.scanner.matching.finding import Severity
from tests.unit.scanner.feeds.osv import affected, image, package, record, write


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    folder = FeedFolder(tmp_path_factory.mktemp("feeds"))
    demonstration.begin(folder)
    current = folder.current()
    assert current is not None
    return Feed.open(current)


def test_it_covers_what_the_docs_say_and_says_what_it_is(tmp_path: Path) -> None:
    folder = FeedFolder(tmp_path)
    demonstration.begin(folder)

    state = folder.state()
    assert state is not None
    assert state.demonstration
    (release,) = state.releases
    assert (release.name, release.whole, release.doubtful) == ("debian:12", False, 0)
    assert release.covers == (
        *("adduser", "base-files", "ca-certificates", "expat", "glibc"),
        *("media-types", "netbase", "openssh", "tzdata"),
    )


@pytest.mark.parametrize(
    ("source", "version", "cve", "there"),
    [
        ("expat", "2.5.0-1", "CVE-2024-45491", True),
        ("expat", "2.5.0-1", "CVE-2024-45492", True),
        ("expat", "2.5.0-1+deb12u1", "CVE-2024-45492", False),
        ("openssh", "1:9.2p1-2", "CVE-2023-38408", True),
        ("openssh", "1:9.2p1-2+deb12u2", "CVE-2024-6387", True),
        ("openssh", "1:9.2p1-2+deb12u10", "CVE-2024-6387", False),
        ("glibc", "2.36-9+deb12u5", "CVE-2024-2961", True),
        ("glibc", "2.36-9+deb12u14", "CVE-2024-2961", False),
    ],
)
def test_the_packages_own_feed_knows_real_advisories(
    feed: Feed, source: str, version: str, cve: str, there: bool
) -> None:
    found = {one.id for one in feed.match(image("debian:12", package(source, version))).findings}

    assert (cve in found) is there


def test_an_advisory_with_several_cves_lends_each_its_name(feed: Feed) -> None:
    found = feed.match(image("debian:12", package("expat", "2.5.0-1"))).findings

    named = {one.id: one.advisories for one in found}
    assert named["CVE-2024-45491"] == named["CVE-2024-45490"] == ("DSA-5770-1",)
    assert named["CVE-2024-28757"] == ()


@pytest.mark.parametrize(
    ("cve", "severity"),
    [
        ("CVE-2026-5450", Severity.CRITICAL),
        ("CVE-2019-1010022", Severity.NEGLIGIBLE),
        ("CVE-2026-5435", Severity.UNKNOWN),
    ],
)
def test_severities_are_what_they_were_before_they_were_osv_records(
    feed: Feed, cve: str, severity: Severity
) -> None:
    found = feed.match(image("debian:12", package("glibc", "2.36-9+deb12u14"))).findings

    assert {one.id: one.severity for one in found}[cve] == severity


def test_a_feed_that_was_imported_stays(tmp_path: Path) -> None:
    folder = FeedFolder(tmp_path / "feeds")
    demonstration.begin(folder)
    source = write(tmp_path / "in", record("DEBIAN-CVE-2099-1", affected("Debian:13", "bad")))
    imported = import_records(folder, [source])
    demonstration.begin(folder)

    state = folder.state()
    assert state == imported.state
    assert not state.demonstration
    assert [one.name for one in state.releases] == ["debian:13"]


def test_a_demonstration_feed_of_another_release_of_this_program_is_built_anew(
    tmp_path: Path,
) -> None:
    folder = FeedFolder(tmp_path / "feeds")
    source = write(tmp_path / "in", record("DEBIAN-CVE-2099-1", affected("Debian:13", "bad")))
    import_records(folder, [source], demonstration="of before")
    demonstration.begin(folder)

    state = folder.state()
    assert state is not None
    assert [one.name for one in state.releases] == ["debian:12"]


def test_a_feed_that_nobody_can_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "feed-1.sqlite").write_bytes(b"not SQLite at all")
    (tmp_path / "current").symlink_to("feed-1.sqlite")
    demonstration.begin(FeedFolder(tmp_path))

    assert (tmp_path / "feed-1.sqlite").read_bytes() == b"not SQLite at all"


def test_a_demonstration_feed_of_an_older_program_is_built_anew(tmp_path: Path) -> None:
    folder = FeedFolder(tmp_path)
    demonstration.begin(folder)
    current = folder.current()
    assert current is not None
    with closing(sqlite3.connect(current)) as connection:
        connection.execute("PRAGMA user_version = 0")
    with pytest.raises(FeedError, match="is of version 0"):
        FeedFolder(tmp_path).state()
    demonstration.begin(FeedFolder(tmp_path))

    assert FeedFolder(tmp_path).state() is not None
