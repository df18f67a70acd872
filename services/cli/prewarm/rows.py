"""What pods with an image would get under the rules of now: a row of the report."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from services.cli.explain.saying import why
from services.cli.prewarm.wanted import MAX_NAMESPACES, MAX_TITLES, Wanted
from services.webhook.images import Case, Ruled
from services.webhook.note import GOOD
from services.webhook.settling import UNSEEN, counted
from services.webhook.terms import Terms
from shared.domain.decision import Judgement, State
from shared.domain.rules import Mode, Rule
from shared.domain.scope import Scope

MAX_FINDINGS = 3
MAX_TEXT = 300


class Outcome(StrEnum):
    """What is known of an image at the end."""

    FAIL = "fail"
    """It is known to be bad, or the rules refuse it whatever it holds."""
    ERROR = "error"
    """It could not be judged."""
    UNFINISHED = "unfinished"
    """Its scan is under way, or was not begun; or it passes by what its tag named once, and whether
    it still names that is not known."""
    PASS = "pass"


_BAD = (State.FAIL, State.REFUSED, State.INVALID, State.UNPINNED)


class Part(msgspec.Struct, frozen=True):
    """What one rule makes of an image."""

    outcome: Outcome
    state: State
    allowed: bool
    """Whether it keeps no pod from starting."""
    rule: str
    mode: str
    says: str = ""
    findings: tuple[str, ...] = ()
    more_findings: int = 0
    digest: str = ""
    asked: bool = True
    """Whether it needs a verdict at all."""
    not_renewed: str = ""
    """As in `Row`."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One image, what pods with it would get, and what stands on it."""

    image: str
    outcome: Outcome
    state: State
    """As decisions tell it: docs/operations.md."""
    allowed: bool
    """Whether its pods would start."""
    rule: str
    mode: str
    says: str
    findings: tuple[str, ...]
    more_findings: int
    digest: str
    asked: bool
    pods: int
    workloads: int
    namespaces: tuple[str, ...]
    """The first MAX_NAMESPACES."""
    objects: tuple[str, ...]
    """The first MAX_TITLES, workloads before pods."""
    not_renewed: str = ""
    """Of when it is what is known, where the tag could not be asked about anew, and why."""

    @property
    def refused(self) -> bool:
        """Whether pods with it would be refused for what is known, not for want of a verdict."""
        return not self.allowed and self.outcome in (Outcome.FAIL, Outcome.ERROR)

    @property
    def spared(self) -> bool:
        """Whether they start in spite of what is known."""
        return self.allowed and self.outcome in (Outcome.FAIL, Outcome.ERROR)


def judged_part(case: Case, judgement: Judgement, scope: Scope, *, terms: Terms, now: int) -> Part:
    """What a rule makes of what is known."""
    # A tag that /mutate pins is judged by its digest; one that it leaves alone by itself.
    pinned = terms.pins(case.rule)
    # A review of this moment would wait and see whether /mutate is late; one of later would not.
    ruled = counted(case, judgement, scope, terms=terms, now=now + UNSEEN, advice=pinned)
    return _part(ruled.judgement, ruled.rule, now)


def ruled_part(ruled: Ruled, *, now: int) -> Part:
    """What the rules say without any look-up."""
    return msgspec.structs.replace(_part(ruled.judgement, ruled.rule, now), asked=False)


def not_renewed_part(part: Part, why: str) -> Part:
    """What is known by a tag that could not be asked about anew. A webhook would answer that now,
    so a fail is one; but who asks whether all passes must not be told so of what may be another
    image by now."""
    passes = part.outcome is Outcome.PASS
    return msgspec.structs.replace(
        part,
        outcome=Outcome.UNFINISHED if passes else part.outcome,
        not_renewed=why[:MAX_TEXT],
    )


def failed_part(case: Case, message: str) -> Part:
    """Nobody could be asked, or all tries failed."""
    lenient = case.rule.mode in (Mode.WARN, Mode.AUDIT)
    return Part(
        Outcome.ERROR, State.ERROR, lenient, case.rule.name, str(case.rule.mode), message[:MAX_TEXT]
    )


def unfinished_part(case: Case, message: str) -> Part:
    """There is no verdict yet."""
    lenient = case.rule.mode in (Mode.WARN, Mode.AUDIT)
    rule = case.rule
    return Part(
        Outcome.UNFINISHED, State.PENDING, lenient, rule.name, str(rule.mode), message[:MAX_TEXT]
    )


def is_allowed(parts: Iterable[Part]) -> bool:
    """Whether pods with the image would start: all its rules must be satisfied."""
    return all(part.allowed for part in parts)


def rows_of(wanted: Iterable[tuple[Wanted, Sequence[Part]]]) -> list[Row]:
    """Worst first, and of these what most stands on; what is the same in several places is one."""
    rows: dict[tuple[object, ...], Row] = {}
    for each, parts in wanted:
        worst = min(parts, key=lambda part: (part.allowed, _RANK[part.outcome]))
        row = _row(each, worst, is_allowed(parts), any(part.asked for part in parts))
        key = (row.image, row.outcome, row.allowed, row.rule, row.says)
        rows[key] = _together(rows[key], row) if key in rows else row
    return sorted(rows.values(), key=_worst_first)


_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}


def _worst_first(row: Row) -> tuple[int, bool, int, int, str]:
    return _RANK[row.outcome], row.allowed, -row.pods, -row.workloads, row.image


def _part(judgement: Judgement, rule: Rule, now: int) -> Part:
    state = judgement.state
    lenient = rule.mode in (Mode.WARN, Mode.AUDIT) and state is not State.INVALID
    stops = [
        f"{finding.message} ({finding.gate}/{finding.trigger})"[:MAX_TEXT]
        for verdict in judgement.verdicts
        for finding in verdict.stops
    ]
    return Part(
        outcome=_outcome(state),
        state=state,
        allowed=state in GOOD or lenient,
        rule=rule.name,
        mode=str(rule.mode) if rule.name else "",
        says=why(judgement, now)[:MAX_TEXT],
        findings=tuple(stops[:MAX_FINDINGS]),
        more_findings=max(0, len(stops) - MAX_FINDINGS),
        digest=judgement.digest,
    )


def _outcome(state: State) -> Outcome:
    if state in GOOD:
        return Outcome.PASS
    if state in _BAD:
        return Outcome.FAIL
    return Outcome.UNFINISHED if state is State.PENDING else Outcome.ERROR


def _row(wanted: Wanted, part: Part, allowed: bool, asked: bool) -> Row:
    return Row(
        image=wanted.image,
        outcome=part.outcome,
        state=part.state,
        allowed=allowed,
        rule=part.rule,
        mode=part.mode,
        says=part.says,
        findings=part.findings,
        more_findings=part.more_findings,
        digest=part.digest,
        asked=asked,
        pods=wanted.pods,
        workloads=wanted.workloads,
        namespaces=tuple(wanted.namespaces),
        objects=wanted.titles,
        not_renewed=part.not_renewed,
    )


def _together(one: Row, other: Row) -> Row:
    return msgspec.structs.replace(
        one,
        pods=one.pods + other.pods,
        workloads=one.workloads + other.workloads,
        namespaces=tuple(dict.fromkeys((*one.namespaces, *other.namespaces)))[:MAX_NAMESPACES],
        objects=tuple(dict.fromkeys((*one.objects, *other.objects)))[:MAX_TITLES],
    )
