"""OSV records, feeds of them, and images that they are asked about."""

import json
from pathlib import Path
from typing import Any

from services.scanner.feeds.feed import Feed
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.state import Imported
from services.scanner.matching.finding import Finding, Matches
from services.scanner.records import ImageFacts, Package
from tests.unit.scanner.samples import facts

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
HIGH = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
MODIFIED = "2026-11-11T00:00:00Z"


def affected(
    ecosystem: str, name: str, *events: str, versions: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    """An entry; events as `introduced 0`, `fixed 1.0-2`; another range begins at each `|`."""
    ranges: list[dict[str, Any]] = []
    for event in events and ("|", *events):
        if event == "|":
            ranges.append({"type": "ECOSYSTEM", "events": []})
            continue
        kind, _, version = event.partition(" ")
        ranges[-1]["events"].append({kind: version})
    entry: dict[str, Any] = {"package": {"ecosystem": ecosystem, "name": name}, **more}
    if ranges:
        entry["ranges"] = ranges
    if versions:
        entry["versions"] = list(versions)
    return entry


def record(id_: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": id_, "modified": MODIFIED, "affected": list(entries), **more}


def scored(*vectors: str) -> list[dict[str, str]]:
    return [{"type": f"CVSS_V{vector[5]}", "score": vector} for vector in vectors]


def write(folder: Path, *records: dict[str, Any] | bytes) -> Path:
    """A folder of files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(records):
        text = one if isinstance(one, bytes) else json.dumps(one).encode()
        (folder / f"{number:03}.json").write_bytes(text)
    return folder


def imported(tmp_path: Path, *records: dict[str, Any] | bytes, **how: Any) -> Imported:
    """Into `tmp_path`/feeds."""
    folder = FeedFolder(tmp_path / "feeds")
    return import_records(folder, [write(tmp_path / "records", *records)], **how)


def feed_of(tmp_path: Path, *records: dict[str, Any] | bytes, **how: Any) -> Feed:
    imported(tmp_path, *records, **how)
    return opened(tmp_path)


def opened(tmp_path: Path) -> Feed:
    current = FeedFolder(tmp_path / "feeds").current()
    assert current is not None
    return Feed.open(current)


def package(name: str, version: str, type_: str = "deb", **more: Any) -> Package:
    source = {"source": name, "source_version": version, **more}
    return Package(name, version, type_, **source)


def image(release: str, *packages: Package) -> ImageFacts:
    """`release` as `debian:12`."""
    distro, _, version = release.partition(":")
    return facts(distro=distro, distro_version=version, packages=packages)


def findings(feed: Feed, release: str, *packages: Package) -> tuple[Finding, ...]:
    """What is found; all of the packages must be covered."""
    matches = feed.match(image(release, *packages))
    assert matches.uncovered == ()
    return matches.findings


def ids(feed: Feed, release: str, *packages: Package) -> list[str]:
    return sorted(one.id for one in findings(feed, release, *packages))


def uncovered(matches: Matches) -> list[str]:
    return [one.name for one in matches.uncovered]
