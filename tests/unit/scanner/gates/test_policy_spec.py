"""Names, parameters and values are those of Engine's own policy spec."""

import json
from typing import Any

import pytest

from services.scanner.gates.table import ENDED, NOT_HERE, TRIGGERS
from tests.unit.scanner.samples import DATA, bundle_of, read, rule

SPEC: list[dict[str, Any]] = json.loads((DATA / "agreement" / "policy-spec.json").read_bytes())
ACTIVE = {gate["name"]: gate for gate in SPEC if gate["state"] == "active"}
KNOWN = [
    (gate, trigger["name"], trigger)
    for gate, spec in ACTIVE.items()
    for trigger in spec["triggers"]
    if trigger["name"] in TRIGGERS.get(gate, {})
]
NAMES = [f"{gate}-{name}" for gate, name, _ in KNOWN]


def test_all_triggers_are_engines() -> None:
    ours = {(gate, name) for gate, triggers in TRIGGERS.items() for name in triggers}

    assert ours == {(gate, name) for gate, name, _ in KNOWN}


def test_what_engine_has_and_we_have_not_is_named_with_a_reason() -> None:
    missing = {
        (gate, trigger["name"]) for gate, spec in ACTIVE.items() for trigger in spec["triggers"]
    } - {(gate, name) for gate, name, _ in KNOWN}

    whole = {(gate, "") for gate, _ in missing if gate not in TRIGGERS}
    assert {one for one in missing if one[0] in TRIGGERS} | whole == NOT_HERE.keys()


def test_gates_at_their_end_are_those_of_engine() -> None:
    assert {
        gate["name"]: gate["superceded_by"] or "" for gate in SPEC if gate["state"] == "eol"
    } == ENDED


@pytest.mark.parametrize(("gate", "name", "spec"), KNOWN, ids=NAMES)
def test_parameters_are_engines_and_required_where_they_are_there(
    gate: str, name: str, spec: dict[str, Any]
) -> None:
    ours = {name: param.required for name, param in TRIGGERS[gate][name].params.items()}

    assert ours == {one["name"]: one["required"] for one in spec["parameters"]}


@pytest.mark.parametrize(("gate", "name", "spec"), KNOWN, ids=NAMES)
def test_words_that_engine_takes_are_taken_and_no_others(
    gate: str, name: str, spec: dict[str, Any]
) -> None:
    for parameter in spec["parameters"]:
        param = TRIGGERS[gate][name].params[parameter["name"]]
        words = parameter["criteria"].get("enum", ())
        for word in words:
            param.read(word)
        if words:
            with pytest.raises(ValueError, match="must be one of"):
                param.read("nosuch")


@pytest.mark.parametrize(("gate", "name", "spec"), KNOWN, ids=NAMES)
def test_a_rule_of_engines_own_examples_is_taken(
    gate: str, name: str, spec: dict[str, Any]
) -> None:
    """But for the example `from`, which Engine's own check refuses."""
    examples = {one["name"]: one["example"] or "7.5" for one in spec["parameters"]}
    if examples.get("instruction") == "from":
        examples["instruction"] = "FROM"

    (policy,) = read(bundle_of(rule(gate, name, **examples))).policies.values()
    assert policy.rules[0].name == name
