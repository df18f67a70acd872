"""The guarantees of `shared.ports.reports.ImageReports`, over both of Anchore's wire formats as a
fake speaks them and over the built-in scanner with its real Syft; by the adapter of the API, and by
what finds out which it is."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.scanner.settings import ScannerSettings
from services.scanner.wiring import run_scanner
from shared.adapters.anchore.detect import DetectedAnchore, Detection
from shared.adapters.anchore.either import ReportsOfEither
from shared.adapters.anchore.reports import REPORT_LIMITS, AnchoreReports
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_reports import V1_REPORTS
from shared.adapters.anchore.v2_reports import V2_REPORTS
from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.image_report import ImagePackage, Severity
from shared.domain.rules import RegistryRule, Rules
from shared.domain.verdict import Question, Subject
from shared.ports.reports import ImageReports
from shared.ports.scanner import Analysis, Scanner
from shared.runtime.clock import SystemClock
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_reports import package, vulnerability
from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.images import BASE_FILES, EXPAT, debian_image
from tests.waiting import eventually

IMAGE = debian_image(BASE_FILES, EXPAT)
NOWHERE = "sha256:" + "0" * 64
FIX = "2.5.0-1+deb12u1"


class World:
    """What is asked about, and a way to have an image analysed there."""

    def __init__(self, reports: ImageReports, scanner: Scanner, registry: FakeRegistry) -> None:
        self.reports, self._scanner, self._registry = reports, scanner, registry

    async def submitted(self, content: Content, name: str = "team/app:1") -> Subject:
        reference = self._registry.put(content, name)
        subject = Subject(reference.repository, content.digest, reference.tag)
        await self._scanner.submit(subject, Question())
        return subject

    async def analysed(self, content: Content = IMAGE) -> str:
        """Its digest."""
        subject = await self.submitted(content)

        async def done() -> bool:
            return (await self._scanner.analysis(subject, Question())).state is Analysis.DONE

        await eventually(done, within=60)
        return content.digest


@pytest.fixture(params=["engine", "enterprise", "built-in"])
def server(request: pytest.FixtureRequest) -> str:
    """Whose API it is."""
    return str(request.param)


@pytest.fixture(params=["told", "detected"])
async def world(
    request: pytest.FixtureRequest, server: str, tmp_path: Path
) -> AsyncIterator[World]:
    clock, api = SystemClock(), "v2" if server == "enterprise" else "v1"
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(FakeRegistry())
        if server == "built-in":
            rules = Rules(registries=(RegistryRule(registry.host, insecure=True),))
            images = await stack.enter_async_context(
                RegistryClient(rules=lambda: rules, clock=clock)
            )
            settings = ScannerSettings(imagegate_state=tmp_path, imagegate_scanner_port=0)
            running = await stack.enter_async_context(run_scanner(settings, registry=images))
            url, password = running.url, ""
        else:
            fake = await stack.enter_async_context(FakeAnchore(analysis_seconds=0.2, api=api))
            url, password = fake.url, fake.password
            listed = [package("base-files", "12.4+deb12u15"), package("libexpat1", "2.5.0-1")]
            found = vulnerability("libexpat1", "2.5.0-1", "CVE-2024-45491", "Critical", fix=FIX)
            fake.store.holds(IMAGE.digest, {"os": listed}, [found])
        transport = await stack.enter_async_context(
            AnchoreTransport(url=url, user="admin", password=password, limits=REPORT_LIMITS)
        )
        detection = Detection(transport=transport)
        scanner = DetectedAnchore(detection=detection, transport=transport, clock=clock)
        dialect = V2_REPORTS if api == "v2" else V1_REPORTS
        reports: ImageReports = (
            ReportsOfEither(detection=detection, transport=transport)
            if request.param == "detected"
            else AnchoreReports(dialect=dialect, transport=transport)
        )
        yield World(reports, scanner, registry)


async def test_an_analysed_image_says_what_it_is(world: World) -> None:
    about = await world.reports.about(await world.analysed())
    assert (about.architecture, about.release) == ("amd64", "debian:12")
    assert about.size > 0
    assert about.layers > 0
    assert about.dockerfile == "Guessed"


async def test_every_package_stands_with_its_version_and_type(world: World) -> None:
    packages = await world.reports.packages(await world.analysed())
    assert sorted(packages, key=lambda one: one.name) == [
        ImagePackage("base-files", "12.4+deb12u15", "dpkg"),
        ImagePackage("libexpat1", "2.5.0-1", "dpkg"),
    ]


async def test_a_vulnerability_stands_with_its_severity_and_the_fixed_version(world: World) -> None:
    found = (await world.reports.vulnerabilities(await world.analysed())).found
    (one,) = [each for each in found if each.id == "CVE-2024-45491"]
    assert (one.package, one.version, one.type) == ("libexpat1", "2.5.0-1", "dpkg")
    assert (one.severity, one.fixed, one.will_not_fix) == (Severity.CRITICAL, FIX, False)
    assert one.url.startswith("https://")
    assert one.group == "debian:12"
    assert len({(each.id, each.package) for each in found}) == len(found)


async def test_the_built_in_scanner_alone_says_what_its_silence_is_worth(
    world: World, server: str
) -> None:
    image = debian_image(BASE_FILES, "Package: curl\nVersion: 7.88.1-10\n")
    coverage = (await world.reports.vulnerabilities(await world.analysed(image))).coverage
    if server != "built-in":
        assert coverage is None
        return
    assert coverage is not None
    assert (coverage.release, coverage.unavailable) == ("debian:12", "")
    assert coverage.uncovered == (ImagePackage("curl", "7.88.1-10", "dpkg"),)
    assert coverage.as_of is not None


async def test_data_has_a_name_and_an_age(world: World) -> None:
    (group,) = [one for one in await world.reports.data() if one.name == "debian:12"]
    assert group.records > 0
    assert group.as_of is not None
    assert group.as_of <= SystemClock().now() + 60_000


@pytest.mark.parametrize("question", ["about", "packages", "vulnerabilities"])
async def test_of_an_image_that_is_not_known_there_is_nothing_to_tell(
    world: World, question: str
) -> None:
    with pytest.raises(PermanentFailure) as failed:
        await getattr(world.reports, question)(NOWHERE)
    assert failed.value.kind is ErrorKind.NOT_FOUND


async def test_an_account_that_is_not_there_is_an_error(world: World) -> None:
    digest = await world.analysed()
    with pytest.raises(PermanentFailure) as failed:
        await world.reports.vulnerabilities(digest, account="nobodys")
    assert failed.value.kind in (ErrorKind.MISCONFIGURED, ErrorKind.UNTRUSTED, ErrorKind.REFUSED)
