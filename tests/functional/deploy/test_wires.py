"""What one object of the chart says of another, and values of what they are told: settings, files,
what is scaled, whose certificate it is."""

import re
from typing import Any

import pytest

from tests.deploy.chart import ANCHORE, ROOT, SCANNER, Object, Values, one, rendered

ON = {"enabled": True}
TRIAL = ("values-trial.yaml",)


def container(objects: list[Object], name: str) -> Object:
    spec = one(objects, "Deployment", f"imagegate-{name}")["spec"]["template"]["spec"]
    (found,) = spec["containers"]
    return dict(found)


def environ(objects: list[Object], name: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(objects, name)["env"]}


# Settings: what a value says comes to those whom it concerns

NO_INVENTORY: Values = {"inventory": {"enabled": False}, "rules": {"platforms": ["linux/amd64"]}}

SETTINGS: list[tuple[Values, str, str, str]] = [
    ({"nudge": {"enabled": False}}, "webhook", "IMAGEGATE_NUDGE", "false"),
    ({"webhooks": {"pin": "none"}}, "webhook", "IMAGEGATE_PIN", "none"),
    ({"cluster": "north"}, "webhook", "IMAGEGATE_CLUSTER", "north"),
    ({"cluster": "north"}, "worker", "IMAGEGATE_CLUSTER", "north"),
    ({"cluster": "north"}, "console", "IMAGEGATE_CLUSTER", "north"),
    (NO_INVENTORY, "webhook", "IMAGEGATE_INVENTORY", "off"),
    (NO_INVENTORY, "worker", "IMAGEGATE_INVENTORY", "off"),
    ({"inventory": {"enabled": True}}, "webhook", "IMAGEGATE_INVENTORY", "on"),
    ({"inventory": {"enabled": True}}, "worker", "IMAGEGATE_INVENTORY", "on"),
    ({"anchore": ANCHORE["anchore"] | {"login": "oauth"}}, "worker", "ANCHORE_AUTH", "oauth"),
    ({"anchore": ANCHORE["anchore"] | {"login": "oauth"}}, "console", "ANCHORE_AUTH", "oauth"),
    ({"anchore": ANCHORE["anchore"] | {"api": "v2"}}, "worker", "ANCHORE_API", "v2"),
    ({"anchore": ANCHORE["anchore"] | {"account": "team"}}, "intake", "ANCHORE_ACCOUNT", "team"),
    ({"webhook": {"settings": {"IMAGEGATE_WAIT": 1.5}}}, "webhook", "IMAGEGATE_WAIT", "1.5"),
    (
        {"webhook": {"settings": {"IMAGEGATE_EVENTS": False}}},
        "webhook",
        "IMAGEGATE_EVENTS",
        "false",
    ),
]


@pytest.mark.parametrize(("values", "service", "name", "told"), SETTINGS)
def test_a_value_comes_to_the_process_that_it_is_about(
    values: Values, service: str, name: str, told: str
) -> None:
    assert environ(rendered(ANCHORE | values), service)[name] == told


FILES: list[tuple[Values, str, str, str]] = [
    ({"redis": {"caSecret": "r"}}, "webhook", "REDIS_CA", "/etc/imagegate/redis-ca/ca.crt"),
    ({"redis": {"caSecret": "r"}}, "intake", "REDIS_CA", "/etc/imagegate/redis-ca/ca.crt"),
    ({"rabbitmq": {"caSecret": "r"}}, "worker", "", "/etc/imagegate/rabbitmq-ca/ca.crt"),
    (
        {"anchore": ANCHORE["anchore"] | {"caSecret": "a"}},
        *("worker", "ANCHORE_CA", "/etc/imagegate/anchore-ca/ca.crt"),
    ),
    (
        {"webhook": {"clientCA": {"configMap": "c", "key": "own.crt"}}},
        *("webhook", "IMAGEGATE_CLIENT_CA", "/etc/imagegate/client-ca/own.crt"),
    ),
    ({"registrySecrets": {"ghcr": "g"}}, "worker", "", "/etc/imagegate/registries/ghcr/x"),
]


@pytest.mark.parametrize(("values", "service", "name", "file"), FILES)
def test_a_file_that_a_value_names_is_mounted_where_the_process_is_told(
    values: Values, service: str, name: str, file: str
) -> None:
    objects = rendered(ANCHORE | values)
    assert not name or environ(objects, service)[name] == file
    folders = {mount["mountPath"] for mount in container(objects, service)["volumeMounts"]}
    assert file.rpartition("/")[0] in folders


