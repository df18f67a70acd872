"""OSV's rules about versions: ranges, lists, what is withdrawn, what cannot be compared."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scanner.feeds.known import Known
from services.scanner.feeds.merging import Entry, merge
from services.scanner.matching.finding import Severity
from tests.unit.scanner.feeds.osv import (
    CRITICAL,
    HIGH,
    affected,
    feed_of,
    findings,
    ids,
    image,
    imported,
    opened,
    package,
    record,
    scored,
    uncovered,
)


@pytest.mark.parametrize(
    ("events", "rungs"),
    [
        (("introduced 0", "fixed 2"), "0.9 1 1.9"),
        (("introduced 0",), "0.9 1 1.9 2 2.1 3 3.5"),
        (("introduced 1",), "1 1.9 2 2.1 3 3.5"),
        (("introduced 1", "fixed 2"), "1 1.9"),
        (("introduced 0", "last_affected 2"), "0.9 1 1.9 2"),
        (("introduced 0", "fixed 1", "introduced 2", "fixed 3"), "0.9 2 2.1"),
        (("introduced 2", "introduced 0", "fixed 3", "fixed 1"), "0.9 2 2.1"),
        (("introduced 0", "fixed 1", "|", "introduced 2", "fixed 3"), "0.9 2 2.1"),
        (("introduced 0", "limit 2"), "0.9 1 1.9"),
        (("introduced 0", "limit 1", "limit 2"), "0.9 1 1.9"),
        (("introduced 0", "limit *"), "0.9 1 1.9 2 2.1 3 3.5"),
        (("introduced 0", "fixed 3", "limit 2"), "0.9 1 1.9"),
        (("introduced 0", "fixed 0"), ""),
        (("introduced 2", "fixed 2"), ""),
        (("introduced 0", "fixed 2", "introduced 2", "fixed 3"), "0.9 1 1.9 2 2.1"),
    ],
)
def test_ranges_mean_what_the_schema_says(
    tmp_path: Path, events: tuple[str, ...], rungs: str
) -> None:
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1000", affected("Debian:12", "bad", *events)))

    versions = ("0.9", "1", "1.9", "2", "2.1", "3", "3.5")
    found = findings(feed, "debian:12", *(package("bad", one) for one in versions))
    assert " ".join(one.package.version for one in found) == rungs


@pytest.mark.parametrize(
    ("installed", "fixed"), [("0.5", "1"), ("2", "3"), ("2.5", "3"), ("4", None), ("6", None)]
)
def test_the_fix_is_the_one_of_the_branch_that_is_installed(
    tmp_path: Path, installed: str, fixed: str | None
) -> None:
    events = ("introduced 0", "fixed 1", "introduced 2", "fixed 3", "introduced 4")
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1000", affected("Debian:12", "bad", *events)))

    (found,) = findings(feed, "debian:12", package("bad", installed))
    assert found.fixed == fixed


def test_of_what_was_last_affected_no_fix_is_known(tmp_path: Path) -> None:
    entry = affected("Debian:12", "bad", "introduced 0", "last_affected 2")
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1000", entry))

    (found,) = findings(feed, "debian:12", package("bad", "2"))
    assert found.fixed is None


def test_versions_that_are_listed_are_affected_beside_the_ranges(tmp_path: Path) -> None:
    entry = affected("PyPI", "bad", "introduced 0", "fixed 1", versions=("0.5", "3.0", "2004d"))
    only = affected("PyPI", "listed", versions=("1.0",))
    feed = feed_of(tmp_path, record("PYSEC-1", entry, only, aliases=["CVE-2099-1000"]))

    def found(name: str, *versions: str) -> list[str]:
        packages = (package(name, one, "python") for one in versions)
        return [one.package.version for one in findings(feed, "debian:12", *packages)]

    assert found("bad", "0.5", "0.9", "1", "2.9", "3", "3.0.1") == ["0.5", "0.9", "3"]
    assert found("listed", "0.9", "1.0.0", "1.1") == ["1.0.0"]


def test_an_entry_that_limits_nothing_means_every_version(tmp_path: Path) -> None:
    feed = feed_of(tmp_path, record("MAL-1", affected("npm", "evil")))

    assert ids(feed, "debian:12", package("evil", "0.0.1", "npm")) == ["MAL-1"]


def test_a_withdrawn_record_does_not_count_and_takes_its_older_self_along(tmp_path: Path) -> None:
    entry = affected("Debian:12", "bad", "introduced 0")
    older = record("DEBIAN-CVE-2099-1000", entry)
    newer = {**older, "modified": "2026-11-12T00:00:00Z", "withdrawn": "2026-11-12T00:00:00Z"}
    other = record("DEBIAN-CVE-2099-1001", affected("Debian:12", "bad", "introduced 0"))
    done = imported(tmp_path, older, newer, other)

    assert done.withdrawn == 1
    assert ids(opened(tmp_path), "debian:12", package("bad", "1")) == ["CVE-2099-1001"]


@pytest.mark.parametrize("newer_first", [True, False])
def test_of_a_record_that_comes_twice_the_newer_counts(tmp_path: Path, newer_first: bool) -> None:
    older = record("DEBIAN-CVE-2099-1000", affected("Debian:12", "bad", "introduced 0"))
    newer = record("DEBIAN-CVE-2099-1000", affected("Debian:12", "bad", "introduced 0", "fixed 2"))
    newer["modified"] = "2026-11-12T00:00:00.123456789Z"
    feed = feed_of(tmp_path, *((newer, older) if newer_first else (older, newer)))

    assert ids(feed, "debian:12", package("bad", "2")) == []


def test_scores_come_from_the_record_then_from_the_cves_own_then_from_a_word(
    tmp_path: Path,
) -> None:
    def about(name: str, **more: Any) -> dict[str, Any]:
        return record(
            f"RLSA-{name}",
            affected("Rocky Linux:9", name, "introduced 0"),
            aliases=["CVE-2099-1000", "CVE-2099-1001"],
            summary="Low: an update",
            **more,
        )

    feed = feed_of(
        tmp_path,
        record("CVE-2099-1000", severity=scored(CRITICAL)),
        about("own", severity=scored(HIGH)),
        about("word"),
        record("RLSA-3", affected("Rocky Linux:9", "silent", "introduced 0")),
    )

    def severities(name: str) -> dict[str, Severity]:
        found = findings(feed, "rocky:9", package(name, "1-1", "rpm"))
        return {one.id: one.severity for one in found}

    # An advisory's score is that of its worst CVE: the CVE's own is nearer.
    assert severities("own") == {
        "CVE-2099-1000": Severity.CRITICAL,
        "CVE-2099-1001": Severity.HIGH,
    }
    assert severities("word") == {
        "CVE-2099-1000": Severity.CRITICAL,
        "CVE-2099-1001": Severity.LOW,
    }
    assert severities("silent") == {"RLSA-3": Severity.UNKNOWN}


@pytest.mark.parametrize(
    ("vectors", "base", "severity"),
    [
        ([{"type": "CVSS_V3", "score": CRITICAL}], 9.8, Severity.CRITICAL),
        ([{"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:C/I:C/A:C"}], 10.0, Severity.CRITICAL),
        (
            scored(
                "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H",
                "CVSS:4.0/AV:L/AC:L/AT:N/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
            ),
            5.5,
            Severity.HIGH,
        ),
        ([{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N"}], None, Severity.UNKNOWN),
        ([{"type": "CVSS_V3", "score": "9.8"}], None, Severity.UNKNOWN),
    ],
)
def test_cvss_of_each_version_is_computed_from_its_vector(
    tmp_path: Path, vectors: list[dict[str, str]], base: float | None, severity: Severity
) -> None:
    entry = affected("Debian:12", "bad", "introduced 0")
    feed = feed_of(tmp_path, record("DEBIAN-CVE-2099-1000", entry, severity=vectors))

    (found,) = findings(feed, "debian:12", package("bad", "1"))
    assert found.severity == severity
    assert [score.base for score in found.scores][:1] == ([] if base is None else [base])


def test_a_score_of_cvss_3_has_its_parts_and_says_whose_it_is(tmp_path: Path) -> None:
    feed = feed_of(
        tmp_path,
        record(
            "RHSA-2099:1",
            affected("Red Hat:enterprise_linux:9::baseos", "bad", "introduced 0"),
            severity=scored(CRITICAL),
            upstream=["CVE-2099-1000"],
        ),
    )

    (found,) = findings(feed, "rhel:9", package("bad", "1-1", "rpm"))
    (score,) = found.scores
    assert (score.exploitability, score.impact, score.vendor) == (3.9, 5.9, True)


def test_a_version_that_is_none_is_uncovered_on_either_side(tmp_path: Path) -> None:
    done = imported(
        tmp_path,
        record("DEBIAN-CVE-2099-1000", affected("Debian:12", "good", "introduced 0", "fixed 2")),
        record("DEBIAN-CVE-2099-1001", affected("Debian:12", "bad", "introduced 0", "fixed nix")),
        record("DEBIAN-CVE-2099-1002", affected("Debian:12", "bad", "introduced 0", "fixed 2")),
        whole=["Debian"],
    )

    (bad,) = done.bad
    assert bad.packages == ("debian:12 bad",)
    assert (bad.where, bad.reason) == ("DEBIAN-CVE-2099-1001", "'nix' is no version of deb")
    matches = opened(tmp_path).match(
        image("debian:12", package("bad", "1"), package("good", "not a version"))
    )
    assert uncovered(matches) == ["bad", "good"]
    assert [one.id for one in matches.findings] == ["CVE-2099-1002"]  # known all the same


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["introduced", "fixed", "last_affected"]),
                st.integers(1, 9).map(str),
            ),
            max_size=5,
        ).map(lambda events: (("introduced", "0"), *events)),
        min_size=1,
        max_size=3,
    ),
    st.integers(0, 20),
)
def test_rungs_say_the_same_as_comparing_every_event(
    ranges: list[tuple[tuple[str, str], ...]], half: int
) -> None:
    """The schema's own algorithm, event by event, against the spans that are kept."""
    known = merge("deb", [Entry("R", ("R",), own=True, ranges=tuple(ranges))])

    assert _holds(known, half / 2) is any(_by_the_schema(events, half / 2) for events in ranges)


def _holds(known: Known, version: float) -> bool:
    rung = known.rung("deb", f"{version:.1f}".removesuffix(".0"))
    return any(span.holds(rung) for span in known.vulnerabilities[0].spans)


def _by_the_schema(events: tuple[tuple[str, str], ...], version: float) -> bool:
    state = False
    # A stable sort: of events at one version the record's own order counts, but what was last
    # affected ends behind it.
    for kind, text in sorted(events, key=lambda one: (int(one[1]), one[0] == "last_affected")):
        at = int(text)
        if kind == "introduced" and version >= at:
            state = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            state = False
    return state
