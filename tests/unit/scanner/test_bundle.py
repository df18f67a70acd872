"""What is refused by name when a bundle is pushed."""

import json
from typing import Any

import pytest

from services.scanner.bundles.bundle import InvalidBundle, NoBundle, read_bundle
from services.scanner.wiring import DEFAULT_BUNDLE
from tests.unit.scanner.samples import baseline, bundle_of, read, rule

PACKAGE = {"package_type": "os", "severity_comparison": "=", "severity": "critical"}
FROM = {"instruction": "FROM", "check": "like", "value": "scratch"}


def refusals(bundle: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidBundle) as caught:
        read(bundle)
    return [(problem.problem_type, problem.details) for problem in caught.value.problems]


def test_the_bundle_recorded_with_a_real_engine_is_accepted() -> None:
    assert read(baseline()).id == "oci-baseline"


def test_the_default_bundle_is_the_recorded_one_and_stops_on_missing_data() -> None:
    default = json.loads(DEFAULT_BUNDLE.read_bytes())
    read_bundle(DEFAULT_BUNDLE.read_bytes())

    rules = {one["id"]: one for one in default["policies"][0]["rules"]}
    added = rules.pop("vulnerability-data-there")
    recorded = {one["id"]: one for one in baseline()["policies"][0]["rules"]}
    assert rules == recorded
    assert (added["gate"], added["trigger"], added["action"], added["params"]) == (
        "vulnerabilities",
        "vulnerability_data_unavailable",  # as in the policy spec of Engine 1.1
        "STOP",
        [],
    )
    for key in ("version", "mappings", "whitelists", "whitelisted_images", "blacklisted_images"):
        assert default.keys() >= {key}


@pytest.mark.parametrize("key", ["id", "version", "policies", "mappings"])
def test_a_bundle_without_a_required_part_is_none(key: str) -> None:
    bundle = baseline()
    del bundle[key]

    with pytest.raises(NoBundle, match=f"'{key}' is a required property"):
        read(bundle)


@pytest.mark.parametrize(
    "text", [b"{", b"[]", b"1", b'"\xff"', b"[" * 100_000, b"\xff\xfe", b"", b"null"]
)
def test_what_is_no_json_object_is_no_bundle(text: bytes) -> None:
    with pytest.raises(NoBundle):
        read_bundle(text)


@pytest.mark.parametrize(
    ("wrong", "kind", "said"),
    [
        (rule("nosuchgate", "x"), "GateNotFoundError", "gate=nosuchgate"),
        (rule("metadata", "attribute"), "GateNotFoundError", "gate=metadata"),
        (rule("dockerfile", "exposed_ports"), "TriggerNotFoundError", "trigger=exposed_ports"),
        (rule("packages", "verify"), "TriggerNotFoundError", "trigger=verify"),
        (
            rule("vulnerabilities", "package", **PACKAGE, vendor_only="true"),
            "InvalidParameterError",
            "parameter=vendor_only",
        ),
        (
            rule("vulnerabilities", "package", **(PACKAGE | {"package_type": "non-os"})),
            "ParameterValueInvalidError",
            "package_type must be one of os, all",
        ),
        (
            rule("vulnerabilities", "package", **(PACKAGE | {"severity": "Critical"})),
            "ParameterValueInvalidError",
            "value='Critical'",
        ),
        (
            rule("vulnerabilities", "package", package_type="os", severity="high"),
            "ParameterValueInvalidError",
            "must be given together",
        ),
        (
            rule("vulnerabilities", "stale_feed_data", max_days_since_sync="two"),
            "ParameterValueInvalidError",
            "whole number",
        ),
        (
            rule("packages", "blacklist", version="1"),
            "ParameterValueInvalidError",
            "Required parameter name",
        ),
        (
            rule("dockerfile", "effective_user", users="root", type="greylist"),
            "ParameterValueInvalidError",
            "type must be one of",
        ),
        (
            rule("dockerfile", "instruction", **(FROM | {"check": "contains"})),
            "ParameterValueInvalidError",
            "check must be one of",
        ),
        (
            rule("dockerfile", "instruction", **(FROM | {"instruction": "FORM"})),
            "ParameterValueInvalidError",
            "Dockerfile instruction",
        ),
        (
            rule("dockerfile", "instruction", **(FROM | {"value": "("})),
            "ParameterValueInvalidError",
            "no regular expression",
        ),
        (
            rule("dockerfile", "instruction", instruction="FROM", check="="),
            "ParameterValueInvalidError",
            "needs a value",
        ),
    ],
)
def test_a_rule_that_is_not_known_whole_is_refused_by_name(
    wrong: dict[str, Any], kind: str, said: str
) -> None:
    ((found, details),) = refusals(bundle_of(rule("always", "always"), wrong))

    assert found == kind
    assert said in details
    assert wrong["gate"] in details


