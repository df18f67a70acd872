"""What one object of the chart says of another, and values of what they are told: who may
call whom, which hook runs when, what is scaled, whose certificate it is."""

from typing import Any

import pytest

from tests.deploy.chart import ANCHORE, SCANNER, Object, Values, rendered

ON = {"enabled": True}
TRIAL = ("values-trial.yaml",)


def one(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = (
        each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )
    return found


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
    (NO_INVENTORY, "webhook", "IMAGEGATE_INVENTORY", "off"),
    (NO_INVENTORY, "worker", "IMAGEGATE_INVENTORY", "off"),
    ({"inventory": {"enabled": True}}, "webhook", "IMAGEGATE_INVENTORY", "on"),
    ({"inventory": {"enabled": True}}, "worker", "IMAGEGATE_INVENTORY", "on"),
    ({"anchore": ANCHORE["anchore"] | {"login": "oauth"}}, "worker", "ANCHORE_AUTH", "oauth"),
    ({"anchore": ANCHORE["anchore"] | {"login": "oauth"}}, "console", "ANCHORE_AUTH", "oauth"),
    ({"anchore": ANCHORE["anchore"] | {"api": "v2"}}, "worker", "ANCHORE_API", "v2"),
    ({"anchore": ANCHORE["anchore"] | {"account": "team"}}, "intake", "ANCHORE_ACCOUNT", "team"),
    ({"webhook": {"settings": {"IMAGEGATE_WAIT": 1.5}}}, "webhook", "IMAGEGATE_WAIT", "1.5"),
    ({"worker": {"settings": {"IMAGEGATE_NEW": True}}}, "worker", "IMAGEGATE_NEW", "true"),
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


# Hooks

HOOKS = {
    "audit": {
        "apply": "post-install,post-upgrade,post-rollback",
        "relax": "pre-upgrade,pre-rollback",
        "remove": "pre-delete",
    },
    "enforce": {
        "apply": "post-install,post-upgrade,post-rollback",
        "remove": "pre-delete",
    },
    "none": {
        "none": "pre-upgrade,pre-rollback,post-upgrade,post-rollback",
        "remove": "pre-delete",
    },
}


@pytest.mark.parametrize("enforcement", HOOKS)
def test_each_job_has_its_moment(enforcement: str) -> None:
    """README.md, "What Helm does when": one that failed stays until the next, for its log."""
    objects = rendered(ANCHORE | {"enforcement": enforcement, "webhooks": {"waitSeconds": 99}})
    jobs = {
        each["metadata"]["name"].removeprefix("imagegate-webhooks-"): each
        for each in objects
        if each["kind"] == "Job"
    }
    told = {name: job["metadata"]["annotations"] for name, job in jobs.items()}
    assert {name: each["helm.sh/hook"] for name, each in told.items()} == HOOKS[enforcement]
    policies = {each["helm.sh/hook-delete-policy"] for each in told.values()}
    assert policies == {"before-hook-creation,hook-succeeded"}
    for name, job in jobs.items():
        spec = job["spec"]
        assert spec["activeDeadlineSeconds"] == 129
        failing = spec["podFailurePolicy"]["rules"][0]
        assert (failing["action"], failing["onExitCodes"]["values"]) == ("FailJob", [2])
        (own,) = spec["template"]["spec"]["containers"]
        assert own["args"][:2] == ["webhooks", "remove" if name == "none" else name]
        assert ("--within=99" in own["args"]) is (name == "apply")


def test_what_is_kept_in_step_is_applied_and_nothing_else() -> None:
    objects = rendered(ANCHORE | {"webhooks": {"keepInStep": ON}})
    job = one(objects, "CronJob", "imagegate-webhooks")["spec"]["jobTemplate"]["spec"]
    assert job["template"]["spec"]["containers"][0]["args"][:2] == ["webhooks", "apply"]
    off = rendered(ANCHORE | {"webhooks": {"keepInStep": ON}, "enforcement": "none"})
    assert not [each for each in off if each["kind"] == "CronJob"]


def test_the_job_is_given_the_key_that_holds_the_ca() -> None:
    own = {"from": "secret", "caKey": "tls.crt"}
    job = one(rendered(ANCHORE | {"certificates": own}), "Job", "imagegate-webhooks-apply")
    spec = job["spec"]["template"]["spec"]
    (volume,) = (each for each in spec["volumes"] if each["name"] == "webhook-ca")
    assert volume["secret"]["items"] == [{"key": "tls.crt", "path": "tls.crt"}]
    assert "--ca=/etc/imagegate/webhook-ca/tls.crt" in spec["containers"][0]["args"]


# Who may call whom


def ingress(objects: list[Object], name: str) -> list[Object]:
    return list(one(objects, "NetworkPolicy", name)["spec"]["ingress"])


def components(rule: Object) -> set[str]:
    (who,) = rule["from"]
    (chosen,) = who["podSelector"]["matchExpressions"]
    assert chosen["operator"] == "In"
    return set(chosen["values"])


def test_only_the_api_servers_and_the_job_that_waits_ask_for_reviews() -> None:
    told = {"networkPolicy": {"reviewsFrom": ["10.0.0.0/28", "10.1.0.0/28"]}}
    _, reviews = ingress(rendered(ANCHORE | told), "imagegate-webhook")
    *blocks, job = reviews["from"]
    assert [each["ipBlock"]["cidr"] for each in blocks] == told["networkPolicy"]["reviewsFrom"]
    labels = job["podSelector"]["matchLabels"]
    applying = one(rendered(ANCHORE), "Job", "imagegate-webhooks-apply")
    assert labels.items() <= applying["spec"]["template"]["metadata"]["labels"].items()


def test_the_scanner_is_asked_by_those_that_have_its_password() -> None:
    (anchore,) = (
        rule
        for rule in ingress(rendered(SCANNER), "imagegate-scanner")
        if rule["ports"] == [{"port": "anchore"}]
    )
    assert components(anchore) == {"worker", "console"}


def test_servers_of_a_trial_are_called_by_those_that_have_a_user() -> None:
    objects = rendered(ANCHORE, *TRIAL)
    (rule,) = ingress(objects, "imagegate-trial-servers")
    assert rule["ports"] == [{"port": "redis"}, {"port": "amqp"}]
    assert components(rule) == {"webhook", "worker", "intake", "console"}
    for server in ("redis", "rabbitmq"):
        pod = one(objects, "StatefulSet", f"imagegate-{server}")["spec"]["template"]
        named = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert named <= {"redis", "amqp"}
        assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == server


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
def test_what_scales_names_a_deployment_that_says_no_number_itself(
    values: Values, kind: str, name: str
) -> None:
    objects = rendered(ANCHORE | values)
    target = one(objects, kind, name)["spec"]["scaleTargetRef"]
    assert target["name"] == name
    deployment = one(objects, "Deployment", target["name"])
    assert "replicas" not in deployment["spec"]
    # A share of what is asked for.
    assert deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]


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


def test_secrets_that_are_made_anew_restart_whoever_reads_them() -> None:
    """Each rendering without a cluster makes others."""
    marks = [
        {
            each["spec"]["template"]["metadata"]["annotations"]["imagegate.dev/secrets"]
            for each in rendered(ANCHORE, *TRIAL)
            if each["kind"] in ("Deployment", "StatefulSet")
        }
        for _ in range(2)
    ]
    assert [len(mark) for mark in marks] == [1, 1]
    assert marks[0] != marks[1]
