"""The chart's ValidatingAdmissionPolicies, judged by CEL as the API server does: the second line,
the guard of exempt namespaces, and what holds the right to nudge to one annotation."""

from importlib import import_module
from typing import Any

import pytest

from tests.deploy.chart import ANCHORE, Object, rendered

cel: Any = import_module("cel_expr_python.cel")
cel_optional: Any = import_module("cel_expr_python.ext.ext_optional")
cel_strings: Any = import_module("cel_expr_python.ext.ext_strings")

ON = {"enabled": True}
NAMES = ("imagegate-guard", "imagegate-nudge", "imagegate-second-line")
DIGEST = f"@sha256:{'a' * 64}"


@pytest.fixture(scope="module")
def made() -> list[Object]:
    told = {
        "dependencyNamespaces": ["redis"],
        "secondLine": ON | {"registries": ["docker.io", "registry.corp"], "requireDigest": True},
        "exemptLabel": ON,
        "guard": ON | {"users": ["ada"], "groups": ["admins"]},
    }
    return rendered(ANCHORE | told)


def spec(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (
        one["spec"] for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)
    )
    return dict(found)


def plain(value: Any) -> Any:
    """Without the wrappers in which CEL's library hands out what is in lists and maps."""
    value = value.value() if hasattr(value, "value") else value
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {plain(key): plain(each) for key, each in value.items()}
    return value


def denies(policy: Object, **given: Any) -> list[str]:
    """The messages of what a request fails; none where no condition is true of it."""
    extensions = [cel_optional.ExtOptional(), cel_strings.ExtStrings()]
    names = ("object", "oldObject", "request", "variables")
    types = dict.fromkeys(names, cel.Type.DYN)
    environment = cel.NewEnv(variables=types, extensions=extensions)
    variables: dict[str, Any] = {}

    def value(expression: str) -> Any:
        data = {"oldObject": None, "request": {}, **given, "variables": variables}
        return plain(environment.compile(expression).eval(data=data))

    if not all(value(each["expression"]) for each in policy.get("matchConditions", ())):
        return []
    for each in policy.get("variables", ()):
        variables[each["name"]] = value(each["expression"])
    return [
        each["message"] for each in policy["validations"] if value(each["expression"]) is not True
    ]


