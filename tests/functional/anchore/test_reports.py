"""What is read of an image's content and vulnerabilities: what a real Engine answered, v2's key for
the digest, and answers that are no good."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shared.adapters.anchore.calls import Limits
from shared.adapters.anchore.reports import AnchoreReports
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_reports import V1_REPORTS, read_packages, read_vulnerabilities
from shared.adapters.anchore.v2_reports import V2_REPORTS
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.image_report import DataGroup, ImageAbout, Severity, Vulnerability
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_replay import Recording, Replay, recording
from tests.fakes.anchore_reports import package, vulnerability

GOOD = "sha256:c3795674e1858a2e7d6bc935597afb531899e4deec8bf6d1beee3ffbcbe1b0c2"
BAD = "sha256:569f5fd19889e9ad5bed24cbefc42500b9d139a62f2ff3403679570c9879e6c1"
OTHER = "sha256:" + "0" * 64
PATIENT = Limits()


@asynccontextmanager
async def replayed(
    recordings: Sequence[Recording], *, api: str = "v1", limits: Limits = PATIENT
) -> AsyncIterator[tuple[Replay, AnchoreReports]]:
    async with (
        Replay(recordings) as replay,
        AnchoreTransport(url=replay.url, user="admin", password="x", limits=limits) as transport,
    ):
        dialect = V2_REPORTS if api == "v2" else V1_REPORTS
        yield replay, AnchoreReports(dialect=dialect, transport=transport)


def told(body: Any, *, status: int = 200) -> Recording:
    """An answer that nobody recorded."""
    return msgspec.structs.replace(recording("vuln-all-good"), body=body, status=status)


async def test_what_an_image_is_stands_in_its_record() -> None:
    async with replayed([recording("image-get-analyzed-bad")]) as (_, reports):
        about = await reports.about(BAD)
    assert about == ImageAbout(
        architecture="amd64",
        distro="debian",
        distro_version="12",
        size=about.size,
        layers=2,
        dockerfile="Guessed",
    )
    assert about.size > 1_000_000
    assert about.release == "debian:12"


async def test_packages_are_read_of_each_kind_of_content_that_lists_some() -> None:
    content = recording("image-content-os-good")
    async with replayed([recording("image-content-types"), content]) as (replay, reports):
        packages = await reports.packages(GOOD)
    asked = [one.path.rpartition("/content")[2] for one in replay.asked]
    assert sorted(asked) == ["", "/binary", "/gem", "/go", "/java", "/npm", "/os", "/python"]
    listed = len(content.body["content"])
    assert len(packages) == 7 * listed
    assert (packages[0].name, packages[0].version, packages[0].type) == (
        "adduser",
        "3.134",
        "dpkg",
    )


async def test_a_server_without_a_list_of_kinds_has_the_distributions_packages() -> None:
    missing = told({"status": 404, "title": "Not Found", "detail": "no"}, status=404)
    content = recording("image-content-os-good")
    async with replayed([missing, content]) as (replay, reports):
        packages = await reports.packages(GOOD)
    assert [one.path.rpartition("/")[2] for one in replay.asked] == ["content", "os"]
    assert len(packages) == len(content.body["content"])


async def test_a_vulnerability_without_a_fix_has_none_and_one_with_names_it() -> None:
    async with replayed([recording("vuln-all-good")]) as (_, reports):
        (found,) = (await reports.vulnerabilities(GOOD)).found
    assert found == Vulnerability(
        id="CVE-2099-0002",
        package="perl-base",
        version="5.36.0-7+deb12u3",
        type="dpkg",
        severity=Severity.LOW,
        url="https://security-tracker.debian.org/tracker/CVE-2099-0002",
        group="debian:12",
    )
    async with replayed([recording("vuln-while-analyzed-bad")]) as (_, reports):
        fixes = {one.fixed for one in (await reports.vulnerabilities(BAD)).found}
    assert fixes == {None, "1:99.0-1"}


async def test_engine_does_not_say_what_its_silence_is_worth() -> None:
    async with replayed([recording("vuln-all-good")]) as (_, reports):
        assert (await reports.vulnerabilities(GOOD)).coverage is None


async def test_what_is_listed_twice_is_found_once() -> None:
    body = recording("vuln-all-good").body
    twice = told(body | {"vulnerabilities": body["vulnerabilities"] * 2})
    async with replayed([twice]) as (_, reports):
        assert len((await reports.vulnerabilities(GOOD)).found) == 1


async def test_data_has_a_name_and_the_time_of_its_last_sync() -> None:
    async with replayed([recording("v1-system-feeds")]) as (_, reports):
        (group,) = await reports.data()
    at = datetime(2026, 11, 23, 15, 27, 34, tzinfo=UTC)
    assert group == DataGroup("debian:12", 4, int(at.timestamp() * 1000))


async def test_a_group_of_enterprise_is_as_old_as_its_data_set() -> None:
    feed = {
        "data_service_built_at": "2026-11-20T01:00:00Z",
        "groups": [{"name": "debian:12", "record_count": 7, "last_sync": None}],
        "name": "vulnerabilities",
    }
    async with replayed([told([feed])], api="v2") as (_, reports):
        (group,) = await reports.data()
    at = datetime(2026, 11, 20, 1, tzinfo=UTC)
    assert group == DataGroup("debian:12", 7, int(at.timestamp() * 1000))


async def test_enterprise_names_the_digest_in_its_own_way() -> None:
    body = recording("vuln-all-good").body
    renamed = {"image_digest": GOOD, "vulnerabilities": body["vulnerabilities"]}
    async with replayed([told(renamed)], api="v2") as (replay, reports):
        assert len((await reports.vulnerabilities(GOOD)).found) == 1
    assert replay.asked[0].path == f"/v2/images/{GOOD}/vuln/all"


async def test_an_image_that_is_not_analysed_has_nothing_to_tell() -> None:
    async with replayed([recording("vuln-while-analyzing-bad")]) as (_, reports):
        with pytest.raises(PermanentFailure, match="image is not analyzed") as failed:
            await reports.vulnerabilities(BAD)
    assert failed.value.kind is ErrorKind.NOT_FOUND


async def test_an_answer_about_another_image_is_not_believed() -> None:
    async with replayed([recording("vuln-all-good")]) as (_, reports):
        with pytest.raises(PermanentFailure, match="instead of") as failed:
            await reports.vulnerabilities(OTHER)
    assert failed.value.kind is ErrorKind.UNTRUSTED


@pytest.mark.parametrize(
    "body",
    [
        {"imageDigest": GOOD},
        {"imageDigest": GOOD, "vulnerabilities": "none"},
        {"imageDigest": GOOD, "vulnerabilities": [{"severity": "High"}]},
        {"imageDigest": GOOD, "vulnerabilities": [7]},
    ],
)
async def test_an_answer_of_another_shape_cannot_be_read(body: Any) -> None:
    async with replayed([told(body)]) as (_, reports):
        with pytest.raises(TransientFailure, match="image_vulnerabilities cannot be read"):
            await reports.vulnerabilities(GOOD)


@pytest.mark.parametrize("body", [[], None, {}, [[]], "nothing"])
async def test_a_record_that_is_none_is_about_another_image(body: Any) -> None:
    async with replayed([told(body)]) as (_, reports):
        with pytest.raises(StepFailure):
            await reports.about(GOOD)


async def test_an_answer_that_is_too_large_is_not_read() -> None:
    small = msgspec.structs.replace(PATIENT, max_bytes=1_000, attempts=1)
    async with replayed([recording("vuln-while-analyzed-bad")], limits=small) as (_, reports):
        with pytest.raises(TransientFailure, match="longer than 1000 bytes"):
            await reports.vulnerabilities(BAD)


def test_severities_have_the_same_name_in_any_spelling_and_what_is_none_is_unknown() -> None:
    spelled = {"Critical": "critical", "HIGH": "high", "negligible": "negligible"}
    rows = [{"vuln": name, "severity": name} for name in (*spelled, "Unknown", "Terrible", "")]
    found = read_vulnerabilities({"vulnerabilities": [*rows, {"vuln": "x"}]}).found
    assert [one.severity.value for one in found] == [*spelled.values(), *["unknown"] * 4]


@pytest.mark.parametrize(
    ("scores", "score"),
    [
        ({}, None),
        ({"nvd_data": [{"id": "x", "cvss_v3": {"base_score": 9.8}}]}, 9.8),
        ({"nvd_data": [{"cvss_v3": {"base_score": -1.0}, "cvss_v2": {"base_score": 5.0}}]}, 5.0),
        ({"nvd_data": [{"cvss_v3": None, "cvss_v2": {"base_score": -1.0}}]}, None),
        ({"nvd_data": None, "vendor_data": [{"cvss_v3": {"base_score": 4.4}}]}, 4.4),
        ({"nvd_data": [{"cvss_v3": {"base_score": 99.0}}]}, None),
    ],
)
def test_a_score_is_that_of_the_newest_cvss(scores: Any, score: float | None) -> None:
    (found,) = read_vulnerabilities({"vulnerabilities": [{"vuln": "x"} | scores]}).found
    assert found.score == score


def test_an_archive_of_java_names_its_version_in_its_own_way() -> None:
    rows = [
        {"package": "a", "maven-version": "1.2", "implementation-version": "N/A"},
        {"package": "b", "maven_version": "N/A", "implementation_version": "3.4"},
        {"package": "c"},
    ]
    found = read_packages({"content": rows, "content_type": "java"})
    assert [(one.name, one.version, one.type) for one in found] == [
        ("a", "1.2", "java"),
        ("b", "3.4", "java"),
        ("c", "", "java"),
    ]


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_the_fake_answers_in_the_shapes_that_were_recorded(api: str) -> None:
    rows = recording("vuln-all-good").body["vulnerabilities"]
    assert vulnerability("a", "1", "CVE-1", "Low").keys() == rows[0].keys()
    listed = recording("image-content-os-good").body["content"]
    assert package("a", "1").keys() == listed[0].keys()
    async with FakeAnchore(api=api) as anchore, _plain(anchore, api) as reports:
        anchore.store.know(GOOD, "a.example/b:1")
        anchore.store.holds(GOOD, {"os": [package("a", "1")]})
        assert [one.name for one in await reports.packages(GOOD)] == ["a"]
        assert anchore.store.calls["image_content"] == 8


@asynccontextmanager
async def _plain(anchore: FakeAnchore, api: str) -> AsyncIterator[AnchoreReports]:
    async with AnchoreTransport(url=anchore.url, user="admin", password="foobar") as transport:
        yield AnchoreReports(dialect=V2_REPORTS if api == "v2" else V1_REPORTS, transport=transport)
