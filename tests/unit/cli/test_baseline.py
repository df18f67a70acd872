"""The four rules to start from: the recorded ones, the same in both forms."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.cli.policies.documents import NEEDS, baseline
from services.scanner.bundles.bundle import read_bundle
from shared.domain.policy_forms import Form, converted, form_of

DATA = Path(__file__).parents[2] / "data"
RECORDED: dict[Form, Any] = {
    # What a real Engine took and judged by (docs/design/anchore-engine.md 7), ...
    Form.V1: json.loads((DATA / "scanner" / "baseline-bundle.json").read_bytes()),
    # ... and the example of what Enterprise should take, which nobody ran.
    Form.V2: json.loads((DATA / "anchore-v2" / "policy-v2-baseline.json").read_bytes())["body"],
}


def rules_of(document: Any) -> list[Any]:
    """Without texts that decide nothing."""
    (rule_set,) = document.get("rule_sets") or document["policies"]
    texts = ("description", "recommendation")
    return [{key: rule[key] for key in rule if key not in texts} for rule in rule_set["rules"]]


@pytest.mark.parametrize("form", Form)
def test_it_has_the_recorded_rules_and_judges_every_image(form: Form) -> None:
    document: Any = baseline(form)
    assert form_of(document) is form
    assert rules_of(document) == rules_of(RECORDED[form])
    (mapping,) = document["mappings"]
    assert (mapping["registry"], mapping["repository"]) == ("*", "*")
    assert mapping["image"] == {"type": "tag", "value": "*"}
    assert document.keys() == RECORDED[form].keys()


def test_each_form_is_the_other_one_converted() -> None:
    told = converted(baseline(Form.V2), Form.V1)
    assert told.document == baseline(Form.V1)
    # What is lost on the way is what to do about a finding.
    assert {path.rpartition(".")[2] for path in told.left_out} == {"recommendation"}
    there: Any = converted(baseline(Form.V1), Form.V2).document
    assert rules_of(there) == rules_of(baseline(Form.V2))
    assert {**there, "rule_sets": []} == {**baseline(Form.V2), "rule_sets": []}


def test_the_example_is_the_recorded_one_converted() -> None:
    there = converted(RECORDED[Form.V1], Form.V2).document
    assert rules_of(there) == rules_of(RECORDED[Form.V2])


def test_the_built_in_scanner_takes_it() -> None:
    assert read_bundle(json.dumps(baseline(Form.V1)).encode()).id == "imagegate-baseline"


def test_which_rules_need_a_dockerfile_is_said_by_their_names() -> None:
    ids = {rule["id"] for rule in rules_of(baseline(Form.V1))}
    named = {line.partition(" ")[0] for line in NEEDS}
    assert named == {
        rule["id"] for rule in rules_of(baseline(Form.V1)) if rule["gate"] == "dockerfile"
    }
    assert named <= ids
