"""What is not known of an image is said in words."""

from collections.abc import Sequence

import pytest

from services.cli.reports.gaps import STALE_DAYS, gaps_of
from shared.domain.image_report import (
    Coverage,
    DataGroup,
    ImageAbout,
    ImagePackage,
    Severity,
    Vulnerability,
)
from tests.unit.cli.report_samples import NOW, vulnerability

DAY = 86_400_000
DEBIAN = ImageAbout(distro="debian", distro_version="12")
PACKAGES = tuple(ImagePackage(name, "1", "dpkg") for name in "abcdefgh")
FRESH = Coverage(release="debian:12", as_of=NOW - DAY)


def gaps(
    *,
    about: ImageAbout | None = DEBIAN,
    packages: Sequence[ImagePackage] | None = PACKAGES,
    found: Sequence[Vulnerability] | None = (),
    coverage: Coverage | None = FRESH,
    groups: Sequence[DataGroup] | None = (),
) -> list[str]:
    return [*gaps_of(about, packages, found, coverage, groups, now=NOW)]


def test_of_an_image_that_is_known_there_is_nothing_to_say() -> None:
    assert gaps() == []


def test_what_could_not_be_read_is_said_by_who_read() -> None:
    assert gaps(about=None, packages=None, found=None, coverage=None, groups=None) == []


@pytest.mark.parametrize("distro", ["", "Unknown"])
def test_an_image_of_no_distribution(distro: str) -> None:
    (said,) = gaps(about=ImageAbout(distro=distro, distro_version="0"))
    assert "does not say which distribution it is" in said


def test_an_image_without_packages_is_not_clean() -> None:
    (said,) = gaps(packages=())
    assert "lists no package" in said


def test_a_release_without_data() -> None:
    (said,) = gaps(coverage=Coverage(release="debian:9", unavailable="its support has ended"))
    assert said == "nothing is known of the vulnerabilities of debian:9: its support has ended"


def test_packages_that_the_data_says_nothing_about_are_named() -> None:
    (said,) = gaps(coverage=Coverage("debian:12", as_of=NOW, uncovered=PACKAGES[:7]))
    named = "a (dpkg), b (dpkg), c (dpkg), d (dpkg), e (dpkg) and 2 more"
    assert said.endswith(f"7 of 8 packages: {named}")


def test_vulnerabilities_of_no_severity_are_named() -> None:
    (said,) = gaps(found=(vulnerability(severity=Severity.UNKNOWN), vulnerability()))
    assert said.startswith("1 vulnerability has no known severity")
    assert "CVE-2024-45491 in libexpat1" in said


def test_data_that_should_not_be_trusted_and_images_that_contradict_themselves() -> None:
    coverage = Coverage(
        "debian:12", as_of=NOW, problem="its file is damaged", contradictions=("two databases",)
    )
    assert gaps(coverage=coverage) == [
        "of the vulnerability data: its file is damaged",
        "the image contradicts itself: two databases",
    ]


@pytest.mark.parametrize(("days", "said"), [(STALE_DAYS - 1, 0), (STALE_DAYS, 1)])
def test_old_data_is_said_with_its_age(days: int, said: int) -> None:
    by_scanner = gaps(coverage=Coverage("debian:12", as_of=NOW - days * DAY))
    by_feed = gaps(coverage=None, groups=[DataGroup("debian:12", 1, NOW - days * DAY)])
    assert len(by_scanner) == len(by_feed) == said
    assert all(f"{days} days old" in each for each in by_scanner + by_feed)


def test_data_of_no_age() -> None:
    (said,) = gaps(coverage=None, groups=[DataGroup("debian:12")])
    assert "nobody says how old" in said


def test_an_anchore_that_names_no_data_about_the_release() -> None:
    (said,) = gaps(coverage=None, groups=[DataGroup("alpine:3.20", 1, NOW)])
    assert said.startswith("the scanner names no vulnerability data about debian:12")
