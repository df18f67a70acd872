"""How long, and until when: durations with their unit, times with their zone."""

import re
from datetime import datetime

from shared.adapters.rules_file.strict_yaml import Value

UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
"""Milliseconds."""

DURATION = r"[0-9]{1,9}[smhd]"
MOMENT = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)

_DURATION = re.compile(DURATION)
_MOMENT = re.compile(MOMENT)
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?", re.ASCII)
_UNZONED = re.compile(r"\d{4}-\d\d?-\d\d?[Tt ]\d\d?:\d\d(:\d\d)?(\.\d*)?", re.ASCII)


def duration(value: Value) -> int:
    """`24h`, `90m`, `7d`: milliseconds."""
    text = value.raw
    if text.isdecimal():
        shown = text[:20]
        raise value.wrong(f"{shown} of what? Add the unit: {shown}s, {shown}m, {shown}h, {shown}d")
    if not _DURATION.fullmatch(text):
        raise value.wrong(
            f"must be a duration, a whole number with one unit (s, m, h or d) such as 24h or 90m, "
            f"not {_shown(value)}"
        )
    return int(text[:-1]) * UNITS[text[-1]]


def moment(value: Value) -> int:
    """RFC 3339, in quotes or without: milliseconds since the epoch."""
    text = value.raw
    if _DATE.fullmatch(text):
        raise value.wrong(f"{text} is a date alone; say the moment: {text}T00:00:00Z")
    if _UNZONED.fullmatch(text):
        raise value.wrong(f"{text} has no zone; add Z for UTC, or an offset such as +02:00")
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError("not as RFC 3339 has it")
        return round(datetime.fromisoformat(text.upper()).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise value.wrong(
            f"must be a time such as 2027-01-31T00:00:00Z, not {_shown(value)}"
        ) from error


def _shown(value: Value) -> str:
    return repr(value.raw[:100]) if value.raw else value.word
