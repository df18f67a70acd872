"""Keys that stand twice in an object, or in another case beside or instead of their own.

Readers of JSON differ in which of two they take: ours the last one, others the first, and Go's own
reads `Image` as `image`. No API server writes such a thing. Looked at are the objects that a
decision reads, whatever stands inside of the rest of them.
"""

import typing
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from shared.domain.errors import ImagegateError

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class DuplicateKey(ImagegateError):
    """No API server writes an object like this; the message says where it stands."""


class Shape(msgspec.Struct, frozen=True):
    """The keys of an object that are read."""

    names: Mapping[str, str] = {}
    """By themselves without case."""
    below: Mapping[str, "Shape"] = {}
    """Of those whose values are objects, or lists of objects, that are read as well."""


def shape_of(read: Any) -> Shape:
    """What the Struct `read` reads of an object."""
    fields = msgspec.structs.fields(read)
    below = {field.encode_name: struct for field in fields for struct in _structs(field.type)}
    return Shape(
        names={field.encode_name.casefold(): field.encode_name for field in fields},
        below={name: shape_of(struct) for name, struct in below.items()},
    )


def refuse_duplicates(raw: bytes | msgspec.Raw, shape: Shape) -> None:
    """Raises DuplicateKey, and msgspec's errors for what is no JSON object."""
    try:
        _look(raw, shape, "")
    except DuplicateKey:
        # It may only be white space, which API servers do not write, and people do.
        _look(msgspec.json.format(bytes(raw), indent=-1), shape, "")


def _structs(read: Any) -> Iterator[Any]:
    if isinstance(typing.get_origin(read) or read, msgspec.StructMeta):
        yield read
    else:
        for part in typing.get_args(read):
            yield from _structs(part)


def _look(raw: bytes | msgspec.Raw, shape: Shape, where: str) -> None:
    members = _MEMBERS.decode(raw)
    # Of two the decoder keeps the last one, and an escape is longer than what it stands for: what
    # is there makes up the whole length only if each key stands once, and as itself.
    length = sum([len(key.encode()) + len(value) + 4 for key, value in members.items()])
    if length + 1 != len(raw) and members:
        raise _refusal(where)
    for key, value in members.items():
        name = shape.names.get(key.casefold(), key)
        if name != key:
            raise _refusal(where)
        if key in shape.below:
            _look_below(value, shape.below[key], f"{where}/{key}")


def _look_below(raw: msgspec.Raw, shape: Shape, where: str) -> None:
    kind = bytes(memoryview(raw)[:1])
    if kind == b"{":
        _look(raw, shape, where)
    elif kind == b"[":
        for at, item in enumerate(_ITEMS.decode(raw)):
            _look_below(item, shape, f"{where}/{at}")


def _refusal(where: str) -> DuplicateKey:
    return DuplicateKey(
        f"a key stands twice, or in another form than Kubernetes gives it, in {where or '/'}: no "
        "API server writes that, find out who called imagegate"
    )
