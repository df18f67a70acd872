"""What selectors become: which rules, in which order, and what is said of them."""

from collections.abc import Mapping

import pytest

from services.cli.rules.controller.files import Controller, Selector
from services.cli.rules.controller.importing import import_controller
from services.cli.rules.controller.outcome import Imported, State
from services.cli.rules.controller.targets import Ask, Target

PERHAPS = {"kinds"}


def selector(number: int, kind: str, value: str, mode: str, **more: str) -> Selector:
    told = {"key": "name", "user": "shop", "bundle": "b"} | more
    return Selector(number=number, kind=kind, value=value, mode=mode, **told)


def became(
    *selectors: Selector, users: frozenset[str] | None = None, analysed: bool = False
) -> Imported:
    controller = Controller(selectors, request_analysis=analysed, users=users)
    return import_controller(controller, accounts={})


def rules(imported: Imported) -> dict[str, Mapping[str, object]]:
    return {rule.name: rule.terms for each in imported.became for rule in each.rules}


def told(imported: Imported, number: int) -> str:
    return "; ".join(next(each.why for each in imported.became if each.number == number))


def states(imported: Imported) -> list[State]:
    return [each.state for each in imported.became]


POLICY, ANALYSIS = Target(Ask.POLICY, "shop", "b"), Target(Ask.ANALYSIS, "shop", "b")
NEVER, NOTHING = Target(Ask.NEVER), Target(Ask.NOTHING, "shop")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (POLICY, POLICY),
        (POLICY, ANALYSIS),
        (POLICY, Target(Ask.ANALYSIS, "shop", "other")),
        (NEVER, POLICY),
        (NEVER, NEVER),
        (NOTHING, NOTHING),
        (POLICY, Target(Ask.NOTHING, "cache")),
    ],
)
def test_what_is_asked_includes_what_is_less(one: Target, other: Target) -> None:
    assert one.implies(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ANALYSIS, POLICY),
        (POLICY, NEVER),
        (NOTHING, ANALYSIS),
        (POLICY, Target(Ask.POLICY, "shop", "other")),
        (POLICY, Target(Ask.POLICY, "cache", "b")),
        (POLICY, Target(Ask.ANALYSIS, "cache", "b")),
        (Target(Ask.ANYTHING), Target(Ask.POLICY)),
        (Target(Ask.ANYTHING), Target(Ask.ANYTHING)),
    ],
)
def test_what_is_asked_of_another_user_or_policy_is_something_else(
    one: Target, other: Target
) -> None:
    assert not one.implies(other)


@pytest.mark.parametrize(
    ("mode", "analysed", "terms"),
    [
        ("policy", False, {"mode": "enforce", "require": "policy", "policy": {"id": "b"}}),
        ("analysis", False, {"mode": "enforce", "require": "analysis"}),
        ("breakglass", True, {"mode": "audit", "require": "policy", "policy": {"id": "b"}}),
        ("breakglass", False, {"mode": "allow"}),
        ("Policy", False, {"mode": "deny"}),
        ("", True, {"mode": "deny"}),
    ],
)
def test_each_mode_is_what_a_rule_asks_and_what_default_asks(
    mode: str, analysed: bool, terms: Mapping[str, object]
) -> None:
    first = selector(1, "namespace", "^prod$", mode)
    every = selector(1, "image", ".*", mode)
    last = selector(2, "image", ".*", "analysis")
    assert rules(became(first, last, analysed=analysed))["selector 1"] == terms
    assert became(every, analysed=analysed).default == terms


def test_what_no_selector_matches_is_enforced() -> None:
    for imported in (became(), became(selector(1, "namespace", "^prod$", "breakglass"))):
        assert imported.default == {"mode": "enforce"}
        assert imported.became[-1].state is State.STRICTER
        assert not imported.kept


@pytest.mark.parametrize("mode", ["policy", "analysis", "breakglass"])
@pytest.mark.parametrize("users", [frozenset[str](), frozenset({"cache"})])
def test_whom_credentials_have_not_is_refused_and_no_credentials_at_all_is_nobody(
    users: frozenset[str], mode: str
) -> None:
    imported = became(selector(1, "image", ".*", mode), users=users)
    assert imported.default == {"mode": "deny"}
    assert "credentials.json has no user 'shop'" in told(imported, 1)


