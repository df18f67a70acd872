"""Which entry of the rules is about a reference."""

import pytest

from shared.domain.glob import Glob
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules

WIDE = RegistryRule(
    "ghcr.io",
    (Glob("team-a/**", path=True), Glob("x-very-long-pattern/**", path=True)),
    credentials="wide",
)
NARROW = RegistryRule("ghcr.io", (Glob("team-a/app/**", path=True),), credentials="narrow")
WHOLE = RegistryRule("ghcr.io", credentials="whole", immutable_tags=(Glob("v*"),))


@pytest.mark.parametrize("order", [(WIDE, NARROW, WHOLE), (WHOLE, NARROW, WIDE)])
@pytest.mark.parametrize(
    ("written", "credentials"),
    [
        ("ghcr.io/team-a/app/web:1", "narrow"),
        ("ghcr.io/team-a/other:1", "wide"),
        ("ghcr.io/team-b/app:1", "whole"),
        ("quay.io/team-a/app:1", ""),
    ],
)
def test_credentials_come_from_the_entry_whose_matching_pattern_is_longest(
    order: tuple[RegistryRule, ...], written: str, credentials: str
) -> None:
    rules = Rules(registries=order)
    assert rules.registry_for(parse_reference(written)).credentials == credentials


def test_a_tag_is_immutable_where_its_registrys_entry_says_so() -> None:
    rules = Rules(registries=(WHOLE,))
    assert rules.immutable(parse_reference("ghcr.io/a/b:v1"))
    assert not rules.immutable(parse_reference("ghcr.io/a/b:latest"))
    assert not rules.immutable(parse_reference("ghcr.io/a/b@sha256:" + "a" * 64))
    assert not rules.immutable(parse_reference("quay.io/a/b:v1"))


def test_an_empty_allow_list_allows_every_registry() -> None:
    assert Rules().allows_registry("quay.io")
    assert not Rules(allow_registries=("ghcr.io",)).allows_registry("quay.io")
