"""What silence means: whole dumps, parts, doubt, ended and unknown releases."""

import json
from pathlib import Path

import pytest

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.lifecycle import ended_before
from services.scanner.feeds.state import FeedRefused
from tests.unit.scanner.feeds.osv import (
    affected,
    feed_of,
    ids,
    image,
    imported,
    opened,
    package,
    record,
    uncovered,
    write,
)

BAD = record("DEBIAN-CVE-2099-1000", affected("Debian:12", "bad", "introduced 0"))
DAY = 86_400_000


def test_of_a_whole_dump_silence_means_that_nothing_is_known(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, BAD, whole=["Debian"])

    matches = feed.match(image("debian:12", package("never-named", "1"), package("bad", "1")))
    assert uncovered(matches) == []
    assert [one.id for one in matches.findings] == ["CVE-2099-1000"]
    assert matches.unavailable == ""


def test_of_a_part_silence_about_what_it_does_not_name_means_nothing(tmp_path: Path) -> None:
    matches = feed_of(tmp_path, BAD).match(image("debian:12", package("never-named", "1")))

    assert uncovered(matches) == ["never-named"]


def test_a_descriptor_says_what_else_a_part_is_about_and_up_to_when(tmp_path: Path) -> None:
    descriptor = {"as_of": "2026-01-02", "releases": {"Debian:12": {"covers": ["good", "bad"]}}}
    folder = write(tmp_path / "records", BAD)
    (folder / "imagegate-feed.json").write_text(json.dumps(descriptor))
    import_records(FeedFolder(tmp_path / "feeds"), [folder])

    matches = opened(tmp_path).match(
        image("debian:12", package("good", "1"), package("bad", "1"), package("other", "1"))
    )
    assert uncovered(matches) == ["other"]
    assert [one.id for one in matches.findings] == ["CVE-2099-1000"]
    assert matches.as_of == 1_767_312_000_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"releases": {"Debian": {"covers": []}}}', "'Debian' is no ecosystem with a release"),
        ('{"as_of": "yesterday"}', "as_of is no date"),
        ('{"covers": []}', "covers"),
        ("[]", "no descriptor"),
    ],
)
def test_a_descriptor_that_is_wrong_is_refused(tmp_path: Path, text: str, said: str) -> None:
    folder = write(tmp_path / "records", BAD)
    (folder / "imagegate-feed.json").write_text(text)

    with pytest.raises(FeedRefused, match=rf"imagegate-feed\.json.*{said}"):
        import_records(FeedFolder(tmp_path / "feeds"), [folder])


@pytest.mark.parametrize(
    "release",
    ["debian:99", "debian:0", "debian:sid", "ubuntu:22.04", "Unknown:0", "gentoo:2.15", "debian:"],
)
def test_of_a_release_that_the_feed_does_not_know_nothing_is_said(
    tmp_path: Path, release: str
) -> None:
    matches = feed_of(tmp_path, BAD, whole=["Debian"]).match(image(release, package("bad", "1")))

    assert matches.unavailable == "there is no data about this release"
    assert (matches.as_of, matches.findings, uncovered(matches)) == (None, (), ["bad"])


def test_packages_of_another_kind_than_the_releases_are_uncovered(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, BAD, whole=["Debian"])

    matches = feed.match(
        image("debian:12", package("a", "1-r0", "apk"), package("b", "1", "python"))
    )
    assert uncovered(matches) == ["a", "b"]


@pytest.mark.parametrize(
    ("release", "last"),
    [
        ("debian:10", "2024-06-30"),
        ("debian:11", "2026-08-31"),
        ("ubuntu:20.04", "2025-05-31"),
        ("alpine:3.20", "2026-04-01"),
        ("rhel:7", "2024-06-30"),
        ("rocky:8", "2029-05-31"),
        ("almalinux:8", "2029-03-01"),
    ],
)
def test_support_ends_with_the_last_day(release: str, last: str) -> None:
    at = {"2024-06-30": 1_719_705_600_000, "2026-08-31": 1_788_134_400_000}.get(last)
    if at is not None:
        assert ended_before(release, at + DAY - 1) == ""
        assert ended_before(release, at + DAY) == last
    assert ended_before(release, 4_102_444_800_000) == last