# What is scaled, and by what


@pytest.mark.parametrize(
    ("values", "kind", "name"),
    [
        ({"webhook": {"autoscaling": ON}}, "HorizontalPodAutoscaler", "imagegate-webhook"),
        ({"worker": {"autoscaling": {"by": "hpa"}}}, "HorizontalPodAutoscaler", "imagegate-worker"),
        (
            {"worker": {"autoscaling": {"by": "keda", "prometheus": "http://p:9090"}}},
            *("ScaledObject", "imagegate-worker"),
        ),
    ],
)
def test_what_scales_names_a_deployment_that_begins_with_the_least(
    values: Values, kind: str, name: str
) -> None:
    objects = rendered(ANCHORE | values)
    scales = one(objects, kind, name)["spec"]
    target = scales["scaleTargetRef"]
    assert target["name"] == name
    deployment = one(objects, "Deployment", target["name"])
    least = scales["minReplicaCount" if kind == "ScaledObject" else "minReplicas"]
    assert deployment["spec"]["replicas"] == least > 1
    # Who renders without a look at the cluster would set it back each time.
    plain = {"webhooks": {"apply": "direct"}, "certificates": {"from": "cert-manager"}}
    deployment = one(rendered(ANCHORE | plain | values), "Deployment", name)
    assert "replicas" not in deployment["spec"]
    # A share of what is asked for.
    assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]


def test_how_many_there_may_be_and_by_what_is_told() -> None:
    bounds = {"minReplicas": 4, "maxReplicas": 9}
    for part, switch in (("webhook", ON), ("worker", {"by": "hpa"})):
        own = {"autoscaling": switch | bounds | {"cpuPercent": 55}}
        found = one(rendered(ANCHORE | {part: own}), "HorizontalPodAutoscaler", f"imagegate-{part}")
        assert bounds.items() <= found["spec"].items()
        (metric,) = found["spec"]["metrics"]
        assert metric["resource"]["name"] == "cpu"
        target = {"type": "Utilization", "averageUtilization": 55}
        assert metric["resource"]["target"] == target


def test_keda_asks_for_what_waits_and_never_goes_to_none() -> None:
    own = {"by": "keda", "prometheus": "http://p:9090", "steps": 7, "oldestSeconds": 8}
    bounds = {"minReplicas": 3, "maxReplicas": 9}
    values = {"worker": {"replicas": 5, "autoscaling": own | bounds}}
    spec = one(rendered(ANCHORE | values), "ScaledObject", "imagegate-worker")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 9)
    # Prometheus away: as many as run without it.
    assert spec["fallback"]["replicas"] == 5
    triggers = {each["name"]: each["metadata"] for each in spec["triggers"]}
    assert {each["serverAddress"] for each in triggers.values()} == {"http://p:9090"}
    assert (triggers["steps"]["threshold"], triggers["oldest"]["threshold"]) == ("7", "8")
    names = {"imagegate_lane_ready_steps", "imagegate_lane_oldest_seconds"}
    asked = {re.findall(r"imagegate_\w+", each["query"])[0] for each in triggers.values()}
    assert asked == names
    page = (ROOT / "docs" / "operations.md").read_text()
    assert all(name in page for name in names)