@pytest.mark.parametrize("users", [None, frozenset({"shop", ""})])
def test_a_selector_that_names_no_user_refused_all_of_it(users: frozenset[str] | None) -> None:
    imported = became(selector(1, "image", ".*", "policy", user=""), users=users)
    assert imported.default == {"mode": "deny"}
    assert "it names no user" in told(imported, 1)


@pytest.mark.parametrize("user", ["", "ghost"])
@pytest.mark.parametrize(
    ("mode", "state"),
    [
        ("breakglass", State.STRICTER),
        ("policy", State.KEPT),
        ("analysis", State.KEPT),
        ("sleep", State.KEPT),
    ],
)
def test_whom_only_earlier_releases_let_in_is_told_to_be_refused_now(
    mode: str, state: State, user: str
) -> None:
    one = selector(1, "image", r"^quay\.io/", mode, user=user)
    every = selector(2, "image", ".*", mode, user=user)
    imported = became(one, every, users=frozenset({"shop"}))
    assert states(imported) == [state, state]
    for number in (1, 2):
        assert ("earlier releases" in told(imported, number)) is (state is State.STRICTER)
    assert rules(imported)["selector 1"] == imported.default == {"mode": "deny"}


def test_one_user_alone_is_the_login_and_of_two_each_is_an_account() -> None:
    first = selector(1, "namespace", "^a$", "analysis", user="cache")
    same = became(first, selector(2, "image", ".*", "policy", user="cache"))
    assert same.accounts == {"cache": ""}
    two = became(first, selector(2, "image", ".*", "policy"))
    assert rules(two)["selector 1"]["policy"] == {"account": "cache"}
    assert two.default["policy"] == {"account": "shop", "id": "b"}


def test_who_is_refused_anyway_is_no_second_user() -> None:
    refused = selector(1, "namespace", "^a$", "policy", user="ghost")
    imported = became(
        refused, selector(2, "image", ".*", "policy"), users=frozenset({"shop", "cache"})
    )
    assert imported.accounts == {"shop": ""}
    assert imported.default["policy"] == {"id": "b"}


def test_what_an_author_writes_adds_and_never_lets_in() -> None:
    for kind in ("resource", "pod"):
        every = selector(2, "image", ".*", "analysis")
        asks = became(selector(1, kind, "^true$", "policy", key="^pci$"), every)
        matches = {rule.name: rule.match for rule in asks.became[0].rules}
        assert matches["selector 1, labels"] == {"labels": {"pci": "true"}}
        assert matches["selector 1, annotations"] == {"annotations": {"pci": "true"}}
        assert all(rule.adds for rule in asks.became[0].rules)
        lets = became(selector(1, kind, "^true$", "breakglass", key="^pci$"), every)
        assert rules(lets) == {}
        assert lets.became[0].state is State.STRICTER


def test_a_pod_selector_may_be_about_images_too() -> None:
    # Later releases of the controller compare the value with the image.
    imported = became(
        selector(1, "pod", r"^quay\.io/", "policy", key="^app$"),
        selector(2, "image", ".*", "analysis"),
    )
    matches = [rule.match for rule in imported.became[0].rules if set(rule.match) >= PERHAPS]
    assert [match.get("images") for match in matches] == [None]
    imported = became(
        selector(1, "pod", "^quay$", "policy", key="^app$"),
        selector(2, "image", ".*", "analysis"),
    )
    matches = [rule.match for rule in imported.became[0].rules if set(rule.match) >= PERHAPS]
    assert [match.get("images") for match in matches] == [["docker.io/library/quay"]]
    assert "releases before 0.3.0" in told(imported, 1)