def asked(policy: Object) -> set[tuple[str, str]]:
    return {
        (operation, resource)
        for rule in policy["matchConstraints"]["resourceRules"]
        for operation in rule["operations"]
        for resource in rule["resources"]
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_that_fails_refuses_and_its_binding_denies(name: str, made: list[Object]) -> None:
    policy = spec(made, "ValidatingAdmissionPolicy", name)
    assert policy["failurePolicy"] == "Fail"
    assert set(policy["matchConstraints"]) == {"resourceRules"}
    binding = spec(made, "ValidatingAdmissionPolicyBinding", name)
    assert (binding["policyName"], binding["validationActions"]) == (name, ["Deny"])
    chosen = binding.get("matchResources", {})
    assert set(chosen) == ({"namespaceSelector"} if name == "imagegate-second-line" else set())


def test_each_is_asked_about_all_by_which_it_could_be_got_past(made: list[Object]) -> None:
    told = {name: asked(spec(made, "ValidatingAdmissionPolicy", name)) for name in NAMES}
    namespaces = ("namespaces", "namespaces/status", "namespaces/finalize")
    kinds = ("replicasets", "statefulsets", "daemonsets", "jobs", "replicationcontrollers")
    assert told == {
        "imagegate-guard": {(verb, one) for verb in ("CREATE", "UPDATE") for one in namespaces},
        "imagegate-nudge": {("UPDATE", f"{kind}/status") for kind in kinds},
        "imagegate-second-line": {
            ("CREATE", "pods"),
            ("UPDATE", "pods"),
            ("UPDATE", "pods/ephemeralcontainers"),
        },
    }


def test_the_second_line_leaves_out_the_namespaces_that_the_webhooks_leave_out(
    made: list[Object],
) -> None:
    binding = spec(made, "ValidatingAdmissionPolicyBinding", "imagegate-second-line")
    names, label = binding["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert (names["operator"], names["values"]) == ("NotIn", ["kube-system", "imagegate", "redis"])
    assert label == {"key": "imagegate.dev/exempt", "operator": "NotIn", "values": ["true"]}


def pod(image: str, **more: Any) -> Object:
    return {"spec": {"containers": [{"name": "app", "image": image}], **more}}


GOOD = f"registry.corp/app{DIGEST}"
EVIL = f"evil.corp/app{DIGEST}"


@pytest.mark.parametrize(
    ("new", "old", "denied"),
    [
        (pod(GOOD), None, 0),
        (pod(f"nginx{DIGEST}"), None, 0),
        (pod(f"index.docker.io/nginx{DIGEST}"), None, 0),
        (pod("registry.corp/app:1"), None, 1),
        (pod(f"registry.corp/app{DIGEST}x"), None, 1),
        (pod(EVIL), None, 1),
        (pod(f"localhost/app{DIGEST}"), None, 1),
        (pod(f"evil:5000/app{DIGEST}"), None, 1),
        (pod(f"EVIL/app{DIGEST}"), None, 1),
        (pod("evil.corp/app:1"), None, 2),
        (pod(GOOD, initContainers=[{"name": "i", "image": EVIL}]), None, 1),
        (pod(GOOD, ephemeralContainers=[{"name": "i", "image": EVIL}]), pod(GOOD), 1),
        (pod(GOOD, volumes=[{"name": "v", "image": {"reference": EVIL}}]), None, 1),
        (pod(GOOD, volumes=[{"name": "v", "emptyDir": {}}]), None, 0),
        # What runs is not asked about again, what comes to it is.
        (pod(EVIL), pod(EVIL), 0),
        (pod(EVIL), pod(GOOD), 1),
    ],
)
def test_the_second_line_takes_pinned_images_of_its_registries(
    new: Object, old: Object | None, denied: int, made: list[Object]
) -> None:
    policy = spec(made, "ValidatingAdmissionPolicy", "imagegate-second-line")
    assert len(denies(policy, object=new, oldObject=old)) == denied


ID = "a" * 64
NO_REPOSITORY = "an image is named by an image id, or not at all: name a repository"


@pytest.mark.parametrize("asks", [{"registries": ["docker.io"]}, {"requireDigest": True}], ids=str)
def test_the_second_line_takes_no_image_id_whatever_it_asks_for(asks: Object) -> None:
    """Without a slash it would be docker.io's, as a plain name is."""
    told = rendered(ANCHORE | {"secondLine": ON | asks})
    policy = spec(told, "ValidatingAdmissionPolicy", "imagegate-second-line")

    def refused(new: Object, old: Object | None = None) -> bool:
        said = denies(policy, object=new, oldObject=old)
        return any(message.startswith(NO_REPOSITORY) for message in said)

    for image in ("", ID, f"sha256:{ID}", "sha256:deadbeef", "sha384:0", f"sha512:{ID}{ID}"):
        new = pod(image)
        assert refused(new), image
        assert refused(new, pod(f"app{DIGEST}")), image
        assert refused(pod("app", volumes=[{"name": "v", "image": {"reference": image}}])), image
        assert not refused(new, new), image
    names = ("deadbeef", f"{ID}:1", f"{ID}a", "sha256", "sha256:latest", "sha1:deadbeef", "a:b")
    for image in (*names, f"sha256{DIGEST}", f"library/sha256:{ID}", f"library/{ID}"):
        assert not refused(pod(image)), image


def namespace(name: str, **labels: str) -> Object:
    told = {key.replace("__", ".").replace("_", "/"): value for key, value in labels.items()}
    return {"metadata": {"name": name, **({"labels": told} if told else {})}}


EXEMPT = namespace("team", imagegate__dev_exempt="true")


@pytest.mark.parametrize(
    "change",
    [
        ("CREATE", namespace("team"), None, False),
        ("CREATE", namespace("redis"), None, True),
        ("CREATE", namespace("kube-system"), None, True),
        ("CREATE", EXEMPT, None, True),
        ("UPDATE", EXEMPT, namespace("team"), True),
        ("UPDATE", EXEMPT, namespace("team", imagegate__dev_exempt="false"), True),
        ("UPDATE", EXEMPT, EXEMPT, False),
        ("UPDATE", namespace("redis"), namespace("redis"), False),
        ("UPDATE", namespace("team", imagegate__dev_exempt="no"), namespace("team"), False),
    ],
)
@pytest.mark.parametrize(
    "who",
    [
        ({"username": "bob", "groups": ["devs"]}, False),
        ({"username": "bob"}, False),
        ({"username": "ada", "groups": ["devs"]}, True),
        ({"username": "bob", "groups": ["devs", "admins"]}, True),
    ],
)
def test_only_whom_the_guard_names_makes_a_namespace_exempt(
    change: tuple[str, Object, Object | None, bool],
    who: tuple[Object, bool],
    made: list[Object],
) -> None:
    policy = spec(made, "ValidatingAdmissionPolicy", "imagegate-guard")
    operation, new, old, guarded = change
    user, may = who
    request = {"operation": operation, "userInfo": user}
    refused = denies(policy, object=new, oldObject=old, request=request)
    assert bool(refused) is (guarded and not may)


def workload(status: Any = None, **metadata: Any) -> Object:
    return {"metadata": {"name": "rs", **metadata}, "status": status or {"replicas": 1}}


OURS = "system:serviceaccount:imagegate:imagegate-webhook"
NOTED = workload(annotations={"a": "1"})


@pytest.mark.parametrize(
    ("old", "new", "denied"),
    [
        (workload(), workload(annotations={"imagegate.dev/nudged": "1"}), False),
        (NOTED, workload(annotations={"a": "1", "imagegate.dev/nudged": "1"}), False),
        (NOTED, workload(annotations={"imagegate.dev/nudged": "1"}), True),
        (NOTED, workload(annotations={"a": "2"}), True),
        (workload(), NOTED, True),
        (workload(), workload({"replicas": 0}), True),
        (workload(), workload(labels={"a": "b"}), True),
        (workload(), workload(finalizers=["a"]), True),
        (workload(), workload(ownerReferences=[{"uid": "gone"}]), True),
    ],
)
def test_a_nudge_is_one_annotation_and_nothing_else(
    old: Object, new: Object, denied: bool, made: list[Object]
) -> None:
    policy = spec(made, "ValidatingAdmissionPolicy", "imagegate-nudge")
    for user, held in ((OURS, True), ("system:serviceaccount:kube-system:a", False)):
        request = {"userInfo": {"username": user}}
        refused = denies(policy, object=new, oldObject=old, request=request)
        assert bool(refused) is (denied and held)
