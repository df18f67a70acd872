"""Globs: `*` for any run of characters, `?` for one, compiled once.

In a path `*` stops at `/`, and `**` alone between slashes stands for any number of parts: none
included, but at the end, where it stands for what is below. No pattern can backtrack without
bound: what follows a `*` is found at its first place and never looked for again (docs/adr/0014),
so that a match costs at most the pattern's length times the text's.
"""

import re
from functools import lru_cache

ANY_PARTS = "**"


class Glob:
    """One compiled pattern, told from others by its text and kind. Raises ValueError."""

    __slots__ = ("_below", "_matches", "literal", "path", "pattern")

    def __init__(self, pattern: str, *, path: bool = False) -> None:
        self.pattern = pattern
        self.path = path
        self._matches = _compiled(pattern, path).fullmatch
        self.literal = not _is_wild(pattern)
        """Whether exactly one text fits."""
        self._below = _below(pattern, path)

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        return self._matches(text) is not None

    def contains(self, other: "Glob") -> bool:
        """Whether it is plain to see that all that fits `other` fits this one too.

        False where it is not so, and where one would have to think. Both of one kind.
        """
        if self._below is not None:
            return other.pattern.startswith(self._below)
        return self.matches(other.pattern) if other.literal else self == other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and (self.pattern, self.path) == (other.pattern, other.path)

    def __hash__(self) -> int:
        return hash((self.pattern, self.path))

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"


@lru_cache(maxsize=16_384)
def _compiled(pattern: str, path: bool) -> re.Pattern[str]:
    text = _parts(pattern) if path else _run(pattern, any_character=".")
    return re.compile(text, re.DOTALL)


def _is_wild(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


def _below(pattern: str, path: bool) -> str | None:
    """How all begins that fits, where that is all that is asked of it; else None."""
    begin = pattern.removesuffix(ANY_PARTS if path else "*")
    whole = begin != pattern and not _is_wild(begin) and (not path or begin[-1:] in ("", "/"))
    return begin if whole else None


def _parts(pattern: str) -> str:
    """A path: its parts between `**`, each run of parts at the first place where it fits."""
    parts = pattern.split("/")
    if any(ANY_PARTS in part and part != ANY_PARTS for part in parts):
        raise ValueError(f"{ANY_PARTS} stands alone between slashes: team-*/**, not team-**")
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == ANY_PARTS:
            runs.append([])
        else:
            runs[-1].append(_run(part, any_character="[^/]"))
    if len(runs) == 1:
        return "/".join(runs[0])
    first, *middle, last = runs
    # Each part has its slash before or behind it, as it stands to the left or right of a `**`.
    text = "".join(f"{part}/" for part in first)
    for run in middle:
        if run:
            text += "(?>(?:[^/]+/)*?" + "".join(f"{part}/" for part in run) + ")"
    return text + "(?:[^/]+/)*" + ("/".join(last) if last else "[^/]+")


def _run(pattern: str, *, any_character: str) -> str:
    """Without `**`: what stands before the first `*`, behind the last, and between two."""
    pieces = [_literal(piece, any_character) for piece in re.sub(r"\*+", "*", pattern).split("*")]
    if len(pieces) == 1:
        return pieces[0]
    first, *middle, last = pieces
    between = "".join(f"(?>{any_character}*?{piece})" for piece in middle)
    return f"{first}{between}{any_character}*{last}"


def _literal(piece: str, any_character: str) -> str:
    return "".join(any_character if sign == "?" else re.escape(sign) for sign in piece)
