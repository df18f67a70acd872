"""What is asked about images that run: as a review asked, as far as that is known."""

from collections.abc import Mapping
from typing import Any

import pytest

from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import parse_reference
from shared.domain.rules import MAX_QUESTIONS, Match, Mode, PolicyChoice, Rule, Rules
from shared.domain.running import questions_of
from shared.domain.scope import Occasion, RuleBook

IMAGE = parse_reference("registry.corp/team/app:1")


def rule(name: str, *, mode: Mode = Mode.ENFORCE, **match: Any) -> Rule:
    return Rule(name, mode, policy=PolicyChoice(id=name), match=Match(**match))


def asked(
    *rules: Rule,
    labels: Mapping[str, str] | None = None,
    namespace_labels: Mapping[str, str] | None = None,
) -> list[str]:
    where = Occasion("team", "", "Pod", labels or {}, {}, namespace_labels)
    found = questions_of(Rules(rules=rules), IMAGE, where, scanner="anchore")
    return [question.policy for question in found]


def test_without_rules_the_default_asks() -> None:
    assert asked() == [""]


def test_the_first_rule_that_is_about_it_asks_and_no_other() -> None:
    elsewhere = rule("elsewhere", namespaces=(Glob("shop"),))
    other = rule("other", images=(ImagePattern("docker.io/**"),))
    assert asked(elsewhere, other, rule("mine", namespaces=(Glob("te*"),)), rule("last")) == [
        "mine"
    ]


def test_a_rule_that_needs_no_verdict_asks_nothing_and_ends_it() -> None:
    assert asked(rule("free", mode=Mode.ALLOW), rule("last")) == []
    assert asked(rule("never", mode=Mode.DENY), rule("last")) == []


def test_of_rules_about_users_each_may_have_decided() -> None:
    """Who made the pod is not known any more."""
    assert asked(rule("ci", users=(Glob("ci"),)), rule("rest"), rule("last")) == ["ci", "rest"]


def test_labels_of_the_namespace_choose_where_they_are_known() -> None:
    prod = rule("prod", namespace_labels=(("tier", "prod"),))
    assert asked(prod, rule("rest"), namespace_labels={"tier": "prod"}) == ["prod"]
    assert asked(prod, rule("rest"), namespace_labels={"tier": "test"}) == ["rest"]


def test_where_labels_of_the_namespace_are_not_known_each_may_have_decided() -> None:
    prod = rule("prod", namespace_labels=(("tier", "prod"),))
    assert asked(prod, rule("rest")) == ["prod", "rest"]


@pytest.mark.parametrize(("labels", "adds"), [({"pci": "true"}, ["", "pci"]), ({}, [""])])
def test_rules_about_what_an_author_wrote_add(labels: dict[str, str], adds: list[str]) -> None:
    assert asked(rule("pci", labels=(("pci", "true"),)), labels=labels) == adds


def test_a_rule_about_other_kinds_adds_nothing_to_a_pod() -> None:
    assert asked(rule("jobs", kinds=("Job",)), rule("pods", kinds=("Pod",))) == ["", "pods"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"namespaces": (Glob("shop"),)},
        {"images": (ImagePattern("docker.io/**"),)},
        {"namespace_labels": (("tier", "prod"),)},
    ],
)
def test_a_rule_that_adds_elsewhere_adds_nothing_here(elsewhere: dict[str, Any]) -> None:
    pci = rule("pci", labels=(("pci", "true"),), **elsewhere)
    assert asked(pci, labels={"pci": "true"}, namespace_labels={"tier": "test"}) == [""]


def test_a_rule_that_adds_may_hold_where_labels_of_the_namespace_are_not_known() -> None:
    pci = rule("pci", labels=(("pci", "true"),), namespace_labels=(("tier", "prod"),))
    assert asked(pci, labels={"pci": "true"}) == ["", "pci"]


def test_no_image_is_asked_about_without_end() -> None:
    many = [rule(f"p{at}", users=(Glob("ci"),)) for at in range(2 * MAX_QUESTIONS)]
    assert len(asked(*many)) == MAX_QUESTIONS


@pytest.mark.parametrize("labels", [{"tier": "prod"}, {"tier": "test"}, {}])
@pytest.mark.parametrize("written", [{"pci": "true"}, {}])
def test_what_a_review_asks_is_among_it(labels: dict[str, str], written: dict[str, str]) -> None:
    """Whoever made the pod: a use has the key that the webhook gave it."""
    rules = Rules(
        rules=(
            rule("ci", users=(Glob("ci"),)),
            rule("prod", namespace_labels=(("tier", "prod"),)),
            rule("pci", labels=(("pci", "true"),)),
            rule("jobs", kinds=("Job",)),
            rule("team", namespaces=(Glob("team"),)),
        )
    )
    for user in ("ci", "ada"):
        occasion = Occasion("team", user, "Pod", written, {}, labels)
        ruling = RuleBook(rules).scope(occasion).ruling(IMAGE)
        asks = {each.question(scanner="anchore") for each in ruling.rules if each.asks}
        assert asks <= set(questions_of(rules, IMAGE, occasion, scanner="anchore"))
