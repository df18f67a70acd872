"""From judgements to a decision: what is allowed, with which code, warnings and audit.

The table of answers is docs/design/behaviour.md 3; what Kubernetes keeps of warnings is
docs/design/field-notes.md 1c. What a denial says: `services.webhook.wording`.
"""

import math
from collections.abc import Sequence

import msgspec

from services.webhook.wording import FIRST_LINE, advice_of, line_of, message_of, shown
from shared.domain.decision import Decision, Judgement, State
from shared.domain.pointer import DAY, SECOND
from shared.domain.rules import Mode, Rule
from shared.domain.verdict import Outcome
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT

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
"""States that a dry run lets pass with a warning, since nothing runs, and advice on a workload,
since its pods are judged anyway."""


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
    advice: bool = False,
) -> Decision:
    """The decision about an object. `by_system`: the user is one of Kubernetes' own; `advice`:
    the object is a workload."""
    bad = [each.judgement for each in notes if each.judgement.state not in _GOOD]
    bad.sort(key=lambda judgement: _ORDER[judgement.state])
    state = bad[0].state if bad else State.PASS
    audit = _audit(notes, state, rule, now)
    lines = [line_of(judgement, now) for judgement in bad]
    images = tuple(dict.fromkeys([each.judgement.image[:MAX_TEXT] for each in notes]))[:MAX_IMAGES]
    let_pass = _let_pass(bad, lines, rule=rule, dry_run=dry_run, advice=advice)
    if let_pass is None:
        return Decision(
            allowed=False,
            state=state,
            code=CODES[state],
            message=message_of(lines, bad[0]),
            audit=audit,
            images=images,
            retry_after=0 if by_system else _retry_after(bad[0], now),
        )
    if bad and not let_pass:
        audit["message"] = lines[0]
    # A workload's tags are not pinned, those of its pods are: nothing to warn of.
    unpinned = [] if advice else [each.unpinned for each in notes if each.unpinned]
    return Decision(
        allowed=True,
        state=state,
        warnings=(*let_pass, *_warnings(notes, unpinned))[:MAX_WARNINGS],
        audit=audit,
        images=images,
        unpinned=len(unpinned),
    )


def _let_pass(
    bad: Sequence[Judgement], lines: Sequence[str], *, rule: Rule, dry_run: bool, advice: bool
) -> tuple[str, ...] | None:
    """With which warnings the object passes in spite of `bad`, worst first; None: it is denied.

    No warnings for some that are bad: they are only noted (mode audit).
    """
    if not bad:
        return ()
    lax = rule.mode in (Mode.WARN, Mode.AUDIT) and bad[0].state is not State.INVALID
    not_yet = all(judgement.state in NOT_YET for judgement in bad)
    if not_yet and advice and not lax:
        return tuple(map(advice_of, bad))
    if not_yet and dry_run:
        return tuple(f"not judged yet: {line}"[:FIRST_LINE] for line in lines)
    if lax:
        return tuple(lines) if rule.mode is Mode.WARN else ()
    return None


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


def _warnings(notes: Sequence[Note], unpinned: Sequence[str]) -> tuple[str, ...]:
    """Warn findings, old verdicts, and tags that may move before the kubelet pulls."""
    warnings = [warning for each in notes for warning in each.warnings]
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
