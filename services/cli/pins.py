"""What /mutate changes of an object: its patch, applied as an API server applies it."""

import base64
import binascii
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import msgspec

from shared.domain.errors import ImagegateError


class UnusablePatch(ImagegateError):
    """A patch that no API server would take, or that is not one of ours."""


class Pin(msgspec.Struct, frozen=True):
    """One image that was replaced."""

    path: str
    """Where in the object, as a JSON Pointer (RFC 6901)."""
    written: str
    image: str
    """What stands there now."""


class _Operation(msgspec.Struct):
    op: str
    path: str
    value: str


_OPERATIONS = msgspec.json.Decoder(list[_Operation])


def pinned(content: Mapping[str, Any], patch: str) -> tuple[dict[str, Any], tuple[Pin, ...]]:
    """The object after `patch` (a JSON Patch in base64), and what it replaced.

    imagegate replaces images and does nothing else: any other operation is refused, as is one whose
    place is not there. Raises UnusablePatch.
    """
    try:
        operations = _OPERATIONS.decode(base64.b64decode(patch, validate=True))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise UnusablePatch(f"its patch cannot be read: {error}") from error
    changed = deepcopy(dict(content))
    return changed, tuple([_replace(changed, each) for each in operations])


def _replace(content: Any, operation: _Operation) -> Pin:
    """Replace a text in place."""
    *way, last = [_plain(step) for step in operation.path.split("/")[1:]] or [""]
    try:
        for step in way:
            content = content[int(step)] if isinstance(content, list) else content[step]
        written = content[last]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnusablePatch(f"its patch is about {operation.path}, which is not there") from error
    if operation.op != "replace" or not isinstance(written, str):
        raise UnusablePatch(f"its patch does more than replace images: {operation.op}")
    content[last] = operation.value
    return Pin(operation.path, written, operation.value)


def _plain(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
