"""Lines about images, each within what Kubernetes keeps of it, whatever text from outside it holds.

What it keeps of messages and warnings: docs/design/field-notes.md 1c.
"""

from collections.abc import Iterable
from typing import NamedTuple

from shared.runtime.logging import one_line

FIRST_LINE = 256
"""Characters of a line; `kubectl describe` shows the first one of a message."""

MAX_WARNINGS = 12
MAX_WARNED = 4_096
"""Bytes of all warnings: each is an HTTP header, and proxies have room for 8 KiB of them. The API
server keeps 4 096 characters of all webhooks together; the fourth part is left to /mutate."""

MIN_IMAGE = 64
"""Characters of an image that a line has room for, whatever else it says."""

_LEFT_OUT = "and {} more warnings, for which there is no room"


class Said(NamedTuple):
    """What is said of an image: of `why`, which is from outside, only what there is room for."""

    before: str
    why: str = ""
    after: str = ""


def shown(text: str, limit: int = 200) -> str:
    """Text from outside on one line of at most `limit` characters, whatever it holds."""
    escaped = one_line(text, limit=limit)
    return escaped if len(escaped) <= limit else f"{escaped[: limit - 1]}…"


def abridged(text: str, limit: int) -> str:
    """The beginning and the end of a long text: scanners say what they saw at its end."""
    escaped = one_line(text)
    if len(escaped) <= limit:
        return escaped
    half = max(0, limit - 3) // 2
    return f"{escaped[:half]} … {escaped[len(escaped) - half :]}"


def image_line(image: str, said: Said) -> str:
    """Within FIRST_LINE characters: the reason gives way first, then the image's end."""
    fixed = len("image : ") + len(said.before) + len(said.after)
    why = one_line(said.why)
    shortened = _shortened(image, max(MIN_IMAGE, FIRST_LINE - fixed - len(why)))
    why = abridged(said.why, max(0, FIRST_LINE - fixed - len(shortened)))
    return f"image {shortened}: {said.before}{why}{said.after}"[:FIRST_LINE]


def _shortened(image: str, limit: int) -> str:
    """Of a digest the beginning is enough; of a name beginning and end tell most."""
    name, at, digest = image.partition("@sha256:")
    if at and len(image) > limit:
        image = f"{name}{at}{digest[:12]}…"
    return abridged(image, limit)


def within_budget(
    warnings: Iterable[str], *, more: int = 0, most: int = MAX_WARNINGS
) -> tuple[str, ...]:
    """Each once, as many as there is room for; the rest, and `more`, are counted."""
    distinct = list(dict.fromkeys(warnings))
    fits = len(distinct) + bool(more) <= most
    kept: list[str] = []
    room = MAX_WARNED - len(_LEFT_OUT)
    for warning in distinct[: most if fits else most - 1]:
        room -= len(warning.encode(errors="replace"))
        if room < 0:
            break
        kept.append(warning)
    more += len(distinct) - len(kept)
    return (*kept, _LEFT_OUT.format(more)) if more else tuple(kept)
