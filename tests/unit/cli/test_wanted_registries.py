"""What a pattern of ours is to Anchore, or that it is nothing to it."""

import pytest

from services.cli.registries.wanted import accounts_of, wanted_of
from shared.domain.glob import Glob
from shared.domain.rules import Mode, PolicyChoice, RegistryRule, Rule, Rules


def entry(*patterns: str, host: str = "r.corp") -> RegistryRule:
    return RegistryRule(host, repositories=tuple(Glob(one, path=True) for one in patterns))


@pytest.mark.parametrize(
    ("pattern", "registry", "path"),
    [
        ("team/app", "r.corp/team/app", "team/app"),
        ("team/**", "r.corp/team/*", "team/imagegate"),
        ("team/*", "r.corp/team/*", "team/imagegate"),
        ("team-*", "r.corp/team-*", "team-imagegate"),
        ("**", "r.corp", "imagegate"),
        ("*", "r.corp", "imagegate"),
    ],
)
def test_a_pattern_that_ends_in_a_star_is_a_beginning(
    pattern: str, registry: str, path: str
) -> None:
    wanted, unsaid = wanted_of(Rules(registries=(entry(pattern),)))
    assert [(one.registry, one.path) for one in wanted] == [(registry, path)]
    assert unsaid == ()


@pytest.mark.parametrize("pattern", ["*/app", "**/app", "team/*/app", "team-?", "t*/a*"])
def test_what_anchore_cannot_be_told_is_said(pattern: str) -> None:
    wanted, unsaid = wanted_of(Rules(registries=(entry(pattern),)))
    assert wanted == ()
    assert [one.what for one in unsaid] == [f"r.corp/{pattern}"]


def test_an_entry_without_patterns_is_its_host_and_one_with_several_is_each() -> None:
    wanted, unsaid = wanted_of(
        Rules(registries=(entry(host="ghcr.io"), entry("a/**", "a/*", "b/c", host="r.corp:5000")))
    )
    assert [one.registry for one in wanted] == ["ghcr.io", "r.corp:5000/a/*", "r.corp:5000/b/c"]
    assert unsaid == ()


def test_two_entries_that_are_one_to_anchore_are_said_and_the_first_holds() -> None:
    first, second = entry("a/*"), entry("a/**")
    wanted, unsaid = wanted_of(Rules(registries=(first, second)))
    assert [one.entry is first for one in wanted] == [True]
    assert [one.what for one in unsaid] == ["r.corp/a/**"]
    assert "another entry above" in unsaid[0].why


def test_a_registry_that_is_not_allowed_is_nobodys() -> None:
    rules = Rules(registries=(entry(), entry(host="b.corp")), allow_registries=("b.corp",))
    wanted, unsaid = wanted_of(rules)
    assert [one.registry for one in wanted] == ["b.corp"]
    assert [one.what for one in unsaid] == ["r.corp"]


def test_the_accounts_are_those_that_questions_are_asked_in() -> None:
    payments = PolicyChoice(account="payments")
    rules = Rules(
        default=Rule(policy=PolicyChoice(account="shared")),
        rules=(
            Rule(name="a", policy=payments),
            Rule(name="b", policy=payments),
            Rule(name="c", policy=PolicyChoice(account="nobody"), mode=Mode.ALLOW),
        ),
    )
    assert accounts_of(rules) == ("payments", "shared")
    assert accounts_of(Rules()) == ("",)
