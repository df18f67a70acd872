"""What a person reads of an image that is not known to be good: a denial, or a warning.

The cases are docs/design/behaviour.md 3; what Kubernetes keeps of messages is
docs/design/field-notes.md 1c. The first line must say image, reason and next step by itself:
it is what `kubectl describe` shows of the owner.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.domain.decision import Judgement, State
from shared.domain.pointer import SECOND
from shared.domain.verdict import Outcome
from shared.runtime.logging import one_line

FIRST_LINE = 256
MAX_LINES = 10

_LINK = re.compile(r"(?: - )?https?://[^\s)]+")
"""Left out of the first line, where each character counts; the lines below have it."""


def shown(text: str, limit: int = 200) -> str:
    """Text from outside on one bounded line, whatever it holds."""
    return one_line(text, limit=limit)


def abridged(text: str, limit: int) -> str:
    """The beginning and the end of a long text: scanners say what they saw at its end."""
    if len(text) <= limit:
        return shown(text, limit)
    half = (limit - 3) // 2
    return shown(f"{text[:half]} … {text[len(text) - half :]}", limit)


def message_of(lines: Sequence[str], worst: Judgement) -> str:
    """The whole message: the first of `lines`, then what stops in `worst`, then the others."""
    stops = [
        finding
        for verdict in worst.verdicts
        if verdict.outcome is Outcome.FAIL
        for finding in verdict.stops
    ]
    if len(stops) == 1 and stops[0].message in lines[0]:
        stops = []  # the first line says all of it
    below = [
        f"  {finding.action}: {shown(finding.message)} ({finding.gate}/{finding.trigger})"
        for finding in stops
    ]
    below += lines[1:]
    dropped = sum(verdict.findings_dropped for verdict in worst.verdicts)
    more = max(0, len(below) - MAX_LINES) + dropped
    below = below[:MAX_LINES]
    if more:
        below.append(f"  ... and {more} more")
    return "\n".join((lines[0], *below))


def line_of(judgement: Judgement, now: int) -> str:
    """One judgement within 256 characters: image, reason, next step."""
    text = _TEXTS[judgement.state](judgement, now)
    image = shown(judgement.image, max(40, FIRST_LINE - len(text) - 8))
    return f"image {image}: {text}"[:FIRST_LINE]


def advice_of(judgement: Judgement) -> str:
    """The warning on a workload whose pods would be denied with this image now."""
    text = _ADVICE[judgement.state] + (
        f": {shown(judgement.message, 130)}" if judgement.message else ""
    )
    image = shown(judgement.image, max(40, FIRST_LINE - len(text) - 8))
    return f"image {image}: {text}"[:FIRST_LINE]


def allowed_all_the_same(judgement: Judgement, now: int) -> list[str]:
    """The warnings on an image that runs although it failed."""
    image = shown(judgement.image, 80)
    if judgement.state is State.EXEMPT and judgement.message:
        return [f"image {image}: {shown(judgement.message, 160)}"]
    if judgement.state not in (State.TURNED, State.EXCEPTED):
        return []
    until = _moment(judgement.allowed_until)
    said = [
        f"image {image}: allowed until {_moment(each.expires)} by an exception of "
        f"{shown(each.owner, 40)}: {shown(each.reason, 80)}"
        for each in judgement.exceptions
    ]
    if judgement.state is State.TURNED:
        said.insert(0, f"image {image}: allowed until {until} only, then {_fail(judgement, now)}")
    return said


def pinned_long_ago(image: str, asked_at: int, now: int) -> str:
    """The warning on a pod whose tag is pinned to what a registry said once."""
    text = (
        "the registry does not say what the tag names now: pinned to what it named "
        f"{max(0, now - asked_at) // SECOND} s ago"
    )
    return f"image {shown(image, FIRST_LINE - len(text) - 8)}: {text}"


def pinned_to_the_one_before(image: str, state: State) -> str:
    """The warning on a pod whose tag moved to a digest of which no more than `state` is known."""
    known = "could not be judged" if state is State.ERROR else "is not judged yet"
    text = (
        f"what the tag names now {known}: pinned to the digest before, which it named when it was "
        "judged good"
    )
    return f"image {shown(image, FIRST_LINE - len(text) - 8)}: {text}"


def _fail(judgement: Judgement, now: int) -> str:
    failed = [verdict for verdict in judgement.verdicts if verdict.outcome is Outcome.FAIL]
    if not failed:
        return shown(judgement.message)
    stops = [finding for verdict in failed for finding in verdict.stops]
    policy = shown(failed[0].policy_id or "the active policy", 40)
    first = (
        abridged(_LINK.sub("", stops[0].message), 110)
        if stops
        else "the policy's final action is stop"
    )
    more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
    return f"refused by policy {policy}: {first}{more}. Details: imagegate verdicts"


def _error(judgement: Judgement, now: int) -> str:
    return f"could not be judged: {shown(judgement.message, 150)}"


def _pending(judgement: Judgement, now: int) -> str:
    if judgement.verdicts:
        return "judged, and its tag is not pinned to a digest yet: try again, then it will be"
    seconds = max(0, now - (judgement.since or now)) // SECOND
    note = f". Last try: {abridged(judgement.message, 120)}" if judgement.message else ""
    return f"not judged yet, its scan is under way since {seconds} s: try again{note}"


def _unpinned(judgement: Judgement, now: int) -> str:
    if not judgement.unresolved:
        return (
            "it is named by a tag alone, which can move before it is pulled: see that imagegate's "
            "mutating webhook is called and no other webhook replaces images after it, or give a "
            "digest"
        )
    seconds = max(0, now - (judgement.since or now)) // SECOND
    return (
        f"its registry has not said for {seconds} s what the tag names, so that it cannot be "
        f"pinned: try again. Last try: {shown(judgement.message, 105)}"
    )


def _registry_away(judgement: Judgement, now: int) -> str:
    return "the registry does not say what the tag names now: try again, or pin a digest"


def _store_down(judgement: Judgement, now: int) -> str:
    return "not judged yet, and imagegate's verdict store (Redis) does not answer: try again later"


def _queue_down(judgement: Judgement, now: int) -> str:
    return "not judged yet, and imagegate's queue (RabbitMQ) takes no request: try again later"


def _moment(at: int) -> str:
    """A time in milliseconds as people write it, in UTC."""
    return datetime.fromtimestamp(at / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _as_said(judgement: Judgement, now: int) -> str:
    return shown(judgement.message)


_TEXTS = {
    State.INVALID: _as_said,
    State.REFUSED: _as_said,
    State.FAIL: _fail,
    State.ERROR: _error,
    State.STORE_DOWN: _store_down,
    State.QUEUE_DOWN: _queue_down,
    State.UNPINNED: _unpinned,
    State.UNDECIDED: _as_said,
    State.REGISTRY_AWAY: _registry_away,
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
        "the registry does not say what the tag names now: pods with it may be denied until it does"
    ),
    State.PENDING: (
        "not judged yet: pods with it are denied, and made again by themselves, until its scan "
        "has passed"
    ),
}
