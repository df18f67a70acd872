"""Facts and bundles that tests change in one place."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from services.scanner.bundles.bundle import Bundle, read_bundle
from services.scanner.bundles.evaluation import Outcome, evaluate
from services.scanner.bundles.selection import Subject
from services.scanner.feeds.feed import Advisory, Cvss, Feed, Release, ReleaseFeed
from services.scanner.records import ImageFacts, Package

DATA = Path(__file__).parents[2] / "data"
TAG = "registry.example:5000/team/app:1.0"
DIGEST = "sha256:" + "d" * 64
IMAGE_ID = "1" * 64
NOW = 1_795_000_000_000  # 2026-11-18

GOOD = Package("good", "1.0-1", "deb", "good", "1.0-1")
CRITICAL = Package("libbad1", "2.0-1", "deb", "bad", "2.0-1")
UNCOVERED = Package("stranger", "1.0", "deb", "stranger", "1.0")

FACTS = ImageFacts(
    distro="debian",
    distro_version="12",
    packages=(GOOD,),
    user="app",
    history=(),
    exposed_ports=(),
    dockerfile="FROM scratch\n",
    dockerfile_mode="Guessed",
    architecture="amd64",
    layers=1,
    size=10_240,
)

FEED = Feed(
    (
        ReleaseFeed(
            schema=1,
            release=Release("debian", "12", "bookworm", "deb", "https://tracker.example/{id}"),
            as_of=date(2026, 11, 11),
            about=(),
            sources=(),
            covers=("bad", "good", "vague"),
            advisories=(
                Advisory("CVE-2099-0001", "bad", fixed="2.0-2", cvss=Cvss(9.8)),
                Advisory("CVE-2099-0002", "bad", cvss=Cvss(7.5)),
                Advisory("CVE-2099-0003", "vague", fixed="2:1.0"),
                Advisory("CVE-2099-0004", "good", cvss=Cvss(9.8), distributor="unimportant"),
            ),
        ),
    )
)


def facts(**changes: Any) -> ImageFacts:
    return msgspec.structs.replace(FACTS, **changes)


def baseline() -> dict[str, Any]:
    """The bundle that was recorded with a real Engine, for a test to change."""
    bundle: dict[str, Any] = json.loads((DATA / "scanner" / "baseline-bundle.json").read_bytes())
    return bundle


def bundle_of(*rules: dict[str, Any]) -> dict[str, Any]:
    """The baseline with other rules."""
    bundle = baseline()
    bundle["policies"][0]["rules"] = list(rules)
    return bundle


def rule(gate: str, trigger: str, action: str = "STOP", /, **params: str) -> dict[str, Any]:
    return {
        "id": f"{gate}-{trigger}",
        "gate": gate,
        "trigger": trigger,
        "action": action,
        "params": [{"name": name, "value": value} for name, value in params.items()],
    }


def read(bundle: dict[str, Any]) -> Bundle:
    return read_bundle(json.dumps(bundle).encode())


def evaluated(
    image: ImageFacts, *rules: dict[str, Any], bundle: dict[str, Any] | None = None, tag: str = TAG
) -> Outcome:
    return evaluate(
        read(bundle or bundle_of(*rules)),
        image,
        FEED.match(image),
        subject=Subject(tag, DIGEST, IMAGE_ID),
        now=NOW,
    )


def messages(image: ImageFacts, *rules: dict[str, Any]) -> list[str]:
    return [row.message for row in evaluated(image, *rules).rows]
