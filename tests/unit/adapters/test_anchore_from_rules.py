"""Which policies ask about the FROM line, in both forms."""

from typing import Any

import pytest

from shared.adapters.anchore.from_rules import applied_by_v1, asks_from
from shared.domain.verdict import Action, Finding

FROM = {
    "gate": "dockerfile",
    "trigger": "instruction",
    "params": [{"name": "check", "value": "like"}, {"name": "instruction", "value": "FROM"}],
}
GIVEN = {"gate": "dockerfile", "trigger": "no_dockerfile_provided", "params": []}
LABEL = FROM | {"params": [{"name": "instruction", "value": "LABEL"}]}
SSH = {"gate": "packages", "trigger": "denylist", "params": [{"name": "name", "value": "FROM"}]}


def rule_set(name: str, *rules: Any) -> dict[str, Any]:
    return {"id": name, "rules": list(rules)}


@pytest.mark.parametrize(
    ("rules", "asks"),
    [
        ([FROM], True),
        ([SSH, FROM], True),
        ([{**FROM, "gate": "Dockerfile "}], True),
        ([FROM | {"params": [{"name": "instruction", "value": " from"}]}], True),
        ([LABEL], False),
        ([SSH], False),
        ([FROM, GIVEN], True),
        ([FROM | {"trigger": "effective_user"}], False),
        ([FROM | {"gate": "files"}], False),
        ([], False),
    ],
)
def test_a_rule_on_from_asks(rules: list[Any], asks: bool) -> None:
    assert asks_from([rule_set("a", *rules)], ("a",)) is asks


def missing(action: Action) -> tuple[Finding, ...]:
    return (Finding("dockerfile", "no_dockerfile_provided", "id", action, "Dockerfile not given"),)


def test_a_finding_that_the_file_is_missing_says_all_unless_it_is_let_go() -> None:
    rules = [rule_set("a", FROM, GIVEN)]
    assert not asks_from(rules, ("a",), missing(Action.STOP))
    assert not asks_from(rules, ("a",), missing(Action.WARN))
    assert asks_from(rules, ("a",), missing(Action.GO))
    assert asks_from(rules, ("a",))


def test_only_what_was_applied_counts() -> None:
    both = [rule_set("a", FROM), rule_set("b", GIVEN), rule_set("c", SSH)]
    assert asks_from(both, ("a",))
    assert asks_from(both, ("a", "c"))
    assert asks_from(both, ("a", "b"))
    assert not asks_from(both, ("c",))
    assert asks_from(both, ())


def test_without_a_mapping_all_count() -> None:
    assert asks_from([rule_set("a", FROM), rule_set("c", SSH)], ())


@pytest.mark.parametrize("odd", [None, "text", 7, {}, [None], [{"rules": 5}], [{"rules": [1]}]])
def test_what_is_no_policy_asks_nothing(odd: Any) -> None:
    assert not asks_from(odd, ())


def test_a_v1_mapping_names_one_policy_or_several() -> None:
    assert applied_by_v1({"policy_id": "a"}) == ("a",)
    assert applied_by_v1({"policy_ids": ["a", "b"]}) == ("a", "b")
    assert applied_by_v1({}) == ()
