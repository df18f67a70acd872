"""Anchore Enterprise's v2 API as a Scanner (docs/design/anchore-v2.md: read, never run)."""

from typing import Any

from shared.adapters.anchore.dialect import Dialect
from shared.adapters.anchore.scanner import AnchoreScanner
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v2_evaluation import read_evaluation
from shared.adapters.anchore.v2_records import read_records
from shared.domain.verdict import Subject
from shared.ports.clock import Clock

LAG = 25.0
"""Seconds for which Anchore may answer 404 about what it has just taken: Harbor's adapter asks five
times at 5 s (docs/design/anchore-v2.md 2)."""


def _submission(subject: Subject, dockerfile: str | None) -> dict[str, Any]:
    """By digest: the tag is metadata there, and not pulled."""
    source = {"pull_string": f"{subject.repository}@{subject.digest}", "tag": subject.scan_tag}
    source |= {"dockerfile": dockerfile} if dockerfile else {}
    return {"source": {"digest": source}}


V2 = Dialect(
    api="v2",
    base="/v2",
    version="/v2/version",
    product="Anchore Enterprise",
    policy="policy_id",
    submission=_submission,
    records=read_records,
    evaluation=read_evaluation,
    lag=LAG,
)


class AnchoreV2(AnchoreScanner):
    """`shared.ports.scanner.Scanner` over Enterprise's v2 API."""

    def __init__(self, *, transport: AnchoreTransport, clock: Clock) -> None:
        super().__init__(dialect=V2, transport=transport, clock=clock)
