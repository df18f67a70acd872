"""From judgements to a decision: what is allowed, with which code, warnings and audit.

The table of answers is docs/design/behaviour.md 3. What is said of an image: `wording`.
"""

import math
from collections.abc import Sequence

import msgspec

from services.webhook.audit import annotations_of
from services.webhook.let_pass import (
    ANNOTATION,
    annotation_of,
    is_let_pass,
    reason_of,
    warning_of,
)
from services.webhook.lines import FIRST_LINE, MAX_WARNINGS, within_budget
from services.webhook.note import GOOD, Note
from services.webhook.wording import MAX_LINES, advice_of, line_of, message_of, unasked_of
from shared.domain.decision import Decision, Judgement, State
from shared.domain.emergency import Emergency
from shared.domain.pointer import SECOND
from shared.domain.rules import Mode, Rule
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT

ASSUMED = 10 * SECOND
"""How long a scan is taken to last before any was measured."""

LONGEST_SILENCE = 100 * SECOND
"""What a person's kubectl may wait without a word: ten times, ten seconds at most
(docs/design/kube-facts.md 2)."""

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

UNNAMED = Rule().name
"""The default rule's name, which tells a person nothing."""


def decide(
    notes: Sequence[Note],
    *,
    now: int,
    by_system: bool = True,
    dry_run: bool = False,
    advice: bool = False,
    emergency: Emergency | None = None,
) -> Decision:
    """The decision about an object: denied if the rule of any image denies it.

    `by_system`: the user is one of Kubernetes' own; `advice`: the object is a workload;
    `emergency`: one that counts for the object now.
    """
    good = sorted([each for each in notes if each.good], key=_most_to_tell_first)
    bad = sorted([each for each in notes if not each.good], key=_worst_first)
    spared = [each for each in bad if _lenient(each, dry_run=dry_run, advice=advice)]
    refused = [each for each in bad if not _lenient(each, dry_run=dry_run, advice=advice)]
    denied = [each for each in refused if not is_let_pass(each, emergency)]
    passing = [each for each in refused if is_let_pass(each, emergency)]
    if emergency is not None and passing and not denied:
        return _let_pass(passing, (*spared, *good), emergency, now)
    ordered = (*denied, *passing, *spared, *good)
    excuse = _excuse(spared, [] if denied else good, now, advice=advice)
    audit = annotations_of(ordered, excuse, now)
    warnings = _warnings_of_spared(spared, now, advice=advice)
    decision = Decision(
        allowed=not denied,
        state=ordered[0].state if ordered else State.PASS,
        audit=audit,
        reason=excuse,
        images=_images(notes),
        rule=audit.get("rule", ""),
    )
    if denied:
        return _denial(decision, denied, warnings, now, by_system=by_system)
    # A workload's tags are not pinned, those of its pods are: nothing to warn of.
    unpinned = [] if advice else [each.unpinned for each in good if each.unpinned]
    warnings += _warnings_of_good(good, unpinned)
    return msgspec.structs.replace(
        decision,
        warnings=within_budget(warnings, more=sum(each.more_warnings for each in good)),
        unpinned=len(unpinned),
    )


def _let_pass(
    passing: Sequence[Note], others: Sequence[Note], emergency: Emergency, now: int
) -> Decision:
    """Nothing but the emergency has it pass: that is told, and what it would be refused for."""
    lines = [_line(each, now) for each in passing]
    reason = reason_of(lines[0])
    audit = annotations_of((*passing, *others), reason, now)
    return Decision(
        allowed=True,
        state=passing[0].state,
        warnings=within_budget([warning_of(emergency), *lines]),
        audit={**audit, ANNOTATION: annotation_of(emergency)},
        reason=reason,
        images=_images((*passing, *others)),
        rule=audit.get("rule", ""),
        let_pass=True,
    )


