"""Mappings, whitelists, final actions, and agreement with what a real Engine answered."""

import json
from typing import Any

import msgspec
import pytest

from services.scanner.bundles.evaluation import Outcome, as_engine_result
from services.scanner.records import Package
from tests.unit.scanner.samples import DATA, TAG, baseline, bundle_of, evaluated, facts, rule

ALWAYS = rule("always", "always")
OPENSSH = Package("openssh-server", "1:9.2p1-2", "deb", "openssh", "1:9.2p1-2")


def mapped(**changes: str) -> dict[str, Any]:
    bundle = bundle_of(ALWAYS)
    mapping = bundle["mappings"][0]
    mapping["image"]["value"] = changes.pop("tag", "*")
    mapping.update(changes)
    return bundle


@pytest.mark.parametrize(
    "patterns",
    [
        {},
        {"registry": "registry.example:5000"},
        {"registry": "*.example:*", "repository": "team/*", "tag": "1.*"},
        {"repository": "*app", "tag": "1.0"},
        {"repository": "team/app*"},
    ],
)
def test_a_mapping_matches_by_registry_repository_and_tag(patterns: dict[str, str]) -> None:
    bundle = mapped(**patterns)

    assert evaluated(facts(), bundle=bundle).mapping == bundle["mappings"][0]


@pytest.mark.parametrize(
    "patterns",
    [
        {"registry": "registry.example"},
        {"registry": "registryxexample:5000"},
        {"repository": "app"},
        {"tag": "1"},
    ],
)
def test_without_a_matching_mapping_the_answer_can_never_be_read_as_a_pass(
    patterns: dict[str, str],
) -> None:
    outcome = evaluated(facts(), bundle=mapped(**patterns))

    assert (outcome.status, outcome.final_action, outcome.mapping) == ("fail", "stop", None)
    assert outcome.problems[0].problem_type == "NoMatchingMapping"
    assert TAG in outcome.problems[0].details


def test_the_first_mapping_that_matches_decides() -> None:
    bundle = bundle_of(ALWAYS)
    lax = json.loads(json.dumps(bundle["policies"][0])) | {"id": "lax", "rules": []}
    bundle["policies"].append(lax)
    first = {**bundle["mappings"][0], "policy_id": "lax", "repository": "team/*"}
    bundle["mappings"].insert(0, first)

    assert evaluated(facts(), bundle=bundle).final_action == "go"
    assert evaluated(facts(), bundle=bundle, tag="docker.io/library/x:1").final_action == "stop"


def test_a_mapping_with_several_policies_evaluates_them_all() -> None:
    bundle = bundle_of(ALWAYS)
    more = {**bundle["policies"][0], "id": "more", "rules": [rule("always", "always", "WARN")]}
    bundle["policies"].append(more)
    mapping = bundle["mappings"][0]
    del mapping["policy_id"]
    mapping["policy_ids"] = ["oci-baseline-policy", "more"]

    rows = evaluated(facts(), bundle=bundle).rows
    assert [(row.policy_id, row.action) for row in rows] == [
        ("oci-baseline-policy", "stop"),
        ("more", "warn"),
    ]


@pytest.mark.parametrize(
    ("actions", "final", "status"),
    [
        ([], "go", "pass"),
        (["GO"], "go", "pass"),
        (["GO", "WARN"], "warn", "pass"),
        (["WARN", "STOP", "GO"], "stop", "fail"),
    ],
)
def test_the_severest_action_is_the_final_one(actions: list[str], final: str, status: str) -> None:
    outcome = evaluated(facts(), *(rule("always", "always", action) for action in actions))

    assert (outcome.final_action, outcome.status) == (final, status)


def whitelisted(*items: dict[str, str]) -> dict[str, Any]:
    bundle = bundle_of(rule("packages", "blacklist", name="openssh-server"))
    bundle["whitelists"][0]["items"] = list(items)
    return bundle


@pytest.mark.parametrize("trigger_id", ["80d99b45cd2bd067ef9e0ae4f7736a4b", "80d9*", "*"])
def test_a_whitelisted_finding_stays_visible_and_counts_no_more(trigger_id: str) -> None:
    item = {"id": "w1", "gate": "packages", "trigger_id": trigger_id}

    outcome = evaluated(facts(packages=(OPENSSH,)), bundle=whitelisted(item))
    assert outcome.final_action == "go"
    assert outcome.rows[0].action == "go"
    assert msgspec.to_builtins(outcome.rows[0].whitelisted) == {
        "matched_rule_id": "w1",
        "whitelist_id": "oci-baseline-whitelist",
        "whitelist_name": "empty",
    }


@pytest.mark.parametrize(
    "item",
    [
        {"id": "w1", "gate": "vulnerabilities", "trigger_id": "*"},
        {"id": "w1", "gate": "packages", "trigger_id": "80d9"},
    ],
)
def test_a_whitelist_for_something_else_changes_nothing(item: dict[str, str]) -> None:
    outcome = evaluated(facts(packages=(OPENSSH,)), bundle=whitelisted(item))

    assert outcome.final_action == "stop"


def test_a_whitelist_that_the_mapping_does_not_name_changes_nothing() -> None:
    bundle = whitelisted({"id": "w1", "gate": "packages", "trigger_id": "*"})
    bundle["mappings"][0]["whitelist_ids"] = []

    assert evaluated(facts(packages=(OPENSSH,)), bundle=bundle).final_action == "stop"


def test_rules_are_applied_gate_by_gate_as_engine_does() -> None:
    rules = [
        rule("packages", "blacklist", "WARN", name="openssh-server"),
        rule("always", "always"),
        rule("packages", "required_package", "WARN", name="nosuch"),
    ]

    rows = evaluated(facts(packages=(OPENSSH,)), *rules).rows
    assert [row.trigger for row in rows] == ["blacklist", "required_package", "always"]


def test_the_result_has_the_keys_of_a_recorded_one() -> None:
    path = DATA / "anchore" / "check-baseline-active-bad.json"
    body = json.loads(path.read_bytes())["response"]["body"]
    recorded = next(iter(body[0].values()))["127.0.0.1:5000/team/bad:1.0"][0]["detail"]["result"]
    outcome = evaluated(facts(user=""), bundle=baseline())

    ours = as_engine_result(
        outcome, bundle=baseline(), digest="sha256:0", image_id="1", fulltag=TAG, now=1_000
    )
    assert ours.keys() == recorded.keys()
    assert ours["result"].keys() - {"1"} == recorded["result"].keys() - {recorded["image_id"]}
    table = recorded["result"][recorded["image_id"]]["result"]
    assert ours["result"]["1"]["result"].keys() == table.keys()
    assert list(ours["result"]["1"]["result"]["header"]) == table["header"]
    assert ours["matched_mapping_rule"] == recorded["matched_mapping_rule"]


def test_a_problem_outweighs_every_row() -> None:
    outcome = evaluated(facts(), bundle=mapped(tag="nosuch"))

    assert Outcome().status == "pass"
    assert outcome.status == "fail"