def test_of_a_release_whose_support_has_ended_the_day_is_told(tmp_path: Path) -> None:
    entries = [affected("Debian:10", "bad", "introduced 0"), affected("Debian:12", "bad")]
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1000", *entries), whole=["Debian"])

    matches = feed.match(image("debian:10", package("bad", "1")))
    assert matches.unavailable.startswith("support of this release ended on 2024-06-30:")
    assert [one.id for one in matches.findings] == ["CVE-2099-1000"]
    state = FeedFolder(tmp_path / "feeds").state()
    assert state is not None
    assert [(one.name, one.ended) for one in state.releases] == [
        ("debian:10", "2024-06-30"),
        ("debian:12", ""),
    ]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": 2}]}]}, "Expected `str"),
        ({"ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "2"}]}]}, "not by versions"),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, "not by versions"),
        ({"versions": "1.0"}, "Expected `array"),
    ],
)
def test_a_bad_entry_makes_its_package_uncovered_and_is_named(
    tmp_path: Path, entry: dict[str, object], said: str
) -> None:
    bad = {"package": {"ecosystem": "Debian:12", "name": "torn"}, **entry}
    done = imported(
        tmp_path,
        record("DEBIAN-CVE-2099-1001", bad, affected("Debian:12", "whole", "introduced 0")),
        record("DEBIAN-CVE-2099-1002", affected("Debian:12", "torn", "introduced 0")),
        whole=["Debian"],
    )

    (told,) = done.bad
    assert (told.where, told.packages, done.bad_count) == ("000.json", ("debian:12 torn",), 1)
    assert said in told.reason
    feed = opened(tmp_path)
    matches = feed.match(image("debian:12", package("torn", "1"), package("silent", "1")))
    assert uncovered(matches) == ["torn"]
    assert ids(feed, "debian:12", package("whole", "1")) == ["CVE-2099-1001"]
    (release,) = done.state.releases
    assert release.doubtful == 1


def test_a_record_that_is_bad_as_a_whole_leaves_none_of_its_packages_covered(
    tmp_path: Path,
) -> None:
    entries = [affected("Debian:12", name, "introduced 0", "fixed 2") for name in ("a", "b")]
    done = imported(
        tmp_path, {**record("X-1", *entries), "aliases": "CVE-1"}, BAD, whole=["Debian"]
    )

    assert {one.packages for one in done.bad} == {("debian:12 a",), ("debian:12 b",)}
    matches = opened(tmp_path).match(image("debian:12", package("a", "3"), package("b", "3")))
    assert uncovered(matches) == ["a", "b"]


def test_an_entry_without_a_release_leaves_its_package_uncovered_in_all(tmp_path: Path) -> None:
    done = imported(
        tmp_path,
        record("DTSA-1-1", affected("Debian", "vague", "introduced 0", "fixed 2")),
        BAD,
        record("DEBIAN-CVE-2099-1001", affected("Debian:13", "bad", "introduced 0")),
        whole=["Debian"],
    )

    assert [one.packages for one in done.bad] == [("Debian vague",)]
    for release in ("debian:12", "debian:13"):
        matches = opened(tmp_path).match(image(release, package("vague", "9")))
        assert uncovered(matches) == ["vague"]


@pytest.mark.parametrize(
    "text",
    [
        b"not JSON",
        b"",
        b"[]",
        b'{"id": "X-1", "affected": [{"package": {"name": "a"}}]}',
        b'{"id": "X-1", "affected": "all"}',
        b'{"modified": "2026-01-01T00:00:00Z"}',
        b'{"id": "X-1", "summary": "\xff"}',
        b"[" * 100_000,
    ],
)
def test_a_record_of_which_nobody_knows_what_it_is_about_refuses_the_import(
    tmp_path: Path, text: bytes
) -> None:
    imported(tmp_path, BAD)
    before = FeedFolder(tmp_path / "feeds").state()

    with pytest.raises(FeedRefused, match=r"1 of 2 records cannot be read.*001\.json"):
        imported(tmp_path, BAD, text)
    assert FeedFolder(tmp_path / "feeds").state() == before


