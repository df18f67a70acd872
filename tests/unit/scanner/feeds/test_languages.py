"""What records mean for packages of languages, and whose those are."""

from pathlib import Path

import pytest

from tests.unit.scanner.feeds.osv import (
    affected,
    feed_of,
    ids,
    image,
    package,
    record,
    uncovered,
)


@pytest.mark.parametrize(
    ("type_", "ecosystem", "name", "versions"),
    [
        ("python", "PyPI", "Django_REST.framework", ("3.15.2rc1", "3.15.2")),
        ("npm", "npm", "@scope/thing", ("3.15.1", "3.15.10")),
        ("go-module", "Go", "stdlib", ("go1.22.1", "go1.22.10")),
        ("gem", "RubyGems", "rack", ("3.0.9.pre1", "3.15.2")),
        ("rust-crate", "crates.io", "time", ("0.1.44", "3.15.2")),
        ("php-composer", "Packagist", "Vendor/Thing", ("3.15.1", "3.15.2")),
        ("dotnet", "NuGet", "Newtonsoft.Json", ("3.15.1", "3.15.2.1")),
    ],
)
def test_packages_of_languages_are_asked_by_their_own_rules(
    tmp_path: Path, type_: str, ecosystem: str, name: str, versions: tuple[str, str]
) -> None:
    fixed = "1.22.2" if ecosystem == "Go" else "3.15.2"
    written = "django-rest-framework" if ecosystem == "PyPI" else name
    entry = affected(ecosystem, written, "introduced 0", f"fixed {fixed}")
    feed = feed_of(tmp_path, record("GHSA-1", entry, aliases=["CVE-2099-1000"]))

    matches = feed.match(image("debian:12", *(package(name, one, type_) for one in versions)))
    assert [(one.package.version, one.group) for one in matches.findings] == [
        (versions[0], ecosystem)
    ]
    assert uncovered(matches) == []


def test_a_jar_without_a_group_may_be_any(tmp_path: Path) -> None:
    entry = affected("Maven", "org.apache.logging:log4j", "introduced 2.0", "fixed 2.17.1")
    feed = feed_of(tmp_path, record("GHSA-1", entry), whole=["Maven"])

    purl = "pkg:maven/org.apache.logging/log4j@2.14.1"
    matches = feed.match(
        image(
            "debian:12",
            package("log4j", "2.14.1", "java-archive", purl=purl),
            package("other", "1", "java-archive"),
        )
    )
    assert [one.id for one in matches.findings] == ["GHSA-1"]
    assert uncovered(matches) == ["other"]


def test_what_a_distributions_package_brought_is_judged_by_the_distributor(tmp_path: Path) -> None:
    entries = [
        affected("PyPI", "requests", "introduced 0", "fixed 2.32.0"),
        affected("Debian:12", "requests", "introduced 0", "fixed 2.28.1+dfsg-1"),
    ]
    feed = feed_of(tmp_path, record("CVE-2099-1000", *entries))

    deb = package("python3-requests", "2.28.1+dfsg-1", source="requests")
    owned = package("requests", "2.28.1", "python", owner="python3-requests")
    own = package("requests", "2.28.1", "python")
    assert ids(feed, "debian:12", deb, owned) == []
    assert ids(feed, "debian:12", deb, own) == ["CVE-2099-1000"]
