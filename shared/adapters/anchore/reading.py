"""Pieces of answers in whose shape we do not trust: each is read as what it should be, or none."""

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from shared.adapters.anchore.wording import one_line
from shared.domain.pointer import SECOND
from shared.domain.verdict import MAX_MESSAGE, Action, Finding

MAX_PROBLEMS = 10

SHOWN = 100
"""Characters of an id that is too long."""

_FRACTION = re.compile(r"[.,][0-9]")
"""Of a second, in an ISO time."""


class UnreadableEvaluation(Exception):
    """The answer to a check is about no image at all."""


def part(value: Any, *path: str) -> dict[str, Any]:
    """The object at `path`; empty where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects in what should be a list of them."""
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, dict):
            yield entry


def texts(value: Any) -> tuple[str, ...]:
    """The texts in what should be a list of them."""
    entries = value if isinstance(value, list) else []
    return tuple(entry for entry in entries if isinstance(entry, str))


def moment(value: Any) -> int | None:
    """Milliseconds since the epoch of an ISO time; without a zone it would be read as this
    machine's, and is none, and nothing was before the epoch."""
    try:
        at = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return None
    since = at.timestamp() if at.tzinfo else -1.0
    return int(since * 1000) if since >= 0 else None


def evaluated_at(said: Any, *, asked_at: int) -> int:
    """Milliseconds: when Anchore `said` that it evaluated, or when it was asked, if that is earlier
    or Anchore did not say.

    Where it tells whole seconds the question counts by its second, too: else an evaluation that is
    bounded by its question would be later than one that was asked and answered behind it.
    """
    at = moment(said)
    if at is None:
        return asked_at
    return min(at, asked_at if _FRACTION.search(said) else asked_at - asked_at % SECOND)


def name_of(trigger_id: str) -> str:
    """As it is, or short and with the hash of all of it: exceptions name findings by it, and
    paths and packages in it are named by whoever made the image."""
    if one_line(trigger_id) == trigger_id:
        return trigger_id
    whole = hashlib.sha256(trigger_id.encode(errors="surrogatepass")).hexdigest()
    return f"{one_line(trigger_id)[:SHOWN]}... sha256:{whole}"


def finding_of(
    gate: str, trigger: str, trigger_id: str, action: str, message: str
) -> Finding | None:
    """A finding of these texts, each bounded; None where the action is none we know."""
    try:
        wanted = Action(action.lower())
    except ValueError:
        return None
    return Finding(
        gate=one_line(gate),
        trigger=one_line(trigger),
        trigger_id=name_of(trigger_id),
        action=wanted,
        message=one_line(message, limit=MAX_MESSAGE),
    )


def bounded(problems: list[str]) -> tuple[str, ...]:
    """The first problems, each on one line, and how many more there are."""
    kept = [one_line(problem) for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        kept.append(f"and {len(problems) - MAX_PROBLEMS} more")
    return tuple(kept)
