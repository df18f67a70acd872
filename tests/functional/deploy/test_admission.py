"""What the API server is told to ask: configurations, their rules, their conditions."""

import base64
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
import yaml

from services.webhook.app import PATHS
from services.webhook.settings import WebhookSettings
from shared.domain.pod_template import WORKLOADS
from tests.deploy.chart import ANCHORE, NAMESPACE, ROOT, Object, Refused, Values, render, rendered
from tests.deploy.manifests import Manifests

Release = Callable[..., Manifests]

OURS = {"imagegate", "zz-imagegate"}
cel: Any = import_module("cel_expr_python.cel")
cel_optional: Any = import_module("cel_expr_python.ext.ext_optional")


def configurations(manifests: Manifests) -> list[Object]:
    """What `imagegate webhooks apply` is given."""
    text = manifests.one("ConfigMap", "imagegate-webhooks")["data"]["webhooks.yaml"]
    return [one for one in yaml.safe_load_all(text) if one]


def mutating(manifests: Manifests) -> Object:
    """The one that pins."""
    (found,) = (
        one for one in configurations(manifests) if one["kind"] == "MutatingWebhookConfiguration"
    )
    return found


@pytest.fixture(scope="module")
def webhooks(base: Manifests) -> dict[str, Object]:
    """Every webhook of both configurations, by its name."""
    found = configurations(base)
    assert {one["metadata"]["name"] for one in found} == OURS
    return {webhook["name"]: webhook for one in found for webhook in one["webhooks"]}


def asked(webhook: Object) -> set[tuple[str, str, str, str]]:
    """(operation, group, version, resource) of every object that a webhook is asked about."""
    return {
        (operation, group, version, resource)
        for rule in webhook["rules"]
        for operation in rule["operations"]
        for group in rule["apiGroups"]
        for version in rule["apiVersions"]
        for resource in rule["resources"]
    }


NEW_PODS = {("CREATE", "", "v1", "pods"), ("UPDATE", "", "v1", "pods/ephemeralcontainers")}
CHANGED_PODS = {("UPDATE", "", "v1", "pods")}


@pytest.mark.parametrize(
    ("name", "path", "policy", "objects"),
    [
        ("create.imagegate.dev", "/validate", "Fail", NEW_PODS),
        ("update.imagegate.dev", "/validate", "Fail", CHANGED_PODS),
        ("pin-create.imagegate.dev", "/mutate", "Ignore", NEW_PODS),
        ("pin-update.imagegate.dev", "/mutate", "Ignore", CHANGED_PODS),
    ],
)
def test_pods_are_asked_about(
    name: str,
    path: str,
    policy: str,
    objects: set[tuple[str, str, str, str]],
    webhooks: dict[str, Object],
) -> None:
    webhook = webhooks[name]
    assert webhook["clientConfig"]["service"]["path"] == path
    assert webhook["failurePolicy"] == policy
    assert asked(webhook) == objects


def test_workloads_are_advised_on_those_that_the_code_knows_and_no_others(
    webhooks: dict[str, Object],
) -> None:
    webhook = webhooks["workloads.imagegate.dev"]
    known = {(group, version, made.resource) for (group, version, _), made in WORKLOADS.items()}
    assert webhook["failurePolicy"] == "Ignore"
    assert asked(webhook) == {
        (operation, *resource) for operation in ("CREATE", "UPDATE") for resource in known
    }


def test_workloads_are_pinned_where_that_is_wanted_the_same_that_are_advised_on(
    pinning: Manifests, webhooks: dict[str, Object]
) -> None:
    one = mutating(pinning)
    assert one["metadata"]["name"] == "zz-imagegate"
    *pods, webhook = one["webhooks"]
    advice = webhooks["workloads.imagegate.dev"]
    assert [each["name"] for each in pods] == [
        "pin-create.imagegate.dev",
        "pin-update.imagegate.dev",
    ]
    assert webhook["rules"] == advice["rules"]
    assert webhook["matchConditions"] == advice["matchConditions"]
    differ = {"name", "rules", "matchConditions"}
    told, as_pods = (
        {key: value for key, value in each.items() if key not in differ}
        for each in (webhook, pods[0])
    )
    assert told == as_pods
    (container,) = pinning.one("Deployment", "imagegate-webhook")["spec"]["template"]["spec"][
        "containers"
    ]
    assert {"name": "IMAGEGATE_PIN", "value": "all"} in container["env"]


def test_by_default_the_setting_says_what_the_configuration_asks_for(base: Manifests) -> None:
    """Pods are pinned, workloads are not."""
    assert WebhookSettings().imagegate_pin == "pods"
    (container,) = base.one("Deployment", "imagegate-webhook")["spec"]["template"]["spec"][
        "containers"
    ]
    assert "IMAGEGATE_PIN" not in {entry["name"] for entry in container["env"]}


