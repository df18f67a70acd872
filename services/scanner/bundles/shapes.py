"""A policy bundle as it is written: the keys there are, and nothing else.

Shapes: docs/design/anchore-engine.md 7. A key that is not here is refused by its name, and so
is one that is there twice, wherever it stands.
"""

import json
from collections import Counter
from typing import Any

import msgspec

from services.scanner.bundles.problems import InvalidBundle, NoBundle, Problem

VERSION = "1_0"


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a bundle, all of whose keys are known."""


class WrittenParam(_Known, frozen=True):
    """A parameter."""

    name: str
    value: str


class WrittenRule(_Known, frozen=True):
    """What must not be found, and what follows when it is."""

    gate: str
    trigger: str
    action: str
    params: tuple[WrittenParam, ...] = ()
    id: str = ""


class WrittenPolicy(_Known, frozen=True):
    """A list of rules."""

    id: str
    rules: tuple[WrittenRule, ...]
    version: str = VERSION
    name: str = ""
    comment: str = ""


class WrittenItem(_Known, frozen=True):
    """A finding that does not count; `*` may end the trigger id."""

    gate: str
    trigger_id: str
    id: str = ""
    expires_on: str = ""
    """RFC 3339; from then on it counts again. Empty: never."""


class WrittenWhitelist(_Known, frozen=True):
    """Findings that do not count."""

    id: str
    items: tuple[WrittenItem, ...] = ()
    version: str = VERSION
    name: str = ""
    comment: str = ""


class WrittenImage(_Known, frozen=True):
    """The last part of a selection: a tag pattern, a digest or an image id."""

    type: str
    value: str


class WrittenSelection(_Known, frozen=True):
    """Which images an entry is for; in registry, repository and tag `*` stands for anything."""

    registry: str
    repository: str
    image: WrittenImage
    id: str = ""
    name: str = ""


class WrittenMapping(WrittenSelection, frozen=True):
    """A selection, and the policies and whitelists that are for it."""

    policy_id: str | None = None
    policy_ids: tuple[str, ...] = ()
    whitelist_ids: tuple[str, ...] = ()

    @property
    def policies(self) -> tuple[str, ...]:
        """The ids of its policies."""
        return self.policy_ids or ((self.policy_id,) if self.policy_id else ())


class WrittenBundle(_Known, frozen=True):
    """A whole bundle."""

    id: str
    version: str
    policies: tuple[WrittenPolicy, ...]
    mappings: tuple[WrittenMapping, ...]
    name: str = ""
    comment: str = ""
    description: str = ""
    whitelists: tuple[WrittenWhitelist, ...] = ()
    whitelisted_images: tuple[WrittenSelection, ...] = ()
    blacklisted_images: tuple[WrittenSelection, ...] = ()
    active: bool | None = None
    """Written into the bundle by Engine itself, and its `last_updated` too: no part of it."""
    last_updated: Any = None


def read_json(text: bytes) -> dict[str, Any]:
    """The bundle's JSON. Raises NoBundle, and InvalidBundle for a key that is there twice: who
    reads it with another program would read another bundle."""
    twice: dict[str, None] = {}

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        part = dict(found)
        if len(part) < len(found):
            counts = Counter(key for key, _ in found)
            twice.update((key, None) for key, count in counts.items() if count > 1)
        return part

    try:
        msgspec.json.decode(text)
        raw = json.loads(text, object_pairs_hook=pairs)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise NoBundle(f"Request body is not valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise NoBundle(f"{type(raw).__name__} is not of type 'object'")
    if twice:
        raise InvalidBundle(
            [Problem("ValidationError", f"The key {key!r} is there twice") for key in twice]
        )
    return raw


def read_shape(raw: dict[str, Any]) -> WrittenBundle:
    """Raises NoBundle or InvalidBundle."""
    for key in ("id", "version", "policies", "mappings"):
        if key not in raw:
            raise NoBundle(f"'{key}' is a required property")
    try:
        return msgspec.convert(raw, WrittenBundle)
    except msgspec.ValidationError as error:
        raise InvalidBundle([Problem("ValidationError", f"Not supported: {error}")]) from error
