"""Which entry of the rules is about a reference, what is asked about it, which rule is wider."""

import msgspec
import pytest

from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import parse_reference
from shared.domain.rules import (
    MAX_QUESTIONS,
    Match,
    Mode,
    PolicyChoice,
    RegistryRule,
    Requirement,
    Rule,
    Rules,
)
from shared.domain.verdict import Question

MATCH_ALL = Match()
OTHER = PolicyChoice("other", "other")

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


def enforcing(name: str, match: Match = MATCH_ALL, **more: object) -> Rule:
    return msgspec.structs.replace(Rule(name=name, match=match), **more)


def test_an_image_is_asked_about_by_each_rule_that_may_be_about_it() -> None:
    payments = PolicyChoice("payments", "strict")
    rules = Rules(
        rules=(
            enforcing("payments", Match(namespaces=(Glob("payments"),)), policy=payments),
            enforcing("analysed", Match(kinds=("Pod",)), require=Requirement.ANALYSIS),
            enforcing("elsewhere", Match(images=(ImagePattern("quay.io/**"),)), policy=OTHER),
            enforcing("again", Match(users=(Glob("x"),)), policy=payments),
            enforcing("allowed", Match(namespaces=(Glob("x"),)), mode=Mode.ALLOW, policy=OTHER),
            enforcing("denied", Match(namespaces=(Glob("y"),)), mode=Mode.DENY, policy=OTHER),
        )
    )
    asked = rules.questions(parse_reference("ghcr.io/a/b"), scanner="ours")
    assert asked == (
        Question("payments", "strict", "policy", "ours"),
        Question("", "", "analysis", "ours"),
        Question("", "", "policy", "ours"),
    )
    assert len(rules.questions(parse_reference("quay.io/a/b"), scanner="ours")) == 4


def test_an_image_is_asked_about_a_few_times_at_most() -> None:
    rules = Rules(
        rules=tuple(
            enforcing(f"r{number}", policy=PolicyChoice(id=f"p{number}")) for number in range(50)
        )
    )
    asked = rules.questions(parse_reference("a.b/c"), scanner="ours")
    assert [question.policy for question in asked] == [f"p{at}" for at in range(MAX_QUESTIONS)]


def test_nobody_is_asked_where_all_is_allowed_or_denied() -> None:
    rules = Rules(default=Rule(mode=Mode.DENY), rules=(enforcing("x", mode=Mode.ALLOW),))
    assert rules.questions(parse_reference("a.b/c"), scanner="ours") == ()


@pytest.mark.parametrize(
    ("match", "by_author"),
    [
        (MATCH_ALL, False),
        (Match(namespaces=(Glob("a"),), users=(Glob("b"),), images=(ImagePattern("**"),)), False),
        (Match(namespace_labels=(("tier", "prod"),)), False),
        (Match(labels=(("pci", "true"),)), True),
        (Match(annotations=(("pci", "true"),)), True),
        (Match(kinds=("Job",), namespaces=(Glob("a"),)), True),
    ],
)
def test_what_an_author_writes_is_known_for_it(match: Match, by_author: bool) -> None:
    assert match.by_author is by_author


TEAM, TEAMS = Glob("team-a"), Glob("team-*")
LABELS = (("tier", "prod"), ("zone", "b"))


@pytest.mark.parametrize(
    ("wide", "narrow", "contains"),
    [
        (MATCH_ALL, Match(namespaces=(TEAM,), kinds=("Pod",)), True),
        (Match(namespaces=(TEAM,)), MATCH_ALL, False),
        (Match(namespaces=(Glob("*"),)), MATCH_ALL, True),
        (Match(images=(ImagePattern("**"),)), Match(users=(Glob("x"),)), True),
        (Match(namespaces=(TEAMS,)), Match(namespaces=(TEAM, Glob("team-b"))), True),
        (Match(namespaces=(TEAMS,)), Match(namespaces=(TEAM, Glob("other"))), False),
        (Match(namespaces=(TEAM, Glob("b"))), Match(namespaces=(TEAM,)), True),
        (Match(namespaces=(TEAM,)), Match(namespaces=(TEAM,), users=(Glob("x"),)), True),
        (Match(namespaces=(TEAM,), users=(Glob("x"),)), Match(namespaces=(TEAM,)), False),
        (Match(namespace_labels=LABELS[:1]), Match(namespace_labels=LABELS), True),
        (Match(namespace_labels=LABELS), Match(namespace_labels=LABELS[:1]), False),
        (Match(kinds=("Pod", "Job")), Match(kinds=("Job",)), True),
        (Match(kinds=("Pod",)), MATCH_ALL, False),
    ],
)
def test_a_match_contains_another_where_that_is_plain_to_see(
    wide: Match, narrow: Match, contains: bool
) -> None:
    assert wide.contains(narrow) is contains
    assert narrow.contains(narrow)