def test_a_parameter_that_is_there_twice_is_refused() -> None:
    wrong = rule("packages", "blacklist", name="a")
    wrong["params"].append({"name": "name", "value": "b"})

    assert refusals(bundle_of(wrong))[0][0] == "InvalidParameterError"


def test_every_reason_is_told_at_once() -> None:
    found = refusals(bundle_of(rule("nosuch", "a"), rule("dockerfile", "nosuch")))

    assert [kind for kind, _ in found] == ["GateNotFoundError", "TriggerNotFoundError"]


def changed(bundle: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The bundle with `value` at `a.0.b`."""
    *parents, last = path.split(".")
    place: Any = bundle
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    place[last] = value
    return bundle


ITEM = {"id": "w1", "gate": "packages", "trigger_id": "x"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("version", "2_0", "version 1_0"),
        ("whitelisted_images", [{"name": "x"}], "whitelisted_images"),
        ("blacklisted_images", [{"name": "x"}], "blacklisted_images"),
        ("trusted_images", [], "trusted_images"),
        ("policies.0.rules.0.action", "DENY", "DENY"),
        ("policies.0.rules.0.recommendation", "none", "recommendation"),
        ("policies.0.rules.0.params", [{"name": "a", "value": 1}], "Expected `str`"),
        ("mappings.0.image", {"type": "digest", "value": "*"}, "'digest'"),
        ("mappings.0.image", {"type": "id", "value": "*"}, "'id'"),
        ("mappings.0.policy_id", "nosuch", "reference_id=nosuch"),
        ("mappings.0.policy_id", None, "names no policy"),
        ("mappings.0.policy_ids", ["oci-baseline-policy", "nosuch"], "reference_id=nosuch"),
        ("mappings.0.whitelist_ids", ["nosuch"], "reference_type=whitelist,reference_id=nosuch"),
        ("mappings.0.account", "x", "account"),
        ("whitelists.0.items", [ITEM | {"trigger_id": "a*b"}], "at its end only"),
        ("whitelists.0.items", [ITEM | {"trigger_id": ""}], "at its end only"),
        ("whitelists.0.items", [ITEM | {"gate": "nosuch"}], "gate=nosuch"),
        ("whitelists.0.items", [ITEM | {"expires_on": "2030-01-01"}], "expires_on"),
    ],
)
def test_a_form_that_is_not_supported_is_refused_by_name(path: str, value: Any, said: str) -> None:
    found = refusals(changed(baseline(), path, value))

    assert any(said in details for _, details in found), found


def test_ids_that_are_there_twice_are_refused() -> None:
    bundle = baseline()
    bundle["policies"] *= 2

    assert refusals(bundle)[0][0] == "DuplicateIdentifierFoundError"


def test_what_engine_itself_writes_into_a_bundle_is_let_through() -> None:
    bundle = baseline() | {"active": False, "last_updated": 1_795_448_465}

    assert read(bundle).id == "oci-baseline"
