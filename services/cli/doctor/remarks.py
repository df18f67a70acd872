"""What a check of an installation says: one line of what was found, one of what to do."""

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How much a remark matters; the worst first."""

    BAD = "bad"
    """It does not work, or not as it should protect."""
    WARN = "warn"
    """It works, and somebody should look at it."""
    UNASKED = "not asked"
    """What would be needed to ask is missing."""
    NOTE = "note"
    """Worth knowing."""
    GOOD = "good"


class Remark(msgspec.Struct, frozen=True):
    """One line of the report. Texts may hold words from outside: show them as such."""

    level: Level
    part: str
    """What it is about: `webhook configuration`, `store`, ..."""
    said: str
    todo: str = ""


def bad(part: str, said: str, todo: str) -> Remark:
    """It does not work."""
    return Remark(Level.BAD, part, said, todo)


def warn(part: str, said: str, todo: str) -> Remark:
    """Somebody should look at it."""
    return Remark(Level.WARN, part, said, todo)


def unasked(part: str, said: str, todo: str) -> Remark:
    """It could not be looked at."""
    return Remark(Level.UNASKED, part, said, todo)


def note(part: str, said: str) -> Remark:
    """Worth knowing."""
    return Remark(Level.NOTE, part, said)


def good(part: str, said: str) -> Remark:
    """As it should be."""
    return Remark(Level.GOOD, part, said)
