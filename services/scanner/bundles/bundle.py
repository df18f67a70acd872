"""Policy bundles: checked whole when they are pushed, nothing of them ever half applied.

Whatever the scanner does not know (gate, trigger, parameter, action, a form of mapping or
whitelist) is refused by name.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from services.scanner.bundles.problems import InvalidBundle, Problem
from services.scanner.bundles.rules import Policy, read_policy
from services.scanner.bundles.selection import selection_problems
from services.scanner.bundles.shapes import (
    VERSION,
    WrittenBundle,
    WrittenMapping,
    WrittenSelection,
    read_json,
    read_shape,
)
from services.scanner.bundles.whitelists import Whitelist, item_problems

MAX_BUNDLE = 1024 * 1024


class Bundle(msgspec.Struct, frozen=True):
    """A bundle that can be applied: its patterns compiled, its parameters read."""

    id: str
    name: str
    policies: Mapping[str, Policy]
    whitelists: Mapping[str, Whitelist]
    mappings: tuple[WrittenMapping, ...]
    whitelisted_images: tuple[WrittenSelection, ...]
    blacklisted_images: tuple[WrittenSelection, ...]
    written: dict[str, Any]
    """As it was pushed."""


@lru_cache(maxsize=16)
def read_bundle(text: bytes) -> Bundle:
    """Raises NoBundle or InvalidBundle. One that was read before is not read again."""
    raw = read_json(text)
    written = read_shape(raw)
    problems = [*_problems(written)]
    policies: list[Policy] = []
    for policy in written.policies:
        read = read_policy(policy)
        if isinstance(read, Policy):
            policies.append(read)
        else:
            problems += read
    if problems:
        raise InvalidBundle(problems)
    return Bundle(
        id=written.id,
        name=written.name,
        policies={policy.id: policy for policy in policies},
        whitelists={one.id: Whitelist(one) for one in written.whitelists},
        mappings=written.mappings,
        whitelisted_images=written.whitelisted_images,
        blacklisted_images=written.blacklisted_images,
        written=raw,
    )


def _problems(bundle: WrittenBundle) -> Iterator[Problem]:
    """All but those of rules."""
    yield from _versions(bundle)
    if not bundle.id:
        yield Problem("ValidationError", "A bundle needs an id")
    yield from _duplicates("policy", [policy.id for policy in bundle.policies])
    yield from _duplicates("whitelist", [whitelist.id for whitelist in bundle.whitelists])
    for whitelist in bundle.whitelists:
        for item in whitelist.items:
            yield from item_problems(item)
    for mapping in bundle.mappings:
        yield from selection_problems(mapping, f"(mapping_id={mapping.id})")
        yield from _reference_problems(mapping, bundle)
    for kind, entries in (
        ("whitelisted_images", bundle.whitelisted_images),
        ("blacklisted_images", bundle.blacklisted_images),
    ):
        for entry in entries:
            yield from selection_problems(entry, f"({kind}={entry.id})")


def _versions(bundle: WrittenBundle) -> Iterator[Problem]:
    parts: Iterable[tuple[str, str]] = [
        (f"bundle {bundle.id}", bundle.version),
        *((f"policy {one.id}", one.version) for one in bundle.policies),
        *((f"whitelist {one.id}", one.version) for one in bundle.whitelists),
    ]
    for what, version in parts:
        if version != VERSION:
            yield Problem(
                "UnsupportedVersionError",
                f"Found version {version} of the {what}, expected version {VERSION}",
            )


def _duplicates(what: str, ids: list[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            yield Problem(
                "DuplicateIdentifierFoundError",
                "Object identifier found multiple times, not unique "
                f"(identifier={one},identifier_type={what})",
            )
        seen.add(one)


def _reference_problems(mapping: WrittenMapping, bundle: WrittenBundle) -> Iterator[Problem]:
    if mapping.policy_id and mapping.policy_ids:
        yield Problem(
            "ValidationError",
            "Cannot specify both policy_id and policy_ids properties in mapping rule, must use one "
            f"or the other (mapping_id={mapping.id})",
        )
    if not mapping.policies:
        yield Problem(
            "ValidationError",
            f"No policy_id or policy_ids property found for mapping rule (mapping_id={mapping.id})",
        )
    known = {
        "policy": {one.id for one in bundle.policies},
        "whitelist": {one.id for one in bundle.whitelists},
    }
    for kind, ids in (("policy", mapping.policies), ("whitelist", mapping.whitelist_ids)):
        for one in ids:
            if one not in known[kind]:
                yield Problem(
                    "ReferencedObjectNotFoundError",
                    f"Referenced object not found (reference_type={kind},reference_id={one})",
                )
