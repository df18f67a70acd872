"""Facts and bundles that tests change in one place."""

import json
from pathlib import Path
from typing import Any

import msgspec

from services.scanner.bundles.bundle import Bundle, read_bundle
from services.scanner.bundles.evaluation import Outcome, evaluate
from services.scanner.bundles.selection import Subject
from services.scanner.matching.finding import Finding, Matches, Score, Severity
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

AS_OF = 1_794_355_200_000  # 2026-11-11
COVERED = ("bad", "good", "vague")
KNOWN = {
    "bad": (
        Finding("CVE-2099-0001", CRITICAL, Severity.CRITICAL, "2.0-2", scores=(Score(9.8),)),
        Finding("CVE-2099-0002", CRITICAL, Severity.HIGH, scores=(Score(7.5),)),
    ),
    "vague": (Finding("CVE-2099-0003", CRITICAL, Severity.UNKNOWN, "2:1.0"),),
    "good": (Finding("CVE-2099-0004", CRITICAL, Severity.NEGLIGIBLE, scores=(Score(9.8),)),),
}
"""Source package -> what is known of it, whatever its version."""


def facts(**changes: Any) -> ImageFacts:
    return msgspec.structs.replace(FACTS, **changes)


def known_of(image: ImageFacts) -> Matches:
    """What data would say that knows Debian 12's packages of these sources, and no others."""
    group = f"{image.distro}:{image.distro_version}"
    if group != "debian:12":
        return Matches("samples", group, unavailable="no data", uncovered=image.packages)
    return Matches(
        "samples",
        group,
        AS_OF,
        findings=tuple(
            msgspec.structs.replace(
                found, package=package, group=group, url=f"https://tracker.example/{found.id}"
            )
            for package in image.packages
            for found in KNOWN.get(package.source, ())
        ),
        uncovered=tuple(one for one in image.packages if one.source not in COVERED),
    )


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
    image: ImageFacts,
    *rules: dict[str, Any],
    bundle: dict[str, Any] | None = None,
    tag: str = TAG,
    known: Matches | None = None,
) -> Outcome:
    return evaluate(
        read(bundle or bundle_of(*rules)),
        image,
        known or known_of(image),
        subject=Subject(tag, DIGEST, IMAGE_ID),
        now=NOW,
    )


def messages(image: ImageFacts, *rules: dict[str, Any], known: Matches | None = None) -> list[str]:
    return [row.message for row in evaluated(image, *rules, known=known).rows]
