"""From judgements to a decision: what is allowed, with which code, warnings and audit.

The table of answers is docs/design/behaviour.md 3; what Kubernetes keeps of warnings is
docs/design/field-notes.md 1c. What a denial says: `services.webhook.wording`.
"""

import math
from collections.abc import Sequence

import msgspec

from services.webhook.wording import (
    FIRST_LINE,
    advice_of,
    allowed_all_the_same,
    line_of,
    message_of,
    shown,
)
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
    State.UNPINNED: 403,
    State.STORE_DOWN: 503,
    State.QUEUE_DOWN: 503,
    State.UNDECIDED: 503,
    State.REGISTRY_AWAY: 503,
    State.PENDING: 429,
}
"""Worst first: what cannot be cured by asking again decides."""

_ORDER = {state: place for place, state in enumerate(CODES)}
ALLOWED = (State.TURNED, State.EXCEPTED, State.EXEMPT, State.PASS)
"""What needs no leniency; most to be told of first."""

NOT_YET = (
    State.PENDING,
    State.ERROR,
    State.UNPINNED,
    State.STORE_DOWN,
    State.QUEUE_DOWN,
    State.UNDECIDED,
    State.REGISTRY_AWAY,
)
"""States that a dry run lets pass with a warning, since nothing runs, and advice on a workload,
since its pods are judged anyway."""


_PULLED = (State.PASS, State.TURNED, State.EXCEPTED)
"""Judged by its digest now: a tag alone may name another when it is pulled."""


class Note(msgspec.Struct, frozen=True):
    """A judgement under a rule, and what an answer says of it when it is good: made once, used
    often."""

    judgement: Judgement
    rule: Rule
    warnings: tuple[str, ...] = ()
    unpinned: str = ""
    """The image, where its tag can move before the kubelet pulls it."""
    policies: tuple[str, ...] = ()
    evaluated_at: int = 0
    """Of the oldest verdict (ms); 0: none."""
    scan_id: str = ""


def note(judgement: Judgement, rule: Rule, now: int) -> Note:
    """Prepare a judgement for answers of the next seconds."""
    image = shown(judgement.image, 80)
    good = [verdict for verdict in judgement.verdicts if verdict.outcome is Outcome.PASS]
    warnings = allowed_all_the_same(judgement, now)
    warnings += [
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
        rule=rule,
        warnings=tuple(warning[:FIRST_LINE] for warning in warnings[:MAX_WARNINGS]),
        unpinned=image if tagged and judgement.state in _PULLED else "",
        policies=tuple(shown(verdict.policy_id, 80) for verdict in judgement.verdicts),
        evaluated_at=oldest.evaluated_at if oldest else 0,
        scan_id=shown(oldest.scan_id, 64) if oldest else "",
    )


def decide(
    notes: Sequence[Note],
    *,
    now: int,
    by_system: bool = True,
    dry_run: bool = False,
    advice: bool = False,
) -> Decision:
    """The decision about an object: denied if the rule of any image denies it.

    `by_system`: the user is one of Kubernetes' own; `advice`: the object is a workload.
    """
    bad = [each for each in notes if each.judgement.state not in ALLOWED]
    denied = [each for each in bad if not _lenient(each, dry_run=dry_run, advice=advice)]
    # What denies is told first, and of that and of the rest the worst.
    bad.sort(key=lambda each: (each not in denied, _ORDER[each.judgement.state]))
    decisive = bad[0] if bad else min(notes, key=_most_to_tell, default=None)
    state = decisive.judgement.state if decisive else State.PASS
    audit = _audit(notes, decisive, now)
    lines = [line_of(each.judgement, now) for each in bad]
    images = tuple(dict.fromkeys([each.judgement.image[:MAX_TEXT] for each in notes]))[:MAX_IMAGES]
    rule = audit.get("rule", "")
    if denied:
        worst = bad[0].judgement
        return Decision(
            allowed=False,
            state=state,
            code=CODES[state],
            message=message_of(lines, worst),
            audit=audit,
            images=images,
            rule=rule,
            retry_after=0 if by_system else _retry_after(worst, now),
        )
    if bad:
        audit["message"] = lines[0]
    warned = [
        _warning(each, line, advice=advice, dry_run=dry_run)
        for each, line in zip(bad, lines, strict=True)
        if each.rule.mode is not Mode.AUDIT
    ]
    # A workload's tags are not pinned, those of its pods are: nothing to warn of.
    unpinned = [] if advice else [each.unpinned for each in notes if each.unpinned]
    return Decision(
        allowed=True,
        state=state,
        warnings=(*warned, *_warnings(notes, unpinned))[:MAX_WARNINGS],
        audit=audit,
        images=images,
        rule=rule,
        unpinned=len(unpinned),
    )


def _lenient(each: Note, *, dry_run: bool, advice: bool) -> bool:
    """Whether the object passes in spite of it."""
    state = each.judgement.state
    if each.rule.mode in (Mode.WARN, Mode.AUDIT):
        return state is not State.INVALID
    return state in NOT_YET and (dry_run or advice)


def _warning(each: Note, line: str, *, advice: bool, dry_run: bool) -> str:
    """What is said of an image in spite of which the object passes."""
    if each.rule.mode is Mode.WARN:
        return line
    return advice_of(each.judgement) if advice else f"not judged yet: {line}"[:FIRST_LINE]


def _most_to_tell(each: Note) -> int:
    return ALLOWED.index(each.judgement.state)


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


def _audit(notes: Sequence[Note], decisive: Note | None, now: int) -> dict[str, str]:
    """Audit annotations: keys are qualified names, values bounded."""
    if decisive is None:
        return {"decision": State.PASS.value}
    state = decisive.judgement.state
    audit = {"decision": state.value, "rule": _rules(notes, decisive)}
    used = dict.fromkeys(one for each in notes for one in each.judgement.exceptions)
    if used:
        owners = (f"{one.id or one.image} ({one.owner})" for one in used)
        audit["exceptions"] = shown(", ".join(owners), FIRST_LINE)
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


def _rules(notes: Sequence[Note], decisive: Note) -> str:
    """The rule that decided; of what passes every rule that was asked."""
    if decisive.judgement.state not in ALLOWED:
        return decisive.rule.name
    return ",".join(dict.fromkeys(each.rule.name for each in notes))[:FIRST_LINE]
