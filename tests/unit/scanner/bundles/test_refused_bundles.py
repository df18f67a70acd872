"""What is refused by name when a bundle is pushed."""

import json
from importlib.resources import files
from typing import Any

import pytest

from services.scanner.bundles.bundle import read_bundle
from services.scanner.bundles.problems import InvalidBundle, NoBundle
from tests.unit.scanner.samples import baseline, bundle_of, read, rule

DEFAULT_BUNDLE = files("services.scanner") / "data" / "default-bundle.json"
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
        (rule("files", "name_match"), "GateNotFoundError", "none of its files"),
        (rule("pkgcheck", "verify"), "EndOfLifedError", "replaced with 'packages'"),
        (rule("imagecheck", "baseoutofdate"), "EndOfLifedError", "Gate imagecheck"),
        (rule("dockerfile", "nosuch"), "TriggerNotFoundError", "trigger=nosuch"),
        (rule("packages", "verify"), "TriggerNotFoundError", "none of its files"),
        (
            rule("vulnerabilities", "package", **PACKAGE, vendor_only="yes"),
            "ParameterValueInvalidError",
            "vendor_only must be one of true, false",
        ),
        (
            rule("vulnerabilities", "package", **PACKAGE, inherited_from_base="true"),
            "InvalidParameterError",
            "parameter=inherited_from_base",
        ),
        (
            rule("vulnerabilities", "package", **(PACKAGE | {"package_type": "language"})),
            "ParameterValueInvalidError",
            "package_type must be one of all, os, non-os",
        ),
        (
            rule("vulnerabilities", "package", package_type="os", cvss_v3_base_score="7"),
            "ParameterValueInvalidError",
            "cvss_v3_base_score and cvss_v3_base_score_comparison must be given together",
        ),
        (
            rule("vulnerabilities", "package", package_type="os", max_days_since_fix="7"),
            "ParameterValueInvalidError",
            "only with fix_available true",
        ),
        (
            rule("vulnerabilities", "package", package_type="os", package_path_exclude="("),
            "ParameterValueInvalidError",
            "package_path_exclude is no regular expression",
        ),
        (
            rule("vulnerabilities", "package", package_type="os", package_path_exclude=""),
            "ParameterValueInvalidError",
            "would fit every path",
        ),
        (
            rule("packages", "blacklist", name=" sudo"),
            "ParameterValueInvalidError",
            "name must not have spaces around it",
        ),
        (
            rule("packages", "blacklist", name="telnetd, openssh-server"),
            "ParameterValueInvalidError",
            "name must be one name",
        ),
        (
            rule("packages", "required_package", name="dumb init"),
            "ParameterValueInvalidError",
            "name must be one name",
        ),
        (
            rule("vulnerabilities", "blacklist", vulnerability_ids="CVE-2099-1000 CVE-2099-1001"),
            "ParameterValueInvalidError",
            "ids with commas between them",
        ),
        (
            rule("vulnerabilities", "blacklist", vulnerability_ids="CVE\u20112099\u20111000"),
            "ParameterValueInvalidError",
            "ids with commas between them",
        ),
        (
            rule("vulnerabilities", "package", **(PACKAGE | {"severity_comparison": ">"})),
            "ParameterValueInvalidError",
            "nothing is more than critical",
        ),
        (
            rule(
                "vulnerabilities",
                "package",
                package_type="os",
                severity="unknown",
                severity_comparison="<",
            ),
            "ParameterValueInvalidError",
            "nothing is less than unknown",
        ),
        (
            rule(
                "vulnerabilities",
                "package",
                package_type="os",
                cvss_v3_base_score="75",
                cvss_v3_base_score_comparison=">=",
            ),
            "ParameterValueInvalidError",
            "at most 10",
        ),
        (
            rule("vulnerabilities", "blacklist", vulnerability_ids="CVE-1,,CVE-2"),
            "ParameterValueInvalidError",
            "none of them empty",
        ),
        (
            rule("dockerfile", "exposed_ports", ports="22,ssh", type="blacklist"),
            "ParameterValueInvalidError",
            "port numbers",
        ),
        (
            rule("dockerfile", "exposed_ports", ports="65536", type="blacklist"),
            "ParameterValueInvalidError",
            "up to 65535",
        ),
        (
            rule("packages", "required_package", name="a", version_match_type="minimum"),
            "ParameterValueInvalidError",
            "needs a version",
        ),
        (
            rule("metadata", "attribute", attribute="size", check=">", value="2 gb"),
            "ParameterValueInvalidError",
            "kb, mb, gb",
        ),
        (
            rule("metadata", "attribute", attribute="layer_count", check="like", value="1"),
            "ParameterValueInvalidError",
            "layer_count is a number",
        ),
        (
            rule("metadata", "attribute", attribute="distro", check="like", value="("),
            "ParameterValueInvalidError",
            "no regular expression",
        ),
        (
            rule("metadata", "attribute", attribute="distro", check="="),
            "ParameterValueInvalidError",
            "needs a value",
        ),
        (rule("always", "always", "DENY"), "InvalidGateAction", "action=DENY"),
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
            rule("dockerfile", "instruction", **(FROM | {"instruction": "from"})),
            "ParameterValueInvalidError",
            "instruction must be one of ADD",
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


def test_a_parameter_that_is_there_twice_in_other_capitals_is_refused() -> None:
    wrong = rule("packages", "blacklist", name="a", NAME="b")

    assert refusals(bundle_of(wrong))[0][0] == "InvalidParameterError"


def test_every_reason_is_told_at_once() -> None:
    found = refusals(bundle_of(rule("nosuch", "a"), rule("dockerfile", "nosuch")))

    assert [kind for kind, _ in found] == ["GateNotFoundError", "TriggerNotFoundError"]


