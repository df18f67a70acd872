"""How much of a judge an image can take, whatever versions its list of packages names."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.scanner.feeds.feed import MAX_FINDINGS, Feed
from services.scanner.feeds.state import FeedError
from services.scanner.records import ImageFacts
from tests.unit.scanner.feeds.osv import affected, feed_of, image, package, record

CVES = 400
MIB = 1024**2


@pytest.fixture
def feed(tmp_path: Path) -> Feed:
    entry = affected("Debian:12", "linux", "introduced 0")
    known = (record(f"DEBIAN-CVE-2099-{1000 + number}", entry) for number in range(CVES))
    return feed_of(tmp_path, *known, whole=["Debian"])


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def kernels(first: int, count: int) -> ImageFacts:
    versions = range(first, first + count)
    return image("debian:12", *(package("linux", f"6.1.{number}-1") for number in versions))


@pytest.mark.usefixtures("traced")
def test_what_is_kept_of_versions_is_bounded_however_many_images_name(feed: Feed) -> None:
    for number in range(20):
        assert len(feed.match(kernels(50 * number, 50)).findings) == 50 * CVES
    assert tracemalloc.get_traced_memory()[0] < 60 * MIB


def test_a_list_of_packages_that_is_none_is_refused(feed: Feed) -> None:
    most = MAX_FINDINGS // CVES
    assert len(feed.match(kernels(0, most)).findings) == MAX_FINDINGS
    with pytest.raises(FeedError, match="more than 100000 vulnerabilities in one image"):
        feed.match(kernels(0, most + 1))
