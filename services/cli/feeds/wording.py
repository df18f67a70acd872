"""Sizes, days and outcomes in words."""

import re
import time
from datetime import UTC, datetime

from services.cli.tables import age
from services.scanner.feeds.syncing import Synced
from shared.domain.errors import InvalidSettings

_AGE = re.compile(r"([0-9]{1,5})([hd])")
_HOURS = {"h": 1, "d": 24}


def megabytes(size: int) -> str:
    """`0.4 MiB`."""
    return f"{size / 1024**2:.1f} MiB"


def number(count: int) -> str:
    """`40 000`."""
    return f"{count:,}".replace(",", " ")


def moment(at: int | None) -> str:
    """`2026-11-25 06:00 UTC`, of ms since the epoch."""
    if at is None:
        return "?"
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at / 1000))


def how_old(at: int | None, *, now: int) -> str:
    """`5 h`."""
    return "?" if at is None else age(max(0, now - at) / 1000)


def outcome(synced: Synced) -> str:
    """What became of an ecosystem, in a line."""
    as_of = f", as of {moment(synced.as_of)}" if synced.as_of is not None else ""
    match synced.outcome:
        case "failed":
            return f"failed: {synced.reason}"
        case "unchanged":
            return f"{synced.reason or 'unchanged'}{as_of}"
        case "imported":
            bad = f", {number(synced.bad)} of them not usable" if synced.bad else ""
            return f"{number(synced.records)} records imported{bad}{as_of}"


def hours(text: str) -> float:
    """`36h`, `3d`. Raises InvalidSettings."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise InvalidSettings(
            f"{text[:20]!r} is no age: a whole number of hours or days, such as 36h or 3d"
        )
    return float(found[1]) * _HOURS[found[2]]


def milliseconds(text: str) -> int:
    """`2026-11-25`, or with a time `2026-11-25T06:00:00Z`; a day counts from its beginning, since
    nobody knows more of it. Raises InvalidSettings."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidSettings(
            f"{text[:30]!r} is no time: write it as 2026-11-25 or 2026-11-25T06:00:00Z"
        ) from error
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