def test_nobody_is_asked_about_what_changes_no_image(
    webhooks: dict[str, Object], pinning: Manifests
) -> None:
    """`pods/resize`, scale and status, as docs/install.md says."""
    every = [*webhooks.values(), *mutating(pinning)["webhooks"]]
    resources = {resource for webhook in every for *_, resource in asked(webhook)}
    assert {one for one in resources if "/" in one or "*" in one} == {"pods/ephemeralcontainers"}
    told = (ROOT / "docs" / "install.md").read_text()
    assert "`pods/resize`, `scale` and `status`, which change no image" in told


def test_there_are_no_other_webhooks(webhooks: dict[str, Object]) -> None:
    validating = {"create.imagegate.dev", "update.imagegate.dev", "workloads.imagegate.dev"}
    assert set(webhooks) == validating | {"pin-create.imagegate.dev", "pin-update.imagegate.dev"}


def test_every_webhook_calls_a_path_that_is_there(
    webhooks: dict[str, Object], base: Manifests
) -> None:
    called = {webhook["clientConfig"]["service"]["path"] for webhook in webhooks.values()}
    assert called == set(PATHS)
    for webhook in webhooks.values():
        called = webhook["clientConfig"]["service"]
        service = base.one("Service", called["name"])
        assert called["namespace"] == service["metadata"]["namespace"]
        assert called["port"] in {port["port"] for port in service["spec"]["ports"]}


def test_what_holds_for_all_of_them(webhooks: dict[str, Object]) -> None:
    for webhook in webhooks.values():
        assert webhook["matchPolicy"] == "Equivalent"
        assert webhook["sideEffects"] == "NoneOnDryRun"
        assert webhook["timeoutSeconds"] == 5
        assert webhook["admissionReviewVersions"] == ["v1"]
        assert "objectSelector" not in webhook
        assert {rule["scope"] for rule in webhook["rules"]} == {"Namespaced"}


def test_exempt_are_the_cluster_s_own_namespace_and_ours_by_a_label_that_nobody_sets(
    webhooks: dict[str, Object],
) -> None:
    for webhook in webhooks.values():
        (expression,) = webhook["namespaceSelector"]["matchExpressions"]
        assert expression == {
            "key": "kubernetes.io/metadata.name",
            "operator": "NotIn",
            "values": ["kube-system", NAMESPACE],
        }


def test_the_namespace_of_the_release_is_exempt_whatever_it_is_called() -> None:
    found = configurations(Manifests(rendered(ANCHORE, namespace="gate"), {}))
    for webhook in (each for one in found for each in one["webhooks"]):
        (expression,) = webhook["namespaceSelector"]["matchExpressions"]
        assert expression["values"] == ["kube-system", "gate"]


def test_pinning_comes_last_and_again_when_another_webhook_changed_the_pod(
    base: Manifests,
) -> None:
    one = mutating(base)
    # Configurations run in the order of their names (docs/design/kube-facts.md 4).
    for other in ("istio-sidecar-injector", "vault-agent-injector-cfg", "kyverno-resource"):
        assert one["metadata"]["name"] > other
    assert {webhook["reinvocationPolicy"] for webhook in one["webhooks"]} == {"IfNeeded"}


def test_what_imagegate_stands_on_is_exempt_too_and_what_is_labelled_if_that_is_wanted(
    release: Release,
) -> None:
    told: Values = {"dependencyNamespaces": ["redis", "kube-system"]}
    label: Values = {"exemptLabel": {"enabled": True}, "guard": {"enabled": True}}
    for one in configurations(release(ANCHORE | told | label)):
        for webhook in one["webhooks"]:
            names, labelled = webhook["namespaceSelector"]["matchExpressions"]
            assert names["values"] == ["kube-system", NAMESPACE, "redis"]
            assert labelled == {
                "key": "imagegate.dev/exempt",
                "operator": "NotIn",
                "values": ["true"],
            }


def test_audit_refuses_nothing_whatever_happens(audit: Manifests) -> None:
    for one in configurations(audit):
        assert {webhook["failurePolicy"] for webhook in one["webhooks"]} == {"Ignore"}


def test_what_is_applied_by_the_chart_itself_has_a_ca_or_is_refused(release: Release) -> None:
    direct: Values = {"webhooks": {"apply": "direct"}, "enforcement": "enforce"}
    with pytest.raises(Refused, match="give the CA of the webhook's certificate"):
        render(ANCHORE | direct)
    bundle = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
    told = {"certificates": {"from": "secret", "caBundle": bundle}}
    made = release(ANCHORE | direct | told)
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        for one in made.all(kind):
            for webhook in one["webhooks"]:
                shown = base64.b64decode(webhook["clientConfig"]["caBundle"])
                assert shown.decode() == bundle
    assert made.all("Job") == []


def test_they_are_named_for_a_webhook_outside_of_the_cluster(release: Release) -> None:
    told = {"webhooks": {"url": "https://gate.corp:8443/"}}
    for one in configurations(release(ANCHORE | told)):
        for webhook in one["webhooks"]:
            assert webhook["clientConfig"]["url"] in {
                "https://gate.corp:8443/validate",
                "https://gate.corp:8443/mutate",
            }


