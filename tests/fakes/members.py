"""JSON with whatever its keys are: objects as lists of members, in which one can stand twice."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


class Members(list[tuple[str, Any]]):
    """A JSON object as it is written."""


class Spelt(str):
    """A key to be written just so, escapes and all."""


def members_of(body: bytes) -> Any:
    """The JSON value, its objects as Members."""
    return json.loads(body, object_pairs_hook=Members)


def written(value: Any, gap: str = "") -> bytes:
    """The value as Go writes it; with white space where `gap` is some."""
    return _text(value, gap).encode()


def objects_in(value: Any, read: Any) -> Iterator[tuple[Members, Any]]:
    """Every object in `value`, and what `read` has of it: 0 where nothing in it is read."""
    if isinstance(value, Members):
        yield value, read
        for key, below in value:
            yield from objects_in(below, read.get(key, 0) if isinstance(read, Mapping) else 0)
    elif isinstance(value, list):
        for item in value:
            yield from objects_in(item, read)


def _text(value: Any, gap: str) -> str:
    if isinstance(value, Members):
        members = (f'"{_key(key)}"{gap}:{gap}{_text(below, gap)}' for key, below in value)
        return "{" + f",{gap}".join(members) + "}"
    if isinstance(value, list):
        return "[" + f"{gap},".join(_text(item, gap) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _key(key: str) -> str:
    return key if isinstance(key, Spelt) else json.dumps(key, ensure_ascii=False)[1:-1]
