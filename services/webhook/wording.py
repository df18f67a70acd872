"""What a person reads of an image that is not known to be good: a denial, or a warning.

The cases are docs/design/behaviour.md 3; what Kubernetes keeps of messages is
docs/design/field-notes.md 1c. The first line must say image, reason and next step by itself:
it is what `kubectl describe` shows of the owner.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from services.webhook.lines import Said, image_line, shown
from shared.domain.decision import Judgement, State
from shared.domain.pointer import MINUTE, SECOND
from shared.domain.verdict import Finding, Outcome, Verdict
from shared.ports.claims import MAX_OF_A_TENANT

MAX_LINES = 10
"""Findings of a message, and images beside the worst; the rest are counted. So a message has at
most 23 lines."""

EXPLAIN = "See: imagegate explain IMAGE"

_LINK = re.compile(r"(?: - )?https?://[^\s)]+")
"""Left out of the first line, where each character counts; the lines below have it."""


def message_of(lines: Sequence[str], worst: Judgement, *, more: int = 0) -> str:
    """The whole message: the first of `lines`, what stops in `worst`, the other lines, and how
    many images there are `more`."""
    first, *others = dict.fromkeys(lines)
    failed = _failed(worst)
    stops = [finding for verdict in failed for finding in verdict.stops]
    dropped = sum(verdict.findings_dropped for verdict in failed)
    if len(stops) == 1 and not dropped and stops[0].message in first:
        stops = []  # the first line says all of it
    findings = [_finding(finding) for finding in stops[:MAX_LINES]]
    findings += _and_more(len(stops) + dropped - len(findings), "findings")
    return "\n".join((first, *findings, *others, *_and_more(more, "images")))


def line_of(judgement: Judgement, now: int, *, rule: str = "") -> str:
    """One judgement within 256 characters: image, reason, next step. `rule`: the name of the one
    that asks, where that has to be told."""
    return image_line(judgement.image, _TEXTS[judgement.state](judgement, now, rule))


def advice_of(judgement: Judgement) -> str:
    """The warning on a workload whose pods would be denied with this image now."""
    colon = ": " if judgement.message else ""
    return image_line(judgement.image, Said(_ADVICE[judgement.state] + colon, judgement.message))


def unasked_of(judgement: Judgement) -> str:
    """The warning on an image of a dry run that has no verdict: nobody was asked for one."""
    last = ". Last try: " if judgement.message else ""
    said = f"a dry run has nothing scanned: the first pod with it will wait for its scan{last}"
    return image_line(judgement.image, Said(said, judgement.message))


def warning_of(image: str, text: str) -> str:
    """A warning on an image that is good."""
    return image_line(image, Said("", text))


def allowed_all_the_same(judgement: Judgement) -> list[str]:
    """The warnings on an image that runs although it failed, or was never looked at."""
    said = [
        Said(
            f"allowed until {moment(each.expires)} by an exception of {shown(each.owner, 40)}: ",
            each.reason,
        )
        for each in judgement.exceptions
    ]
    if judgement.state is State.TURNED:
        fail = _fail(judgement, 0, "")
        until = moment(judgement.allowed_until)
        said.insert(0, fail._replace(before=f"allowed until {until} only, then {fail.before}"))
    return [image_line(judgement.image, each) for each in said]


def pinned_long_ago(image: str, asked_at: int, now: int) -> str:
    """The warning on a pod whose tag is pinned to what a registry said once."""
    return image_line(
        image,
        Said(
            "the registry cannot be asked what the tag names now: pinned to what it named "
            f"{max(0, now - asked_at) // SECOND} s ago"
        ),
    )


def pinned_to_the_one_before(image: str, state: State) -> str:
    """The warning on a pod whose tag moved to a digest of which no more than `state` is known."""
    known = "could not be judged" if state is State.ERROR else "is not judged yet"
    return image_line(
        image,
        Said(
            f"what the tag names now {known}: pinned to the digest before, which it named when it "
            "was judged good"
        ),
    )


def _and_more(number: int, what: str) -> list[str]:
    return [f"  ... and {number} more {what}"] if number else []


def _finding(finding: Finding) -> str:
    where = f"{shown(finding.gate, 30)}/{shown(finding.trigger, 30)}"
    return f"  {finding.action}: {shown(finding.message, 180)} ({where})"


def _fail(judgement: Judgement, now: int, rule: str) -> Said:
    failed = _failed(judgement)
    if not failed:
        return Said("", judgement.message, f". {EXPLAIN}")
    stops = [finding for verdict in failed for finding in verdict.stops]
    policy = shown(failed[0].policy_id or "the active policy", 32)
    under = f" (rule {shown(rule, 32)})" if rule else ""
    why = _LINK.sub("", stops[0].message) if stops else "the policy's final action is stop"
    more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
    return Said(f"refused by policy {policy}{under}: ", why, f"{more}. {EXPLAIN}")


def _failed(judgement: Judgement) -> list[Verdict]:
    return [verdict for verdict in judgement.verdicts if verdict.outcome is Outcome.FAIL]


def _error(judgement: Judgement, now: int, rule: str) -> Said:
    return Said("could not be judged: ", judgement.message, f". {EXPLAIN}")


def _pending(judgement: Judgement, now: int, rule: str) -> Said:
    if judgement.over:
        return Said(
            f"not judged yet, and its scan not begun: {MAX_OF_A_TENANT} new images of namespace "
            f"{shown(judgement.over, 63)} are being analysed, as many as one may have: try again"
        )
    if judgement.verdicts:
        return Said("judged, and its tag is not pinned to a digest yet: try again, then it will be")
    usual = f", such scans take about {_span(judgement.usual)}" if judgement.usual else ""
    last = ". Last try: " if judgement.message else ""
    since = _span(now - (judgement.since or now))
    said = f"not judged yet, its scan is under way since {since}{usual}: try again{last}"
    return Said(said, judgement.message)


def _unpinned(judgement: Judgement, now: int, rule: str) -> Said:
    if not judgement.unresolved:
        return Said(
            "it is named by a tag alone, which can move before it is pulled: see that imagegate's "
            "mutating webhook is called and no other webhook replaces images after it, or give a "
            "digest"
        )
    return Said(
        f"its registry has not said for {_span(now - (judgement.since or now))} what the tag "
        "names, so that it cannot be pinned: try again. Last try: ",
        judgement.message,
    )


def _as_said(judgement: Judgement, now: int, rule: str) -> Said:
    return Said("", judgement.message)


def _always(text: str) -> "_Text":
    return lambda judgement, now, rule: Said(text)


def _span(milliseconds: int) -> str:
    if milliseconds < 2 * MINUTE:
        return f"{max(0, round(milliseconds / SECOND))} s"
    return f"{round(milliseconds / MINUTE)} min"


def moment(at: int) -> str:
    """A time in milliseconds as people write it, in UTC."""
    return datetime.fromtimestamp(at / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


_Text = Callable[[Judgement, int, str], Said]

_TEXTS: dict[State, _Text] = {
    State.INVALID: _as_said,
    State.REFUSED: _as_said,
    State.FAIL: _fail,
    State.ERROR: _error,
    State.STORE_DOWN: _always(
        "not judged yet, and imagegate's verdict store (Redis) does not answer: try again later"
    ),
    State.QUEUE_DOWN: _always(
        "not judged yet, and imagegate's queue (RabbitMQ) takes no request: try again later"
    ),
    State.UNPINNED: _unpinned,
    State.UNDECIDED: _as_said,
    State.REGISTRY_AWAY: _always(
        "the registry cannot be asked what the tag names now: try again, or pin a digest"
    ),
    State.PENDING: _pending,
}

_ADVICE = {
    State.ERROR: "could not be judged, pods with it are denied",
    State.UNDECIDED: "not judged, pods with it are denied for now",
    State.UNPINNED: "named by a tag alone, pods with it are denied",
    State.STORE_DOWN: (
        "not judged yet, and imagegate's verdict store (Redis) does not answer: pods with it are "
        "denied until it does"
    ),
    State.QUEUE_DOWN: (
        "not judged yet, and imagegate's queue (RabbitMQ) takes no request: pods with it are "
        "denied until it does"
    ),
    State.REGISTRY_AWAY: (
        "the registry cannot be asked what the tag names now: pods with it may be denied until it "
        "can be"
    ),
    State.PENDING: (
        "not judged yet: pods with it are denied, and made again by themselves, until its scan "
        "has passed"
    ),
}
