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
    bundle: Bundle = msgspec.field(default_factory=dict)
    """Empty where only the list was asked for."""


def bundle_revision(bundle: Bundle) -> str:
    """SHA-256, in hex, of the bundle as JSON with sorted keys and no white space.

    The same content has the same revision whoever stored it, and in whatever order.
    """
    return hashlib.sha256(msgspec.json.encode(bundle, order="sorted")).hexdigest()