def test_capitals_of_names_and_actions_do_not_count_as_with_engine() -> None:
    bundle = bundle_of(rule("Packages", "Blacklist", "Stop", Name="sudo"))
    (taken,) = read(bundle).policies["oci-baseline-policy"].rules

    assert (taken.gate, taken.name, taken.action) == ("packages", "blacklist", "stop")
    assert taken.values == {"name": "sudo"}


def changed(bundle: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The bundle with `value` at `a.0.b`."""
    *parents, last = path.split(".")
    place: Any = bundle
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    place[last] = value
    return bundle


ITEM = {"id": "w1", "gate": "packages", "trigger_id": "x"}
BY_ID = {"type": "id", "value": "1" * 64}
IMAGE = {"id": "i1", "registry": "*", "repository": "*", "image": BY_ID}
HUB = IMAGE | {"registry": "docker.io"}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("version", "2_0", "version 1_0"),
        ("policies.0.version", "2_0", "policy oci-baseline-policy"),
        ("whitelists.0.version", "2_0", "whitelist oci-baseline-whitelist"),
        ("whitelisted_images", [{"name": "x"}], "whitelisted_images"),
        ("blacklisted_images", [{"name": "x"}], "blacklisted_images"),
        ("blacklisted_images", [IMAGE | {"image": BY_ID | {"value": "*"}}], "64 hex digits"),
        ("blacklisted_images", [IMAGE | {"image": {"type": "name", "value": "*"}}], "'name'"),
        ("blacklisted_images", [IMAGE | {"repository": ""}], "empty repository"),
        ("blacklisted_images", [IMAGE | {"registry": "regexp:.*"}], "regular expressions"),
        ("blacklisted_images", [HUB | {"repository": "nginx"}], "library/nginx"),
        ("blacklisted_images", [HUB | {"registry": "index.docker.io"}], "is called docker.io"),
        ("blacklisted_images", [IMAGE | {"registry": "https://registry.example"}], "no registry"),
        ("blacklisted_images", [IMAGE | {"registry": "Registry.example"}], "no registry"),
        ("blacklisted_images", [IMAGE | {"repository": "team/App"}], "no repository"),
        ("blacklisted_images", [IMAGE | {"repository": "team/app "}], "no repository"),
        ("blacklisted_images", [IMAGE | {"repository": "team/app:1.0"}], "no repository"),
        ("blacklisted_images", [IMAGE | {"image": {"type": "tag", "value": "1, 2"}}], "no tag"),
        ("mappings.0.repository", "team/?pp", "no repository"),
        ("mappings.0.image", {"type": "tag", "value": "[0-9].0"}, "no tag"),
        ("mappings.0.image", {"type": "tag", "value": "sha256:" + "d" * 64}, "no tag"),
        ("whitelisted_images", [IMAGE | {"expires_on": "2030-01-01"}], "expires_on"),
        ("whitelisted_images", [IMAGE | {"policy_id": "x"}], "policy_id"),
        ("trusted_images", [], "trusted_images"),
        ("policies.0.rules.0.recommendation", "none", "recommendation"),
        ("policies.0.rules.0.params", [{"name": "a", "value": 1}], "Expected `str`"),
        ("mappings.0.image", {"type": "digest", "value": "sha256:*"}, "sha256: and 64 hex digits"),
        ("mappings.0.image", {"type": "tag", "value": "*", "digest": "x"}, "`digest`"),
        ("mappings.0.policy_id", "nosuch", "reference_id=nosuch"),
        ("mappings.0.policy_id", None, "No policy_id or policy_ids"),
        ("mappings.0.policy_ids", ["oci-baseline-policy", "nosuch"], "reference_id=nosuch"),
        ("mappings.0.policy_ids", ["oci-baseline-policy"], "both policy_id and policy_ids"),
        ("mappings.0.whitelist_ids", ["nosuch"], "reference_type=whitelist,reference_id=nosuch"),
        ("mappings.0.account", "x", "account"),
        ("whitelists.0.items", [ITEM | {"trigger_id": "a*b"}], "at its end only"),
        ("whitelists.0.items", [ITEM | {"trigger_id": ""}], "at its end only"),
        ("whitelists.0.items", [ITEM | {"trigger_id": "regexp:.*x"}], "trigger_id"),
        ("whitelists.0.items", [ITEM | {"gate": "nosuch"}], "gate=nosuch"),
        ("whitelists.0.items", [ITEM | {"gate": "anchoresec"}], "replaced with 'vulnerabilities'"),
        ("whitelists.0.items", [ITEM | {"expires_on": "2030-01-01"}], "names no time zone"),
        ("whitelists.0.items", [ITEM | {"expires_on": "soon"}], "expires_on='soon'"),
        ("whitelists.0.items", [ITEM | {"expires": "never"}], "`expires`"),
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


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ('"id": "oci-baseline"', "id"),
        ('"action": "STOP"', "action"),
        ('"registry": "*"', "registry"),
        ('"type": "tag"', "type"),
        ('"value": "os"', "value"),
    ],
)
def test_a_key_that_is_there_twice_is_refused_wherever_it_stands(written: str, key: str) -> None:
    text = json.dumps(baseline()).replace(written, f"{written}, {written}", 1)

    with pytest.raises(InvalidBundle, match=f"The key '{key}' is there twice"):
        read_bundle(text.encode())


def test_a_bundle_is_read_once_and_another_text_anew() -> None:
    text = json.dumps(baseline()).encode()

    assert read_bundle(text) is read_bundle(text)
    assert read_bundle(text) is not read_bundle(text + b" ")
