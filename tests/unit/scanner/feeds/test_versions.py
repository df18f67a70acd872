"""Versions, compared as the distributions' own tools compare them."""

import itertools
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scanner.feeds.ecosystems import Scheme
from services.scanner.feeds.known import Known, sort_versions
from services.scanner.feeds.versions import BadVersion, parse_version

DEB = (
    *("0~~", "0~", "0", "1.0~rc1-1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u1", "1.0-1+deb12u2"),
    *("1.0-1+deb12u10", "1.0-2~bpo12+1", "1.0-2", "1.0a-1", "1.0+git20240101-1", "1.0.1-1"),
    *("1.10-1", "9:0-1", "10:0-1"),
)
RPM = (
    *("1.0~rc1-1.el9", "1.0-1.el9", "1.0-1.el9_3", "1.0-1.el9_3.1", "1.0-2.el9", "1.0-10.el9"),
    *("1.0^git1-1.el9", "1.0.1-1.el9", "1.10-1.el9", "1:0.1-1", "2:0.1-1"),
)
APK = (
    *("1.0_alpha1", "1.0_alpha2", "1.0_beta1", "1.0_pre2", "1.0_rc1", "1.0", "1.0-r0", "1.0-r9"),
    *("1.0-r10", "1.0_git20240101-r0", "1.0_p1", "1.0_p2-r1", "1.0_p10-r0", "1.0a", "1.0a-r1"),
    *("1.0.1", "1.05", "1.06-r6", "1.1", "1.1.0", "1.2", "1.10", "2", "006", "20240101-r1"),
)
SEMVER = ("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta", "1.0.0-rc.2", "1.0.0", "1.0.10", "1.10.0")


@pytest.mark.parametrize(
    ("scheme", "ordered"), [("deb", DEB), ("rpm", RPM), ("apk", APK), ("semver", SEMVER)]
)
def test_versions_are_ordered_as_their_distribution_orders_them(
    scheme: Scheme, ordered: tuple[str, ...]
) -> None:
    for earlier, later in itertools.combinations(ordered, 2):
        assert parse_version(scheme, earlier) < parse_version(scheme, later), (earlier, later)
        assert not parse_version(scheme, later) < parse_version(scheme, earlier)


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not there")
def test_dpkg_says_the_same() -> None:
    for earlier, later in itertools.pairwise(DEB):
        subprocess.run(["dpkg", "--compare-versions", earlier, "lt", later], check=True)


@pytest.mark.skipif(shutil.which("rpm") is None, reason="rpm is not there")
def test_rpm_says_the_same() -> None:
    for earlier, later in itertools.pairwise(RPM):
        asked = f'%{{lua:print(rpm.ver("{earlier}") < rpm.ver("{later}"))}}'
        told = subprocess.run(["rpm", "--eval", asked], check=True, capture_output=True, text=True)
        assert told.stdout.strip() == "true", (earlier, later)


@pytest.mark.parametrize(
    ("scheme", "text"),
    [
        *(("deb", text) for text in ("", "not a version", "a1", "1:", "x:1-1", "~1", "1" * 300)),
        *(("rpm", text) for text in ("", "1.0", "not a version", "a:1-1", "1-1-1", "1.0-1:2")),
        *(("apk", text) for text in ("", "edge", "1.0~1a2b3c-r0", "1.0-1", "1.0_foo", "1.0-r")),
        *(("semver", text) for text in ("", "latest", "1.2.3.4", "workspace:*")),
        *(("golang", text) for text in ("", "(devel)", "unknown")),
        *(("pypi", text) for text in ("", "2004d", "unknown")),
        *(("nuget", text) for text in ("", "x")),
        *(("composer", text) for text in ("", "dev-master")),
        *(("gem", text) for text in ("", "x y")),
        *(("maven", text) for text in ("", "UNKNOWN", "${project.version}")),
    ],
)
def test_a_text_that_is_no_version_is_said_to_be_none(scheme: Scheme, text: str) -> None:
    with pytest.raises(BadVersion, match=f"no version of {scheme}"):
        parse_version(scheme, text)


@pytest.mark.parametrize(
    ("scheme", "one", "other"),
    [
        ("rpm", "1.0-1.el9", "0:1.0-1.el9"),
        ("deb", "1.0-1", "0:1.0-1"),
        ("pypi", "1.0", "1.0.0"),
        ("semver", "v1.2.3", "1.2.3"),
        ("golang", "go1.22.1", "1.22.1"),
    ],
)
def test_two_spellings_of_a_version_have_one_rung(scheme: Scheme, one: str, other: str) -> None:
    versions, rungs = sort_versions(scheme, [one, other])

    assert len(versions) == 1
    assert rungs[one] == rungs[other] == 1
    assert Known(versions).rung(scheme, one) == Known(versions).rung(scheme, other) == 1


@given(st.lists(st.sampled_from(DEB), unique=True), st.sampled_from(DEB))
def test_a_version_stands_behind_all_that_are_earlier(named: list[str], asked: str) -> None:
    versions, rungs = sort_versions("deb", named)
    rung = Known(versions).rung("deb", asked)

    assert list(versions) == sorted(named, key=DEB.index)
    assert rung // 2 == sum(DEB.index(one) < DEB.index(asked) for one in named)
    assert (rung % 2 == 1) is (asked in named)
    assert Known(versions).version_at(rung) == (asked if asked in named else None)
    assert all(versions[rungs[one] // 2] == one for one in named)
