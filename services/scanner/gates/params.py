"""Parameters of rules: read once, when a bundle is, into what triggers compare with.

Each reader takes the text of a bundle and raises ValueError, whose message says what it must
be. What is accepted is what Engine's policy spec accepts, as far as it can mean something.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

Values = Mapping[str, Any]
"""A rule's parameters by name, read. Those that are not given are not there."""

MAX_PORT = 65_535
MAX_SCORE = 10
_UNITS = {"": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3, "tb": 1024**4}
_SIZE = re.compile(r"([0-9]{1,15})([kmgt]b)?")
_SCORE = re.compile(r"-?([0-9]{1,3}(\.[0-9]{0,6})?|\.[0-9]{1,6})")
_NUMBER = re.compile(r"[0-9]{1,6}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")


class Param(msgspec.Struct, frozen=True):
    """A parameter of a trigger."""

    read: Callable[[str], Any] = str
    """Raises ValueError: what the value must be."""
    required: bool = False


def one_of(*words: str) -> Callable[[str], str]:
    """One of these words, in exactly this spelling, as Engine wants it."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def boolean(text: str) -> bool:
    """`true` or `false`, in any case."""
    word = text.lower()
    if word not in ("true", "false"):
        raise ValueError("must be one of true, false")
    return word == "true"


def whole_number(text: str) -> int:
    """At most six digits."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError("must be a whole number of at most six digits")
    return int(text)


def score(text: str) -> float:
    """A decimal number. (Engine takes an empty text for one, too, and then fails on it.)"""
    if not _SCORE.fullmatch(text.strip()) or float(text) > MAX_SCORE:
        raise ValueError(f"must be a number such as 7.5, at most {MAX_SCORE}")
    return float(text)


def size(text: str) -> int:
    """Bytes, or a number with kb, mb, gb or tb (of 1024) right behind it."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("must be a number of bytes, or one with kb, mb, gb or tb behind it: 500mb")
    return int(found[1]) * _UNITS[found[2] or ""]


def ports(text: str) -> frozenset[int]:
    """Numbers with commas between them; 0 stands for any port."""
    parts = [part.strip() for part in text.split(",")]
    if any(not _NUMBER.fullmatch(part) or int(part) > MAX_PORT for part in parts):
        raise ValueError(f"must be port numbers up to {MAX_PORT} with commas between them")
    return frozenset(map(int, parts))


def names(text: str) -> tuple[str, ...]:
    """Texts with commas between them, in their order."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(found):
        raise ValueError("must be names with commas between them, none of them empty")
    return found


def exact(text: str) -> str:
    """A name that is compared as it stands: with spaces around it nothing would be found."""
    if text != text.strip():
        raise ValueError("must not have spaces around it")
    return text


def package_name(text: str) -> str:
    """Of one package: no package has a name with a space or a comma in it."""
    if re.search(r"[\s,]", exact(text)):
        raise ValueError("must be one name: write a rule for each package")
    return text


def vulnerability_ids(text: str) -> tuple[str, ...]:
    """Ids with commas between them. Anything else would never be found, silently."""
    found = names(text)
    if not all(map(_ID.fullmatch, found)):
        raise ValueError("must be ids with commas between them: CVE-2021-44228,GHSA-jfh8-c2jp-5v3q")
    return found


def path_pattern(text: str) -> re.Pattern[str]:
    """A regular expression; an empty one would fit every path."""
    if not text:
        raise ValueError("must not be empty: it would fit every path")
    return pattern(text)


@lru_cache(maxsize=4096)
def pattern(text: str) -> re.Pattern[str]:
    """A regular expression, in Python's dialect as with Engine."""
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from error