def test_what_it_may_be_about_is_asked_on_top_unless_what_follows_asks_as_much() -> None:
    tagged = selector(1, "image", r"^quay\.io/app:", "policy")
    analysis, policy = (selector(2, "image", ".*", mode) for mode in ("analysis", "policy"))
    asked = became(tagged, analysis)
    (rule,) = asked.became[0].rules
    assert (rule.name, rule.adds) == ("selector 1, perhaps", True)
    assert rule.match["images"] == ["quay.io/app"]
    assert "adds is asked here too" in told(asked, 2)
    assert states(asked) == [State.STRICTER, State.STRICTER]
    assert rules(became(tagged, policy)) == {}
    other = selector(2, "image", ".*", "policy", user="cache")
    assert "selector 1, perhaps" in rules(became(tagged, other))


def test_a_laxer_selector_anywhere_below_has_it_asked_on_top() -> None:
    tagged = selector(1, "image", r"^quay\.io/app:", "policy")
    lax = selector(2, "namespace", "^dev$", "breakglass")
    assert "selector 1, perhaps" in rules(became(tagged, lax, selector(3, "image", "", "policy")))
    assert "selector 1, perhaps" in rules(became(tagged))


def test_what_lets_in_is_only_about_what_it_surely_is() -> None:
    every = selector(2, "image", ".*", "policy")
    tagged = became(selector(1, "image", r"^quay\.io/app:", "breakglass"), every)
    assert rules(tagged) == {}
    assert "left out" in told(tagged, 1)
    named = became(selector(1, "image", "nginx", "breakglass"), every)
    (rule,) = named.became[0].rules
    assert rule.match == {"images": ["**/*nginx*", "**/*nginx*/**"]}
    assert "only what it surely matches is let in" in told(named, 1)
    assert states(named)[0] is State.STRICTER


def test_what_rules_above_are_all_about_is_never_reached() -> None:
    imported = became(
        selector(1, "image", r"^quay\.io/", "analysis"),
        selector(2, "image", r"^quay\.io/team/", "policy"),
        selector(3, "image", ".*", "policy"),
    )
    assert list(rules(imported)) == ["selector 1"]
    assert "never reached" in told(imported, 2)


def test_what_follows_a_selector_for_everything_is_never_reached() -> None:
    imported = became(
        selector(1, "image", ".*", "breakglass"), selector(2, "namespace", "^prod$", "policy")
    )
    assert rules(imported) == {}
    assert imported.default == {"mode": "allow"}
    assert told(imported, 2) == "never reached: selector 1 matches everything"


@pytest.mark.parametrize("kind", ["namespace", "image"])
def test_what_nothing_can_match_becomes_no_rule(kind: str) -> None:
    # The namespace cannot be called so, and there is no such image.
    imported = became(selector(1, kind, "^$", "policy"), selector(2, "image", ".*", "analysis"))
    assert rules(imported) == {}


def test_the_same_added_twice_is_added_once() -> None:
    label = selector(1, "resource", "^x$", "policy", key="^app$")
    again = selector(2, "resource", "^x$", "policy", key="^app$")
    stricter = selector(3, "resource", "^x$", "policy", key="^app$", bundle="strict")
    every = selector(4, "image", ".*", "analysis")
    names = list(rules(became(label, again, stricter, every)))
    assert not [name for name in names if name.startswith("selector 2")]
    assert [name for name in names if name.startswith("selector 3")]
    assert "is added above" in told(became(label, again, stricter, every), 2)


def test_labels_of_namespaces_choose_and_their_annotations_are_to_be_looked_at() -> None:
    imported = became(
        selector(1, "namespace", "^gold$", "breakglass", key="^tier$"),
        selector(2, "image", ".*", "policy"),
    )
    (rule,) = imported.became[0].rules
    assert (rule.match, rule.adds) == ({"namespaceLabels": {"tier": "gold"}}, False)
    assert imported.became[0].state is State.CHECK
    assert "make a label of it" in told(imported, 1)


def test_one_selector_that_means_something_else_is_enough_not_to_be_kept() -> None:
    every = selector(2, "image", ".*", "analysis")
    named = became(selector(1, "namespace", "^prod$", "policy"), every)
    assert states(named) == [State.CHECK, State.KEPT]
    assert "only its name is compared" in told(named, 1)
    labelled = became(selector(1, "resource", "^true$", "policy", key="^pci$"), every)
    assert "what an author writes never chooses" in told(labelled, 1)
    assert not named.kept
    assert not labelled.kept
    assert became(every).kept
