"""A Debian-like dump of OSV records, and images of real Debian 12 packages that it is about.

The packages are those of a list that Debian itself publishes (tests/data/scanner); which records
there are about them is drawn, always the same way, in the proportions of the real dump: some
sources have thousands, most a few; most were fixed before the release, some wait for a fix.
"""

import json
import random
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from services.scanner.records import ImageFacts, Package

LISTED = Path(__file__).parents[1] / "data" / "scanner" / "debian-12-packages.tsv"
RELEASES = ("11", "12", "13")
VECTORS = (
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H",
    "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:N/I:N/A:H",
    "CVSS:3.1/AV:L/AC:H/PR:L/UI:N/S:U/C:L/I:N/A:N",
)
ADVISORIES = 20
"""One record of so many is an advisory (DSA) about CVEs that have records of their own."""

SCORED = 0.85
URGENCIES = ("not yet assigned",) * 9 + ("unimportant",)
BASE = 60
"""Packages that every image has."""


@cache
def packages() -> tuple[Package, ...]:
    """Every package of the list: name, version, source and its version (empty: the same)."""
    found: list[Package] = []
    for line in LISTED.read_text().splitlines():
        name, version, source, source_version = line.split("\t")
        source_version = source_version or version
        found.append(
            Package(
                name=name,
                version=version,
                type="deb",
                source=source or name,
                source_version=source_version,
                architecture="amd64",
                purl=f"pkg:deb/debian/{name}@{quote(version)}?arch=amd64&distro=debian-12",
                location="/var/lib/dpkg/status",
                licences=("GPL-2", "LGPL-2.1"),
                size=100_000 + len(found),
                origin=f"Debian Maintainers of {source or name} <{name}@packages.debian.org>",
            )
        )
    return tuple(found)


def image_of(number: int, *, size: int) -> ImageFacts:
    """One image of a fleet: what all have, what its kind has, and some of its own."""
    listed = packages()
    kind = random.Random(number % 20)
    own = random.Random(number)
    chosen = set(range(0, len(listed), len(listed) // BASE))
    chosen.update(kind.sample(range(len(listed)), size * 2 // 3))
    rest = [place for place in range(len(listed)) if place not in chosen]
    chosen.update(own.sample(rest, max(size - len(chosen), 0)))
    return ImageFacts(
        distro="debian",
        distro_version="12",
        packages=tuple(listed[place] for place in sorted(chosen)[:size]),
        user="65532",
        history=("/bin/sh -c #(nop) ADD file:1 in / ", "USER 65532"),
        exposed_ports=("8080/tcp",),
        dockerfile="FROM debian:12\nUSER 65532\n",
        dockerfile_mode="Actual",
        architecture="amd64",
        layers=6,
        size=200_000_000,
    )


def write_dump(path: Path, *, count: int, round_: int = 1) -> Path:
    """`all.zip` of `count` records; another `round_` is a later dump: some have been fixed."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for record in _records(count, round_):
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return path


def write_scores(path: Path, *, count: int) -> Path:
    """Records of the CVEs themselves, as far as somebody has scored them: Debian does not."""
    rng = random.Random(2)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(count - count // ADVISORIES):
            if rng.random() < SCORED:
                record = {
                    "schema_version": "1.7.0",
                    "id": _cve(number),
                    "published": "2023-05-01T12:00:00Z",
                    "modified": "2026-11-20T09:00:00Z",
                    "details": "A flaw allows attackers to do what they should not.",
                    "severity": [{"type": "CVSS_V3", "score": rng.choice(VECTORS)}],
                    "affected": [
                        {
                            "ranges": [
                                {
                                    "type": "GIT",
                                    "repo": "https://git.example/x",
                                    "events": [{"introduced": "0"}],
                                }
                            ]
                        }
                    ],
                }
                archive.writestr(f"{record['id']}.json", json.dumps(record))
    return path


def _cve(number: int) -> str:
    return f"CVE-{2015 + number % 11}-{10_000 + number}"


def _records(count: int, round_: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(1)
    sources = _sources(rng)
    weights = [1 / (rank + 8) for rank in range(len(sources))]
    advisories = count // ADVISORIES
    chosen = rng.choices(sources, weights, k=count - advisories)
    for number, (source, version) in enumerate(chosen):
        cve = _cve(number)
        events = [list(_events(rng, version, round_)) for _ in RELEASES]
        yield _record(f"DEBIAN-{cve}", [cve], source, version, events, rng=rng)
        if number < advisories:
            more = _cve(number + 11)
            fixed = [{"introduced": "0"}, {"fixed": f"{version}~"}]
            advisory = f"DSA-{number + 1_000}-1"
            yield _record(advisory, [cve, more], source, version, [fixed] * 3, rng=rng)


def _sources(rng: random.Random) -> list[tuple[str, str]]:
    """(name, version in the release), those with the most records first. Half of them are in no
    image of ours, as it is with the whole of Debian."""
    listed = {one.source: one.source_version for one in packages()}
    others = {f"lib{name}-contrib": version for name, version in listed.items()}
    both = sorted({**listed, **others}.items())
    rng.shuffle(both)
    return both


def _events(rng: random.Random, version: str, round_: int) -> Iterator[dict[str, str]]:
    yield {"introduced": "0"}
    drawn = rng.random()
    if drawn < 0.9:
        yield {"fixed": f"{version}~"}
    elif drawn < 0.95:
        yield {"fixed": f"{version}+deb12u{rng.randint(1, 9)}"}
    elif drawn < 0.96 and round_ > 1:
        yield {"fixed": f"{version}.1"}


def _record(
    record_id: str,
    cves: Sequence[str],
    source: str,
    version: str,
    events: Sequence[Sequence[dict[str, str]]],
    *,
    rng: random.Random,
) -> dict[str, Any]:
    return {
        "schema_version": "1.7.0",
        "id": record_id,
        "published": "2023-05-01T12:00:00Z",
        "modified": "2026-11-20T09:00:00Z",
        "upstream": list(cves),
        "details": f"A flaw in {source} allows attackers to do what they should not. " * 4,
        "affected": [
            {
                "package": {
                    "name": source,
                    "ecosystem": f"Debian:{release}",
                    "purl": f"pkg:deb/debian/{source}?arch=source",
                },
                "ranges": [{"type": "ECOSYSTEM", "events": list(of)}],
                "versions": [f"{version}~rc{number}" for number in range(8)],
                "ecosystem_specific": {"urgency": rng.choice(URGENCIES)},
            }
            for release, of in zip(RELEASES, events, strict=True)
        ],
    }
