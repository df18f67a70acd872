"""Whether whoever may nudge can do nothing but that: by the chart's policy, whole and spoilt."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from services.cli.doctor.access import Binding
from services.cli.doctor.nudging import Policy, PolicyBinding, nudgers, nudging_remarks
from services.cli.doctor.remarks import Level, Remark

EXAMPLE = Path(__file__).parents[4] / "k8s/examples/enforce.yaml"
KINDS = {
    "ClusterRoleBinding": Binding,
    "ValidatingAdmissionPolicy": Policy,
    "ValidatingAdmissionPolicyBinding": PolicyBinding,
}

Objects = dict[str, Any]


@pytest.fixture(scope="module")
def installed() -> Objects:
    """What the chart has of nudges, by kind."""
    every = [one for one in yaml.safe_load_all(EXAMPLE.read_text()) if one]
    return {
        one["kind"]: one
        for one in every
        if one["kind"] in KINDS and one["metadata"]["name"] == "imagegate-nudge"
    }


def told(objects: Objects) -> Remark:
    """What is said of these; a kind that is missing is not there."""
    read: dict[str, Any] = {
        kind: [msgspec.convert(objects[kind], form)] if kind in objects else []
        for kind, form in KINDS.items()
    }
    (remark,) = nudging_remarks(
        nudgers(read["ClusterRoleBinding"]),
        read["ValidatingAdmissionPolicy"],
        read["ValidatingAdmissionPolicyBinding"],
    )
    return remark


def test_the_chart_s_own_is_good(installed: Objects) -> None:
    assert told(installed).level is Level.GOOD


@pytest.mark.parametrize("kind", ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"])
def test_where_one_half_is_not_there_it_is_bad_and_who_has_the_right_is_named(
    kind: str, installed: Objects
) -> None:
    remark = told({key: one for key, one in installed.items() if key != kind})
    assert remark.level is Level.BAD
    assert "ServiceAccount imagegate/imagegate-webhook may patch the status" in remark.said
    assert f"{kind} " in remark.said


LABELLED = {"matchLabels": {"a": "b"}}
NOT_JOBS = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["UPDATE"]} | {
    "resources": ["jobs/status"]
}

SPOILT: list[tuple[str, Callable[[Any], object]]] = [
    ("failurePolicy Ignore", lambda it: it.update(failurePolicy="Ignore")),
    ("jobs/status", lambda it: it["matchConstraints"]["resourceRules"].pop(1)),
    (
        "replicationcontrollers/status",
        lambda it: it["matchConstraints"]["resourceRules"][2].update(operations=["CREATE"]),
    ),
    (
        "replicasets/status, statefulsets/status",
        lambda it: it["matchConstraints"]["resourceRules"][0].update(resourceNames=["one"]),
    ),
    (
        "statefulsets/status",
        lambda it: it["matchConstraints"]["resourceRules"][0].update(apiGroups=["batch"]),
    ),
    ("is not asked", lambda it: it["matchConstraints"].update(namespaceSelector=LABELLED)),
    ("is not asked", lambda it: it["matchConstraints"].update(objectSelector=LABELLED)),
    ("is not asked", lambda it: it["matchConstraints"].update(excludeResourceRules=[NOT_JOBS])),
    (
        "is not about ServiceAccount imagegate/imagegate-webhook",
        lambda it: it["matchConditions"][0].update(expression="request.userInfo.username == 'a'"),
    ),
    (
        "is not about",
        lambda it: it["matchConditions"].append({"name": "never", "expression": "false"}),
    ),
    ("is not what the chart", lambda it: it["validations"].pop(1)),
    ("is not what the chart", lambda it: it["validations"][0].update(expression="true")),
    ("is not what the chart", lambda it: it["variables"][1].update(expression="{}")),
]


@pytest.mark.parametrize(("says", "spoil"), SPOILT)
def test_a_policy_that_lets_more_through_is_bad(
    says: str, spoil: Callable[[Any], object], installed: Objects
) -> None:
    objects = copy.deepcopy(installed)
    spoil(objects["ValidatingAdmissionPolicy"]["spec"])
    remark = told(objects)
    assert remark.level is Level.BAD
    assert says in remark.said


@pytest.mark.parametrize(
    "change",
    [
        {"validationActions": ["Warn", "Audit"]},
        {"policyName": "other"},
        {"matchResources": {"namespaceSelector": LABELLED}},
        {"matchResources": {"resourceRules": [NOT_JOBS]}},
    ],
)
def test_a_binding_that_does_not_deny_everywhere_is_bad(change: Any, installed: Objects) -> None:
    objects = copy.deepcopy(installed)
    objects["ValidatingAdmissionPolicyBinding"]["spec"] |= change
    remark = told(objects)
    assert remark.level is Level.BAD
    assert "deny everywhere" in remark.said


def test_a_second_one_that_was_given_the_right_is_named(installed: Objects) -> None:
    objects = copy.deepcopy(installed)
    objects["ClusterRoleBinding"]["subjects"].append({"kind": "User", "name": "ada"})
    remark = told(objects)
    assert remark.level is Level.BAD
    assert "is not about User ada" in remark.said


def test_a_policy_about_everybody_holds_for_whoever_has_the_right(installed: Objects) -> None:
    objects = copy.deepcopy(installed)
    objects["ClusterRoleBinding"]["subjects"].append({"kind": "User", "name": "ada"})
    del objects["ValidatingAdmissionPolicy"]["spec"]["matchConditions"]
    assert told(objects).level is Level.GOOD