def test_where_nothing_is_pinned_no_webhook_is_there_that_would(release: Release) -> None:
    made = release(ANCHORE | {"webhooks": {"pin": "none"}})
    assert [one["kind"] for one in configurations(made)] == ["ValidatingWebhookConfiguration"]


def holds(webhook: Object, **variables: Object | None) -> bool:
    """Whether the API server would call a webhook; raises RuntimeError where CEL ends in an error,
    which with failurePolicy Fail refuses the request."""
    extensions = [cel_optional.ExtOptional()]
    types = dict.fromkeys(("object", "oldObject", "request"), cel.Type.DYN)
    environment = cel.NewEnv(variables=types, extensions=extensions)
    (condition,) = webhook["matchConditions"]
    value = environment.compile(condition["expression"]).eval(data=variables).value()
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def pod(**spec: Any) -> Object:
    """A Pod of one container, with these parts of the spec beside it or in its place."""
    containers = [{"name": "app", "image": "registry.corp/app:1"}]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


INIT = [{"name": "init", "image": "registry.corp/init:1"}]
VOLUME = {"name": "data", "image": {"reference": "registry.corp/data:1"}}
PLAIN = {"name": "tmp", "emptyDir": {}}


@pytest.mark.parametrize("name", ["update.imagegate.dev", "pin-update.imagegate.dev"])
@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (pod(), pod(), False),
        (pod(), {**pod(), "metadata": {"name": "p", "labels": {"a": "b"}}}, False),
        (pod(), pod(activeDeadlineSeconds=5), False),
        (pod(), pod(containers=[{"name": "app", "image": "registry.corp/app:2"}]), True),
        (
            pod(),
            pod(containers=[{"name": "app", "image": "registry.corp/app:1", "tty": True}]),
            False,
        ),
        (pod(initContainers=INIT), pod(initContainers=INIT), False),
        (pod(initContainers=INIT), pod(initContainers=[{"name": "init", "image": "evil"}]), True),
        (pod(initContainers=[]), pod(), False),
        (pod(), pod(initContainers=INIT), True),
        (pod(volumes=[PLAIN]), pod(volumes=[PLAIN]), False),
        (pod(volumes=[PLAIN]), pod(), False),
        (pod(volumes=[VOLUME, PLAIN]), pod(volumes=[VOLUME, PLAIN]), False),
        (pod(volumes=[PLAIN]), pod(volumes=[PLAIN, VOLUME]), True),
        (pod(volumes=[VOLUME]), pod(volumes=[{"name": "data", "image": {}}]), True),
        (
            pod(volumes=[VOLUME]),
            pod(volumes=[{"name": "data", "image": {"reference": "registry.corp/data:2"}}]),
            True,
        ),
        (pod(containers=[{"name": "app"}]), pod(containers=[{"name": "app"}]), False),
        (pod(containers=[{"name": "app"}]), pod(), True),
    ],
)
def test_an_update_of_a_pod_is_asked_about_when_an_image_changed(
    name: str, old: Object, new: Object, changes: bool, webhooks: dict[str, Object]
) -> None:
    # request has no subResource for the main resource: who reads it there fails.
    request = {"operation": "UPDATE", "resource": {"resource": "pods"}}
    assert holds(webhooks[name], object=new, oldObject=old, request=request) is changes


TEMPLATE: Object = {"spec": {"template": {"spec": {"containers": []}}}}


@pytest.mark.parametrize(
    ("operation", "old", "new", "called"),
    [
        ("CREATE", None, TEMPLATE, True),
        ("UPDATE", TEMPLATE, TEMPLATE, False),
        ("UPDATE", {**TEMPLATE, "metadata": {}, "status": {"replicas": 1}}, TEMPLATE, False),
        ("UPDATE", TEMPLATE, {"spec": {"template": {"spec": {"containers": [{}]}}}}, True),
        ("UPDATE", {"template": {"spec": {}}}, {"template": {"spec": {}}}, False),
        ("UPDATE", {"template": {"spec": {}}}, {"template": {"spec": {"containers": []}}}, True),
    ],
)
def test_a_workload_is_asked_about_when_more_than_its_metadata_and_status_changed(
    operation: str,
    old: Object | None,
    new: Object,
    called: bool,
    webhooks: dict[str, Object],
) -> None:
    request = {"operation": operation}
    webhook = webhooks["workloads.imagegate.dev"]
    assert holds(webhook, object=new, oldObject=old, request=request) is called


def test_a_condition_that_reads_the_subresource_would_end_in_an_error() -> None:
    """The trap of kube-facts.md 4; and errors are not taken for answers here."""
    trap = {"matchConditions": [{"name": "trap", "expression": "request.subResource == ''"}]}
    with pytest.raises(TypeError):
        holds(trap, object=pod(), oldObject=pod(), request={"operation": "UPDATE"})
