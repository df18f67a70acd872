"""What the rules file's registries are to Anchore: one record a host, or a part of one.

Anchore knows a whole host, one repository, or what begins with a text (`registry.corp/team/*`);
our patterns know more (docs/policies.md).
"""

import msgspec

from shared.domain.rules import RegistryRule, Rules

ANY = "imagegate"
"""Stands for any name in the path of a repository, to find the login for it."""

WILDCARDS = frozenset("*?")


class Wanted(msgspec.Struct, frozen=True):
    """One record that Anchore should have."""

    registry: str
    """As Anchore writes it."""
    entry: RegistryRule
    path: str
    """A repository that it is for."""


class Unsaid(msgspec.Struct, frozen=True):
    """What of the rules Anchore cannot be told, and why."""

    what: str
    why: str
    matters: bool = True
    """False: nobody misses it."""


def wanted_of(rules: Rules) -> tuple[tuple[Wanted, ...], tuple[Unsaid, ...]]:
    """In the rules' order; of two that come to the same for Anchore the first."""
    wanted: dict[str, Wanted] = {}
    unsaid: list[Unsaid] = []
    for entry in rules.registries:
        if not rules.allows_registry(entry.host):
            why = "is not in allowRegistries: no image of it is judged"
            unsaid.append(Unsaid(entry.host, why, matters=False))
            continue
        for pattern in [glob.pattern for glob in entry.repositories] or ["**"]:
            one = _wanted(entry, pattern)
            if one is None:
                why = "Anchore knows a * at the end alone: name the repositories one by one"
                unsaid.append(Unsaid(f"{entry.host}/{pattern}", why))
            elif wanted.setdefault(one.registry, one).entry is not entry:
                why = f"is {one.registry} to Anchore, as another entry above is: make one of them"
                unsaid.append(Unsaid(f"{entry.host}/{pattern}", why))
    return tuple(wanted.values()), tuple(unsaid)


def accounts_of(rules: Rules) -> tuple[str, ...]:
    """The accounts that the rules ask questions in; empty: that of the credentials."""
    asking = [rule.policy.account for rule in (*rules.rules, rules.default) if rule.asks]
    return tuple(dict.fromkeys(asking))


def _wanted(entry: RegistryRule, pattern: str) -> Wanted | None:
    """Anchore's `*` stands for anything: what is below, and below that."""
    beginning = pattern.rstrip("*")
    if WILDCARDS & set(beginning):
        return None
    if not beginning:
        return Wanted(entry.host, entry, ANY)
    wild = beginning != pattern
    registry = f"{entry.host}/{beginning}{'*' if wild else ''}"
    return Wanted(registry, entry, f"{beginning}{ANY}" if wild else beginning)
