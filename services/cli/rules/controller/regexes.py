"""Go's regular expressions as globs of a whole text, as far as globs can say them.

Selectors are matched with `regexp.MatchString`, which looks anywhere in a text: what is not
anchored begins and ends with a `*` here. A `*` crosses slashes, other than in the globs of images.
"""

import re
from collections.abc import Iterable

import msgspec

MAX_GLOBS = 16
"""Alternatives of one expression; one with more is taken for all that there is."""

MAX_DEPTH = 8

MAX_SIGNS = 4_096
"""Of one expression: what is longer would be copied for each of its signs."""

_BEGIN, _END = "\x02", "\x03"
_UNREADABLE = frozenset("*?+{}[]()|^$\\")
_REPEATS = frozenset("*+?{")
_COUNT = re.compile(r"\{(0|[1-9][0-9]*)(,(0|[1-9][0-9]*)?)?\}")
"""By whatever else begins so (`{,3}`, `{x}`, `{02}`) Go means the text itself."""


class Reading(msgspec.Struct, frozen=True):
    """What an expression matches: nothing but what one of `globs` fits."""

    globs: tuple[str, ...]
    exact: bool
    """Whether it matches all of that; else perhaps less, or nothing."""

    @property
    def literals(self) -> tuple[str, ...]:
        """The only texts that it matches; none where there may be others."""
        wild = not self.exact or any(set(glob) & set("*?") for glob in self.globs)
        return () if wild else self.globs


UNREAD = Reading(("*",), exact=False)
"""Of an expression that says what globs cannot, or that is none: it may match anything."""


class _Unread(Exception):
    pass


def read_regex(pattern: str) -> Reading:
    """As globs; UNREAD where that is too much for them."""
    if len(pattern) > MAX_SIGNS or not pattern.isprintable():
        return UNREAD
    try:
        reader = _Reader(pattern)
        globs = [_whole(each) for each in reader.read()]
    except _Unread:
        return UNREAD
    return Reading(tuple(dict.fromkeys(globs)), exact=reader.exact)


class _Reader:
    """One pass over the signs of an expression; alternatives are written out."""

    def __init__(self, pattern: str) -> None:
        self._signs = pattern
        self._at = 0
        self.exact = True

    def read(self) -> list[str]:
        found = self._alternatives(0)
        if self._at < len(self._signs):
            raise _Unread
        return found

    def _alternatives(self, depth: int) -> list[str]:
        if depth > MAX_DEPTH:
            raise _Unread
        found = self._run(depth)
        while self._take("|"):
            found = _few([*found, *self._run(depth)])
        return found

    def _run(self, depth: int) -> list[str]:
        found = [""]
        while self._at < len(self._signs) and self._signs[self._at] not in "|)":
            found = _joined(found, self._repeated(self._one(depth)))
        return found

    def _one(self, depth: int) -> list[str]:
        sign = self._next()
        if sign == "(":
            if self._take("?") and not self._take(":"):
                raise _Unread
            found = self._alternatives(depth + 1)
            if not self._take(")"):
                raise _Unread
            return found
        if sign == "[":
            return self._class()
        if sign == "\\":
            return self._escaped()
        if sign == ".":
            return ["?"]
        if sign in "^$":
            return [_BEGIN if sign == "^" else _END]
        if sign in _UNREADABLE:
            raise _Unread
        return [sign]

    def _escaped(self) -> list[str]:
        sign = self._next()
        if sign in "dw":
            self.exact = False
            return ["?"]
        if sign.isalnum() or not sign.isascii() or sign in "*?":
            raise _Unread
        return [sign]

    def _class(self) -> list[str]:
        """One sign; which may be said only of a class of just one."""
        # A bracket right behind the first is a sign, and so is one behind a backslash.
        end = self._signs.find("]", self._at + 1 + self._signs.startswith("^", self._at))
        inside = self._signs[self._at : end]
        if end < 0 or "[" in inside or "\\" in inside:
            raise _Unread
        self._at = end + 1
        if len(inside) == 1 and inside not in "^*?":
            return [inside]
        self.exact = False
        return ["?"]

    def _repeated(self, found: list[str]) -> list[str]:
        """With what stands behind it: a dot's repetitions are said exactly, others as a `*`."""
        sign = self._peek()
        if sign not in _REPEATS:
            return found
        if any(set(each) & {_BEGIN, _END} for each in found):
            raise _Unread
        self._at = self._count_ends() if sign == "{" else self._at + 1
        self._take("?")
        if sign == "?":
            return _few(["", *found])
        dots = found == ["?"]
        self.exact = self.exact and dots and sign in "*+"
        return ["?*" if dots and sign == "+" else "*"]

    def _count_ends(self) -> int:
        count = _COUNT.match(self._signs, self._at)
        if count is None:
            raise _Unread
        return count.end()

    def _peek(self) -> str:
        return self._signs[self._at] if self._at < len(self._signs) else ""

    def _next(self) -> str:
        if self._at >= len(self._signs):
            raise _Unread
        self._at += 1
        return self._signs[self._at - 1]

    def _take(self, sign: str) -> bool:
        taken = self._signs.startswith(sign, self._at)
        self._at += taken
        return taken


def _joined(heads: Iterable[str], tails: Iterable[str]) -> list[str]:
    tails = list(tails)
    return _few([head + tail for head in heads for tail in tails])


def _few(globs: list[str]) -> list[str]:
    if len(globs) > MAX_GLOBS:
        raise _Unread
    return globs


def _whole(text: str) -> str:
    """Anchored at both ends: with a `*` where it is not."""
    begins, ends = text.startswith(_BEGIN), text.endswith(_END)
    inner = text[begins : len(text) - ends]
    if _BEGIN in inner or _END in inner:
        raise _Unread
    glob = f"{'' if begins else '*'}{inner}{'' if ends else '*'}"
    while "**" in glob:
        glob = glob.replace("**", "*")
    return glob
