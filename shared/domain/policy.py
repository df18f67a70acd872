"""Policy bundles: what a scanner judges by, and the name of one exact content of it."""

import hashlib

import msgspec

Bundle = dict[str, object]
"""A bundle as JSON says it (docs/design/anchore-engine.md 7)."""


class Policy(msgspec.Struct, frozen=True):
    """One policy that a scanner's account holds."""

    id: str
    name: str = ""
    active: bool = False
    changed: str = ""
    """When it was changed last, in the scanner's words."""
    bundle: Bundle = msgspec.field(default_factory=dict)
    """Empty where only the list was asked for."""


BOOKKEEPING = frozenset({"active", "last_updated"})
"""Keys beside a bundle's content that Anchore's answers to POST and PUT add, and its answers to
GET and to a check do not (docs/design/anchore-engine.md 7)."""


def bundle_revision(bundle: Bundle) -> str:
    """SHA-256, in hex, of the bundle as JSON with sorted keys, no white space and no bookkeeping.

    The same content has the same revision whoever stored it, in whatever order, and whichever
    answer it is read from.
    """
    content = {key: value for key, value in bundle.items() if key not in BOOKKEEPING}
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def says_all_of(stored: Bundle, pushed: Bundle) -> bool:
    """Whether `stored` is what was pushed. A server may fill in fields that were left out, with
    nothing in them, and keep its books beside the content."""
    content = {key: value for key, value in stored.items() if key not in BOOKKEEPING}
    wanted = {key: value for key, value in pushed.items() if key not in BOOKKEEPING}
    return _says(content, wanted)


def _says(stored: object, pushed: object) -> bool:
    if isinstance(stored, dict) and isinstance(pushed, dict):
        return all(_says(stored.get(key), value) for key, value in pushed.items()) and not any(
            value for key, value in stored.items() if key not in pushed
        )
    if isinstance(stored, list) and isinstance(pushed, list):
        return len(stored) == len(pushed) and all(map(_says, stored, pushed))
    return stored == pushed or not (stored or pushed)