def _denial(
    decision: Decision,
    denied: Sequence[Note],
    warnings: Sequence[str],
    now: int,
    *,
    by_system: bool,
) -> Decision:
    told, others = denied[: MAX_LINES + 1], denied[MAX_LINES + 1 :]
    lines = [_line(each, now) for each in told]
    more = {each.judgement.image for each in others} - {each.judgement.image for each in told}
    return msgspec.structs.replace(
        decision,
        code=CODES[decision.state],
        message=message_of(lines, denied[0].judgement, more=len(more)),
        warnings=within_budget(warnings),
        reason=lines[0],
        retry_after=0 if by_system else _retry_after(denied, now),
    )


def _images(notes: Sequence[Note]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([each.judgement.image[:MAX_TEXT] for each in notes]))[:MAX_IMAGES]


def _lenient(each: Note, *, dry_run: bool, advice: bool) -> bool:
    """Whether the object passes in spite of it."""
    if each.rule.mode in (Mode.WARN, Mode.AUDIT):
        return each.state is not State.INVALID
    return each.state in NOT_YET and (dry_run or advice)


def _worst_first(each: Note) -> int:
    return _ORDER[each.state]


def _most_to_tell_first(each: Note) -> int:
    return GOOD.index(each.state)


def _line(each: Note, now: int) -> str:
    """What is said of an image that is not good; the default rule needs no name."""
    rule = each.rule.name
    return line_of(each.judgement, now, rule="" if rule == UNNAMED else rule)


def _excuse(spared: Sequence[Note], good: Sequence[Note], now: int, *, advice: bool) -> str:
    """Why what was not found good may run; empty where all was."""
    if spared:
        return _line_of_spared(spared[0], now, advice=advice)
    return next((line for each in good for line in each.excuses), "")


def _retry_after(denied: Sequence[Note], now: int) -> int:
    """Seconds after which kubectl asks again by itself; 0: show the message at once.

    A fifth of what remains, so that kubectl's ten tries outlast the scan.
    """
    if any(each.state is not State.PENDING for each in denied):
        return 0
    remaining = max(_remaining(each.judgement, now) for each in denied)
    if remaining > LONGEST_SILENCE:
        return 0
    return min(10, max(1, math.ceil(remaining / 5 / SECOND)))


def _remaining(judgement: Judgement, now: int) -> int:
    """How long its scan is likely to take still (ms)."""
    if judgement.since is None:
        return 0
    passed = max(0, now - judgement.since)
    remaining = (judgement.usual or ASSUMED) - passed
    # What takes longer than usual may take as long again.
    return remaining if remaining > 0 else passed


def _line_of_spared(each: Note, now: int, *, advice: bool) -> str:
    """What is said of an image in spite of which the object passes."""
    if each.rule.mode in (Mode.WARN, Mode.AUDIT):
        return _line(each, now)
    if advice:
        return advice_of(each.judgement)
    unasked = each.state is State.PENDING and not each.judgement.verdicts
    line = unasked_of(each.judgement) if unasked else _line(each, now)
    return f"not judged yet: {line}"[:FIRST_LINE]


def _warnings_of_spared(spared: Sequence[Note], now: int, *, advice: bool) -> list[str]:
    """Those that there may be room for; of mode audit only the audit tells."""
    told = [each for each in spared if each.rule.mode is not Mode.AUDIT]
    return [_line_of_spared(each, now, advice=advice) for each in told[: MAX_WARNINGS + 1]]


def _warnings_of_good(good: Sequence[Note], unpinned: Sequence[str]) -> list[str]:
    """Why what failed may run, tags that may move before the kubelet pulls, old verdicts and
    findings to warn of: what matters most comes first, since there is room for few."""
    warnings = [line for each in good for line in each.excuses]
    if unpinned:
        text = "not pinned to a digest, the tag can move before it is pulled: "
        warnings.append((text + ", ".join(unpinned))[:FIRST_LINE])
    return warnings + [line for each in good for line in each.warnings]
