"""WWW-Authenticate: what a registry asks for before it answers (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterable

import msgspec

# One item: a scheme alone, or a parameter of the scheme before it.
_ITEM = re.compile(
    r"""[\s,]*(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)
    (?:\s*(?P<equals>=)\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"]*)))?""",
    re.VERBOSE,
)


class Challenge(msgspec.Struct, frozen=True):
    """One scheme (lower case) and its parameters (names in lower case)."""

    scheme: str
    parameters: dict[str, str]


def read_challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge in the headers; what follows something unreadable is left out."""
    challenges: list[Challenge] = []
    for header in headers:
        position = 0
        started = False
        while item := _ITEM.match(header, position):
            position = item.end()
            name = item["name"].lower()
            if not item["equals"]:
                challenges.append(Challenge(name, {}))
                started = True
            elif started:
                challenges[-1].parameters.setdefault(name, _value(item))
            else:
                break
    return tuple(challenges)


def choose(challenges: Iterable[Challenge]) -> Challenge | None:
    """The one we answer: a token before a password."""
    for scheme in ("bearer", "basic"):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None


def _value(item: re.Match[str]) -> str:
    if item["quoted"] is None:
        return item["bare"] or ""
    return re.sub(r"\\(.)", r"\1", item["quoted"])
