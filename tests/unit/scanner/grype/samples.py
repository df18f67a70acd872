"""Grype's recorded database and answers, as unit tests want them."""

import json
from typing import Any

import msgspec

from services.scanner.matching.finding import Finding, Matches
from services.scanner.matching.grype_findings import read_findings
from services.scanner.matching.grype_releases import GrypeDatabase
from services.scanner.records import ImageFacts, Package
from tests.fakes.grype import answer, facts_of

BUILT = 1_795_586_400_000  # 2026-11-25 06:00 UTC


def findings_of(database: GrypeDatabase, image: str) -> Matches:
    """What is read of what was recorded."""
    return read(answer(image), facts_of(image), database)


def read(said: dict[str, Any], facts: ImageFacts, database: GrypeDatabase) -> Matches:
    return read_findings(json.dumps(said).encode(), facts, database, data="x", built=BUILT)


def by_id(matches: Matches) -> dict[str, Finding]:
    return {one.id: one for one in matches.findings}


def changed(image: str, **changes: Any) -> ImageFacts:
    return msgspec.structs.replace(facts_of(image), **changes)


def package(**changes: Any) -> Package:
    """Of a language, without anything against it."""
    plain = Package("requests", "2.32.3", "python", "requests", "2.32.3")
    return msgspec.structs.replace(plain, **changes)
