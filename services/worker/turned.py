"""What became of passes that were judged anew: some turn into fails, by a feed or by a policy."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from shared.domain.verdict import Outcome, Turn, Verdict


class Anew(StrEnum):
    """What a pass that was judged anew became, for the metric."""

    KEPT = "kept"
    TURNED = "turned"


OnAnew = Callable[[Turn, Anew], None]
"""Told of each pass that was judged anew what would have turned it, or did, and whether it did."""


def following(before: Verdict | None, verdict: Verdict) -> Verdict:
    """`verdict` as it follows the one before: a fail remembers since when the image fails that
    passed before, and why."""
    if before is None or verdict.outcome is not Outcome.FAIL:
        return verdict
    if before.outcome is Outcome.PASS:
        return msgspec.structs.replace(
            verdict, turned_at=verdict.evaluated_at, turned_by=turn_of(before, verdict)
        )
    return msgspec.structs.replace(verdict, turned_at=before.turned_at, turned_by=before.turned_by)


def turn_of(before: Verdict, verdict: Verdict) -> Turn:
    """What has changed between two evaluations of one manifest."""
    other = before.revision and before.revision != verdict.revision
    return Turn.POLICY if other else Turn.FEED


def tell(on_anew: OnAnew, before: Verdict | None, verdict: Verdict) -> None:
    """Tell `on_anew` of it, if a pass was judged anew."""
    if before is None or before.outcome is not Outcome.PASS or verdict.outcome is Outcome.ERROR:
        return
    anew = Anew.TURNED if verdict.outcome is Outcome.FAIL else Anew.KEPT
    on_anew(turn_of(before, verdict), anew)