def test_unreadable_records_can_be_left_out_knowingly_and_are_told(tmp_path: Path) -> None:
    done = imported(tmp_path, BAD, b"torn", leave_out_unreadable=True)

    assert [(one.where, one.packages) for one in done.bad] == [("001.json", ())]
    assert done.bad_count == 1
    assert done.records == 2


def test_records_of_other_ecosystems_than_a_dump_is_of_do_not_count(tmp_path: Path) -> None:
    """GitHub's records name packages of several: npm's dump holds a few of Maven's."""
    both = record("GHSA-1", affected("npm", "a", "introduced 0"), affected("Maven", "b:c"))
    done = imported(tmp_path, both, BAD, whole=["npm"])

    assert [(one.name, one.whole) for one in done.state.releases] == [("npm", True)]
    assert done.elsewhere == 1


def test_importing_one_ecosystem_keeps_the_others_and_replaces_its_own(tmp_path: Path) -> None:
    npm = record("GHSA-1", affected("npm", "a", "introduced 0"))
    score = {
        "id": "CVE-2099-1007",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    }
    imported(tmp_path, npm, score, whole=["npm"])
    imported(tmp_path, BAD, whole=["Debian"])
    other = record("DEBIAN-CVE-2099-1007", affected("Debian:13", "new", "introduced 0"))
    for file in (tmp_path / "records").iterdir():
        file.unlink()
    done = imported(tmp_path, other, whole=["Debian"])

    assert done.kept == ("npm",)
    assert [one.name for one in done.state.releases] == ["debian:13", "npm"]
    feed = opened(tmp_path)
    assert ids(feed, "debian:13", package("a", "1", "npm")) == ["GHSA-1"]
    (found,) = feed.match(image("debian:13", package("new", "1"))).findings
    assert found.severity.name == "CRITICAL"
    assert feed.match(image("debian:12", package("bad", "1"))).unavailable


def test_the_same_records_give_the_same_feed(tmp_path: Path) -> None:
    first = imported(tmp_path, BAD, whole=["Debian"])
    again = imported(tmp_path, BAD, whole=["Debian"])
    later = imported(tmp_path, BAD, whole=["Debian"], as_of=1_795_000_000_000)

    assert (first.changed, again.changed, later.changed) == (True, False, True)
    assert first.state.identity == again.state.identity != later.state.identity


def test_an_ecosystem_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FeedRefused, match=r"asked about: Debain; there are AlmaLinux, "):
        imported(tmp_path, BAD, whole=["Debain"])


def test_records_about_nothing_that_is_known_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedRefused, match="none of 1 records is about a release"):
        imported(tmp_path, record("X-1", affected("Android", "a", "introduced 0")))


@pytest.mark.parametrize(
    ("release", "left", "is_refused"),
    [("12", 200, False), ("12", 101, False), ("12", 99, True), ("10", 1, False)],
)
def test_a_dump_of_which_half_is_missing_is_refused_while_the_release_is_looked_after(
    tmp_path: Path, release: str, left: int, is_refused: bool
) -> None:
    def dump(count: int) -> list[dict[str, object]]:
        entry = affected(f"Debian:{release}", "bad", "introduced 0")
        return [record(f"DEBIAN-CVE-2099-{1000 + number}", entry) for number in range(count)]

    folder = FeedFolder(tmp_path / "feeds")
    import_records(folder, [write(tmp_path / "a", *dump(200))], whole=["Debian"])
    if is_refused:
        with pytest.raises(
            FeedRefused, match=r"99 records about debian:12, where the feed has 200"
        ):
            import_records(folder, [write(tmp_path / "b", *dump(left))], whole=["Debian"])
    else:
        import_records(folder, [write(tmp_path / "b", *dump(left))], whole=["Debian"])