def test_every_process_is_scraped_by_its_health_port_and_the_prometheus_that_is_named() -> None:
    labels = {"release": "prometheus"}
    told = {"monitoring": {"labels": labels, "podMonitor": ON, "rules": ON}}
    objects = rendered(SCANNER | told)
    monitor = one(objects, "PodMonitor", "imagegate")
    for each in (monitor, one(objects, "PrometheusRule", "imagegate")):
        assert labels.items() <= each["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    (relabel,) = endpoint["relabelings"]
    assert relabel["replacement"] == "imagegate-$1"
    assert relabel["targetLabel"] == "job"
    chosen = monitor["spec"]["selector"]["matchLabels"].items()
    for deployment in (each for each in objects if each["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]
        assert chosen <= pod["metadata"]["labels"].items()
        ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert endpoint["port"] in ports


# Certificates, storage, restarts


def test_cert_manager_makes_the_certificate_of_the_service_and_brings_its_ca() -> None:
    told: Values = {"certificates": {"from": "cert-manager"}, "webhooks": {"apply": "direct"}}
    objects = rendered(ANCHORE | told)
    own = one(objects, "Certificate", "imagegate-webhook")["spec"]
    service = one(objects, "Service", "imagegate-webhook")["metadata"]
    assert own["dnsNames"] == [f"{service['name']}.{service['namespace']}.svc"]
    hours = {key: int(own[key].removesuffix("h")) for key in ("duration", "renewBefore")}
    assert hours["renewBefore"] <= hours["duration"] / 2
    pod = one(objects, "Deployment", "imagegate-webhook")["spec"]["template"]["spec"]
    held = {each.get("secret", {}).get("secretName") for each in pod["volumes"]}
    assert own["secretName"] in held
    for kind in ("Validating", "Mutating"):
        name = "imagegate" if kind == "Validating" else "zz-imagegate"
        asked = one(objects, f"{kind}WebhookConfiguration", name)
        source = asked["metadata"]["annotations"]["cert-manager.io/inject-ca-from"]
        assert source == f"{service['namespace']}/imagegate-webhook"


def test_a_ca_of_ours_signs_unless_an_issuer_is_named() -> None:
    told: Values = {"certificates": {"from": "cert-manager"}}
    objects = rendered(ANCHORE | told)
    issuer = one(objects, "Certificate", "imagegate-webhook")["spec"]["issuerRef"]
    signs = one(objects, issuer["kind"], issuer["name"])["spec"]["ca"]["secretName"]
    authority = one(objects, "Certificate", "imagegate-webhook-ca")["spec"]
    assert (authority["secretName"], authority["isCA"]) == (signs, True)
    itself = one(objects, authority["issuerRef"]["kind"], authority["issuerRef"]["name"])
    assert itself["spec"] == {"selfSigned": {}}
    # What is renewed is the webhook's: with another CA pods would be refused.
    served = one(objects, "Certificate", "imagegate-webhook")["spec"]
    years = int(authority["duration"].removesuffix("h")) / 8760
    assert years >= 10
    assert int(served["duration"].removesuffix("h")) / 8760 < 1

    named = {"kind": "ClusterIssuer", "name": "corp"}
    told["certificates"]["certManager"] = {"issuerRef": named}
    objects = rendered(ANCHORE | told)
    kinds = [each["kind"] for each in objects if each["apiVersion"].startswith("cert-manager.io")]
    assert kinds == ["Certificate"]
    assert one(objects, "Certificate", "imagegate-webhook")["spec"]["issuerRef"] == named


def test_the_scanner_keeps_what_it_knows_where_it_is_told() -> None:
    told: dict[str, Any] = {"enabled": True, "storage": {"existingClaim": "mine"}, "sync": "debian"}
    objects = rendered(ANCHORE | {"scanner": told})
    pod = one(objects, "Deployment", "imagegate-scanner")["spec"]["template"]["spec"]
    claims = [
        each["persistentVolumeClaim"] for each in pod["volumes"] if "persistentVolumeClaim" in each
    ]
    assert claims == [{"claimName": "mine"}]
    assert not [each for each in objects if each["kind"] == "PersistentVolumeClaim"]
    assert environ(objects, "scanner")["IMAGEGATE_SCANNER_SYNC"] == "debian"


def test_a_scanner_without_a_way_out_asks_nobody_for_its_data() -> None:
    objects = rendered(ANCHORE | {"scanner": {"enabled": True, "sync": ""}})
    assert "IMAGEGATE_SCANNER_SYNC" not in environ(objects, "scanner")


def test_the_scanner_s_volume_is_of_the_size_and_class_that_is_told() -> None:
    storage = {"size": "99Gi", "className": "fast"}
    objects = rendered(ANCHORE | {"scanner": {"enabled": True, "storage": storage}})
    spec = one(objects, "PersistentVolumeClaim", "imagegate-scanner")["spec"]
    assert spec["storageClassName"] == "fast"
    assert spec["resources"]["requests"]["storage"] == "99Gi"
    plain = rendered(ANCHORE | {"scanner": {"enabled": True}})
    found = one(plain, "PersistentVolumeClaim", "imagegate-scanner")["spec"]
    # None at all is the cluster's default class, an empty one is none.
    assert "storageClassName" not in found


def test_secrets_that_are_made_anew_restart_whoever_reads_them() -> None:
    """Each rendering without a cluster makes others."""
    marks = [
        {
            each["spec"]["template"]["metadata"]["annotations"]["imagegate.dev/secrets"]
            for each in rendered(ANCHORE, *TRIAL, anew=True)
            if each["kind"] in ("Deployment", "StatefulSet")
        }
        for _ in range(2)
    ]
    assert [len(mark) for mark in marks] == [1, 1]
    assert marks[0] != marks[1]
