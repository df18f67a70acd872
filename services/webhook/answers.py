"""From judgements to a decision: what is allowed, with which code, warnings and audit.

The table of answers is docs/design/behaviour.md 3; what Kubernetes keeps of warnings is
docs/design/field-notes.md 1c. What a denial says: `services.webhook.wording`.
"""

import math
from collections.abc import Sequence

import msgspec

from services.webhook.wording import FIRST_LINE, line_of, message_of, shown
from shared.domain.decision import Decision, Judgement, State
from shared.domain.pointer import DAY, SECOND
from shared.domain.rules import Mode, Rule
from shared.domain.verdict import Outcome

MAX_WARNINGS = 12
EXPECTED_SCAN = 10 * SECOND
"""Assumed before anything was measured."""

LONGEST_SILENCE = 100 * SECOND
"""What a person's kubectl may wait without a word (docs/design/kube-facts.md 2)."""

CODES = {
    State.INVALID: 403,
    State.REFUSED: 403,
    State.FAIL: 403,
    State.ERROR: 403,
    State.STORE_DOWN: 503,
    State.QUEUE_DOWN: 503,
    State.REGISTRY_AWAY: 503,
    State.PENDING: 429,
}
"""Worst first: what cannot be cured by asking again decides."""

_ORDER = {state: place for place, state in enumerate(CODES)}
_GOOD = (State.PASS, State.EXEMPT)
NOT_YET = (State.PENDING, State.ERROR, State.STORE_DOWN, State.QUEUE_DOWN, State.REGISTRY_AWAY)
"""States that a dry run lets pass with a warning: nothing runs."""


class Note(msgspec.Struct, frozen=True):
    """A judgement, and what an answer says of it when it is good: made once, used often."""

    judgement: Judgement
    warnings: tuple[str, ...] = ()
    unpinned: str = ""
    """The image, where its tag can move before the kubelet pulls it."""
    policies: tuple[str, ...] = ()
    evaluated_at: int = 0
    """Of the oldest verdict (ms); 0: none."""
    scan_id: str = ""


def note(judgement: Judgement, now: int) -> Note:
    """Prepare a judgement for answers of the next seconds."""
    image = shown(judgement.image, 80)
    good = [verdict for verdict in judgement.verdicts if verdict.outcome is Outcome.PASS]
    warnings = [
        f"image {image}: {shown(finding.message)}" for verdict in good for finding in verdict.warns
    ]
    warnings += [
        f"image {image}: its verdict is {(now - verdict.evaluated_at) // DAY} days old"
        for verdict in good
        if now - verdict.evaluated_at > DAY
    ]
    reference = judgement.reference
    tagged = reference is not None and reference.digest is None
    oldest = min(judgement.verdicts, key=lambda verdict: verdict.evaluated_at, default=None)
    return Note(
        judgement=judgement,
        warnings=tuple(warning[:FIRST_LINE] for warning in warnings[:MAX_WARNINGS]),
        unpinned=image if tagged and judgement.state is State.PASS else "",
        policies=tuple(shown(verdict.policy_id, 80) for verdict in judgement.verdicts),
        evaluated_at=oldest.evaluated_at if oldest else 0,
        scan_id=shown(oldest.scan_id, 64) if oldest else "",
    )


def decide(
    notes: Sequence[Note],
    *,
    rule: Rule,
    now: int,
    by_system: bool = True,
    dry_run: bool = False,
) -> Decision:
    """The decision about an object. `by_system`: the user is one of Kubernetes' own."""
    bad = [each.judgement for each in notes if each.judgement.state not in _GOOD]
    warnings = _warnings(notes)
    if not bad:
        audit = _audit(notes, State.PASS, rule, now)
        return _allowed(State.PASS, warnings, audit, notes)
    bad.sort(key=lambda judgement: _ORDER[judgement.state])
    worst = bad[0]
    audit = _audit(notes, worst.state, rule, now)
    lines = [line_of(judgement, now) for judgement in bad]
    if dry_run and all(judgement.state in NOT_YET for judgement in bad):
        not_yet = tuple(f"not judged yet: {line}"[:FIRST_LINE] for line in lines)
        return _allowed(worst.state, (*not_yet, *warnings), audit, notes)
    lax = rule.mode in (Mode.WARN, Mode.AUDIT) and worst.state is not State.INVALID
    if lax and rule.mode is Mode.WARN:
        return _allowed(worst.state, (*lines, *warnings), audit, notes)
    if lax:
        audit["message"] = lines[0]
        return _allowed(worst.state, warnings, audit, notes)
    return Decision(
        allowed=False,
        state=worst.state,
        code=CODES[worst.state],
        message=message_of(lines, worst),
        audit=audit,
        retry_after=0 if by_system else _retry_after(worst, now),
    )


def _retry_after(worst: Judgement, now: int) -> int:
    """Seconds after which kubectl asks again by itself; 0: show the message at once.

    A fifth of what remains, so that kubectl's ten tries outlast the scan.
    """
    if worst.state is not State.PENDING:
        return 0
    passed = now - (worst.since or now)
    if passed > LONGEST_SILENCE:
        return 0
    remaining = max(EXPECTED_SCAN - passed, SECOND)
    return min(10, max(1, math.ceil(remaining / 5 / SECOND)))


def _allowed(
    state: State, warnings: tuple[str, ...], audit: dict[str, str], notes: Sequence[Note]
) -> Decision:
    unpinned = sum(1 for each in notes if each.unpinned)
    return Decision(True, state, warnings=warnings[:MAX_WARNINGS], audit=audit, unpinned=unpinned)


def _warnings(notes: Sequence[Note]) -> tuple[str, ...]:
    """Warn findings, old verdicts, and tags that may move before the kubelet pulls."""
    warnings = [warning for each in notes for warning in each.warnings]
    unpinned = [each.unpinned for each in notes if each.unpinned]
    if unpinned:
        text = "not pinned to a digest, the tag can move before it is pulled: "
        warnings.append((text + ", ".join(unpinned))[:FIRST_LINE])
    return tuple(warnings[:MAX_WARNINGS])


def _audit(notes: Sequence[Note], state: State, rule: Rule, now: int) -> dict[str, str]:
    """Audit annotations: keys are qualified names, values bounded."""
    audit = {"decision": state.value, "rule": rule.name}
    judged = [each for each in notes if each.evaluated_at]
    if not judged:
        return audit
    oldest = min(judged, key=lambda each: each.evaluated_at)
    policies = {policy for each in judged for policy in each.policies}
    audit["policy"] = ",".join(sorted(policies))[:FIRST_LINE]
    audit["verdict-age-seconds"] = str(max(0, now - oldest.evaluated_at) // SECOND)
    if oldest.scan_id:
        audit["scan-id"] = oldest.scan_id
    return audit
