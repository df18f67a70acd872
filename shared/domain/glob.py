"""Globs: `*` for any run of characters, `?` for one, compiled once.

In a path `*` stops at `/`, and `**` alone between slashes stands for any number of parts: none
included, but at the end, where it stands for what is below. No pattern can backtrack without
bound: what follows a `*` is found at its first place and never looked for again (docs/adr/0014),
so that a match costs at most the pattern's length times the text's.
"""

import re
from functools import lru_cache

ANY_PARTS = "**"

_WILD = re.compile(r"[*?]")


class Glob:
    """One compiled pattern, told from others by its text and kind. Raises ValueError."""

    __slots__ = ("_matches", "path", "pattern")

    def __init__(self, pattern: str, *, path: bool = False) -> None:
        self.pattern = pattern
        self.path = path
        self._matches = _compiled(pattern, path).fullmatch

    def matches(self, text: str) -> bool:
        """Whether the whole text fits."""
        return self._matches(text) is not None

    @property
    def literal(self) -> bool:
        """Whether it has no wildcard: exactly one text fits."""
        return not _WILD.search(self.pattern)

    def covers(self, other: "Glob") -> bool:
        """Whether it is plain to see that all that fits `other` fits this one too.

        False where it is not so, and where one would have to think. Both of one kind.
        """
        if self == other or (self.path and self.pattern == ANY_PARTS):
            return True
        if other.literal:
            return self.matches(other.pattern)
        below = self.pattern.removesuffix(f"/{ANY_PARTS}" if self.path else "*")
        if below == self.pattern or _WILD.search(below):
            return False
        return other.pattern.startswith(f"{below}/" if self.path else below)

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
