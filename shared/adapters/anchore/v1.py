"""Anchore Engine's v1 API as a Scanner (docs/design/anchore-engine.md)."""

from typing import Any

from shared.adapters.anchore.dialect import Dialect
from shared.adapters.anchore.scanner import AnchoreScanner
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1_evaluation import read_evaluation
from shared.adapters.anchore.v1_records import read_records
from shared.domain.verdict import Subject
from shared.ports.clock import Clock


def _submission(subject: Subject, dockerfile: str | None) -> dict[str, Any]:
    body = {"tag": subject.scan_tag, "digest": subject.digest}
    return body | ({"dockerfile": dockerfile} if dockerfile else {})


V1 = Dialect(
    api="v1",
    base="/v1",
    version="/version",
    product="Anchore Engine",
    policy="policyId",
    submission=_submission,
    records=read_records,
    evaluation=read_evaluation,
)


class AnchoreV1(AnchoreScanner):
    """`shared.ports.scanner.Scanner` over Engine's v1 API."""

    def __init__(self, *, transport: AnchoreTransport, clock: Clock) -> None:
        super().__init__(dialect=V1, transport=transport, clock=clock)
