"""What the chart makes, against the code: whatever it tells a process, the process takes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from services.scanner.settings import GIB, ScannerSettings
from shared.adapters.kubernetes.namespace_wire import ADVICE
from shared.runtime.settings import Port
from tests.deploy.chart import ANCHORE, NAMESPACE, REPOSITORY, ROOT, Object, Values, rendered
from tests.deploy.manifests import (
    Files,
    Manifests,
    changed,
    optional,
    selects,
    told_by,
)
from tests.deploy.told import SETTINGS, fields, mistakes

VERSION = "0.1.0"

NOTICES = "/events/anchore"
COMPONENT = {"app.kubernetes.io/component": "intake"}
DEPLOYMENTS = [f"imagegate-{service}" for service in SETTINGS]
ASK_THE_API_SERVER = {"imagegate-webhook", "imagegate-worker", "imagegate-webhooks"}

Release = Callable[..., Manifests]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_process_takes_all_that_it_is_told(
    name: str, everything: Manifests, tmp_path: Path
) -> None:
    told = told_by(everything, name, root=tmp_path)
    assert mistakes(told) == []
    assert told.command == (name.removeprefix("imagegate-"),)


def test_in_the_audit_variant_too(audit: Manifests, tmp_path: Path) -> None:
    for name in DEPLOYMENTS[:4]:
        assert mistakes(told_by(audit, name, root=tmp_path / name)) == []


def test_where_workloads_are_pinned_too(pinning: Manifests, tmp_path: Path) -> None:
    told = told_by(pinning, "imagegate-webhook", root=tmp_path)
    assert mistakes(told) == []
    assert told.environ["IMAGEGATE_PIN"] == "all"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda pod: pod["env"].append({"name": "IMAGEGATE_WAITS", "value": "2"}),
            "IMAGEGATE_WAITS is no setting of WebhookSettings",
        ),
        (
            lambda pod: pod["env"].append({"name": "AMQP_URL", "value": "amqp://u:p@rabbitmq"}),
            "AMQP_URL is a secret and stands in the environment",
        ),
        (
            lambda pod: pod["env"][0].update(value="/etc/imagegate/secrets/redis_url"),
            "REDIS_URL_FILE is /etc/imagegate/secrets/redis_url, which is not mounted",
        ),
        (lambda pod: pod.update(args=["web"]), "imagegate web is no command"),
        (
            lambda pod: pod["readinessProbe"]["httpGet"].update(path="/ready"),
            "a probe asks for /ready, which is none of",
        ),
        (
            lambda pod: pod["readinessProbe"]["httpGet"].update(port="reviews"),
            "a probe asks port 8443, and it is well on 8081",
        ),
        (
            lambda pod: pod["env"].remove(
                {"name": "IMAGEGATE_HEALTH_HOST", "value": "0.0.0.0"},
            ),
            "a probe asks from outside, and IMAGEGATE_HEALTH_HOST is the loopback address",
        ),
        (
            lambda pod: pod["env"].remove({"name": "IMAGEGATE_HOST", "value": "0.0.0.0"}),
            "port 8443 is called from outside, and it listens on the loopback address",
        ),
    ],
)
def test_a_mistake_is_named(change: Any, says: str, base: Manifests, tmp_path: Path) -> None:
    broken = changed(base)
    webhook = broken.one("Deployment", "imagegate-webhook")
    (container,) = webhook["spec"]["template"]["spec"]["containers"]
    change(container)
    found = mistakes(told_by(broken, "imagegate-webhook", root=tmp_path))
    assert {says in line for line in found} == {True}


def test_a_secret_that_is_mounted_is_one_that_is_made_as_told(
    everything: Manifests, brought: Files
) -> None:
    """Every one that a pod mounts; and none is made that nobody mounts."""
    own = {(one["kind"], one["metadata"]["name"]) for one in everything.objects}
    used = {held for pod in pods(everything) for held in mounted(pod)}
    assert used - own == set(brought)


def mounted(pod: Object) -> set[tuple[str, str]]:
    """The Secrets and ConfigMaps that must be there for a pod to start."""
    return {
        ("Secret", volume["secret"]["secretName"])
        if "secret" in volume
        else ("ConfigMap", volume["configMap"]["name"])
        for volume in pod["spec"]["volumes"]
        if not {"emptyDir", "persistentVolumeClaim"} & set(volume) and not optional(volume)
    }


def test_no_value_of_a_secret_is_in_the_repository_or_in_what_the_chart_makes(
    everything: Manifests,
) -> None:
    """But for what Helm itself makes up, in a trial or a certificate."""
    assert everything.all("Secret") == []
    for path in (ROOT / "k8s").rglob("*.yaml"):
        found = re.findall(r"\w+://[^\s/]*:[^\s/]+@", path.read_text())
        assert all("%s:%s@" in one or "PASSWORD" in one for one in found), path


def test_only_the_worker_gets_the_key_that_signs(everything: Manifests) -> None:
    holders = [key for key, held in everything.files.items() if "worker.key" in held]
    assert holders == [("Secret", "imagegate-worker-keys")]
    users = [
        one["metadata"]["name"]
        for one in everything.all("Deployment")
        if "imagegate-worker-keys" in str(one["spec"]["template"]["spec"]["volumes"])
    ]
    assert users == ["imagegate-worker"]
    assert not any("operator.key" in held for held in everything.files.values())


def pods(manifests: Manifests) -> list[Object]:
    """Of what keeps running."""
    return [one["spec"]["template"] for one in manifests.all("Deployment")]


def jobs(manifests: Manifests) -> list[Object]:
    """Of what Helm runs."""
    return [one["spec"]["template"] for one in manifests.all("Job")]


def test_a_pod_can_do_no_more_than_it_must(everything: Manifests) -> None:
    accounts = {one["metadata"]["name"]: one for one in everything.all("ServiceAccount")}
    assert not any(one["automountServiceAccountToken"] for one in accounts.values())
    for pod in [*pods(everything), *jobs(everything)]:
        spec = pod["spec"]
        context = spec["securityContext"]
        (container,) = spec["containers"]
        asks_the_api_server = spec["serviceAccountName"] in ASK_THE_API_SERVER
        assert spec["automountServiceAccountToken"] is asks_the_api_server
        accounts.pop(spec["serviceAccountName"], None)
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 65532
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        for volume in spec["volumes"]:
            # Root owns it, and only the group of the process may read it (signatures.md).
            # But for the CA's certificate, which is none.
            mode = 0o444 if volume["name"] == "webhook-ca" else 0o440
            assert "secret" not in volume or volume["secret"]["defaultMode"] == mode
    assert accounts == {}


READS_NAMESPACES = {
    "apiGroups": [""],
    "resources": ["namespaces"],
    "verbs": ["get", "list", "watch"],
}
LABELLED: Values = {
    "rules": {"rules": [{"name": "a", "match": {"namespaceLabels": {"tier": "prod"}}}]}
}


def rights(manifests: Manifests, account: str) -> list[Object]:
    """What roles of ours let an account of ours do."""
    found = []
    for scope in ("ClusterRole", "Role"):
        for binding in manifests.all(f"{scope}Binding"):
            (subject,) = binding["subjects"]
            assert subject["kind"] == "ServiceAccount"
            assert subject["namespace"] == NAMESPACE
            if subject["name"] == account:
                found += manifests.one(scope, binding["roleRef"]["name"])["rules"]
    return found


def test_an_account_has_no_other_rights_than_it_needs(everything: Manifests) -> None:
    status = ["replicasets/status", "statefulsets/status", "daemonsets/status"]
    assert rights(everything, "imagegate-webhook") == [
        {"apiGroups": ["apps"], "resources": status, "verbs": ["patch"]},
        {"apiGroups": ["batch"], "resources": ["jobs/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["replicationcontrollers/status"], "verbs": ["patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    assert rights(everything, "imagegate-worker") == [
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]},
    ]
    for account in ("imagegate-intake", "imagegate-console", "imagegate-scanner"):
        assert rights(everything, account) == []
    verbs = ["get", "create", "patch", "delete"]
    assert rights(everything, "imagegate-webhooks") == [
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": [f"{kind}webhookconfigurations"],
            "resourceNames": [name],
            "verbs": verbs,
        }
        for kind, name in (("validating", "imagegate"), ("mutating", "zz-imagegate"))
    ] + [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "resourceNames": ["imagegate-webhook"],
            "verbs": ["get"],
        }
    ]


def test_only_who_has_rules_about_namespaces_reads_them(release: Release) -> None:
    assert READS_NAMESPACES in rights(release(ANCHORE | LABELLED), "imagegate-webhook")
    objects = rendered(ANCHORE | {"rulesConfigMap": "my-rules"})
    assert READS_NAMESPACES in rights(Manifests(objects, {}), "imagegate-webhook")


def test_the_role_is_the_one_that_a_refused_webhook_asks_for(release: Release) -> None:
    role = release(ANCHORE | LABELLED).one("ClusterRole", "imagegate-webhook")
    assert f"ClusterRole {role['metadata']['name']} " in ADVICE
    assert all(verb in ADVICE for verb in role["rules"][0]["verbs"])


def test_who_wants_nothing_of_the_api_server_gets_no_token(release: Release) -> None:
    off = {"enabled": False}
    nothing = {"nudge": off, "inventory": off, "enforcement": "none"}
    nothing |= {"rules": {"platforms": ["linux/amd64"]}}
    plain = release(ANCHORE | nothing | {"webhooks": {"apply": "direct"}})
    assert not any(pod["spec"]["automountServiceAccountToken"] for pod in pods(plain))
    assert plain.all("ClusterRole") == plain.all("Role") == []


def test_everything_is_in_the_namespace_of_the_release(everything: Manifests) -> None:
    here = {one["metadata"].get("namespace") for one in everything.objects} - {None}
    assert here == {NAMESPACE}
    elsewhere = rendered(ANCHORE, namespace="gate")
    assert {one["metadata"].get("namespace") for one in elsewhere} - {None} == {"gate"}
    assert "imagegate.svc" not in str(elsewhere)


def test_no_service_of_kubernetes_becomes_a_setting(everything: Manifests) -> None:
    """For a Service imagegate-intake each pod gets IMAGEGATE_INTAKE_PORT=tcp://..."""
    names = {
        f"{one['metadata']['name'].upper().replace('-', '_')}_PORT"
        for one in everything.all("Service")
    }
    taken = {
        name
        for settings in SETTINGS.values()
        for name, kind in fields(settings).items()
        if kind == Port and name in names
    }
    assert taken == {"IMAGEGATE_INTAKE_PORT", "IMAGEGATE_SCANNER_PORT"}
    assert all(pod["spec"]["enableServiceLinks"] is False for pod in pods(everything))


def test_a_process_gets_more_time_to_stop_than_it_takes(everything: Manifests) -> None:
    for pod in pods(everything):
        (container,) = pod["spec"]["containers"]
        before = container.get("lifecycle", {"preStop": {"sleep": {"seconds": 0}}})
        asleep = before["preStop"]["sleep"]["seconds"]
        drain = SETTINGS[container["args"][0]](imagegate_state=Path()).imagegate_drain
        assert pod["spec"]["terminationGracePeriodSeconds"] > asleep + drain + 10


def test_what_is_called_through_a_service_leaves_it_before_it_stops(
    everything: Manifests,
) -> None:
    for name in ("imagegate-webhook", "imagegate-intake"):
        (container,) = everything.one("Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 5


def test_every_selector_means_exactly_one_deployment(everything: Manifests) -> None:
    selectors = [one["spec"]["selector"] for one in everything.all("Service")]
    selectors += [
        one["spec"]["selector"]["matchLabels"]
        for kind in ("PodDisruptionBudget", "Deployment")
        for one in everything.all(kind)
    ]
    selectors += [
        one["spec"]["podSelector"]["matchLabels"]
        for one in everything.all("NetworkPolicy")
        if one["metadata"]["name"] != "imagegate-nothing-else"
    ]
    selectors += [
        constraint["labelSelector"]["matchLabels"]
        for pod in pods(everything)
        for constraint in pod["spec"].get("topologySpreadConstraints", ())
    ]
    for selector in selectors:
        matches = [pod for pod in pods(everything) if selects(selector, pod["metadata"]["labels"])]
        assert len(matches) == 1, selector


def test_every_deployment_has_a_policy_that_opens_what_is_called_and_no_more(
    everything: Manifests,
) -> None:
    open_ports = {
        one["metadata"]["name"]: {
            port["port"] for rule in one["spec"].get("ingress", ()) for port in rule["ports"]
        }
        for one in everything.all("NetworkPolicy")
    }
    assert open_ports == {
        "imagegate-nothing-else": set(),
        "imagegate-webhook": {"reviews", "health"},
        "imagegate-worker": {"health"},
        "imagegate-intake": {"events", "health"},
        "imagegate-console": {"health"},
        "imagegate-scanner": {"anchore", "health"},
    }
    for pod in pods(everything):
        (container,) = pod["spec"]["containers"]
        named = {port["name"] for port in container["ports"]}
        assert open_ports[pod["spec"]["serviceAccountName"]] <= named


def test_the_webhook_survives_a_node_and_a_drain(base: Manifests) -> None:
    webhook = base.one("Deployment", "imagegate-webhook")
    (budget,) = base.all("PodDisruptionBudget")
    spread = webhook["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert webhook["spec"]["replicas"] == 3
    assert webhook["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert budget["spec"]["maxUnavailable"] == 1
    assert spread[0]["topologyKey"] == "kubernetes.io/hostname"


def test_changed_rules_restart_nobody_since_processes_follow_the_mounted_file(
    everything: Manifests,
) -> None:
    """A file that is mounted by its own path (subPath) never changes."""
    mounts = [
        mount for pod in pods(everything) for mount in pod["spec"]["containers"][0]["volumeMounts"]
    ]
    assert not any("subPath" in mount for mount in mounts)
    assert not any("annotations" in pod["metadata"] for pod in pods(everything))


def test_what_the_scanner_knows_outlives_its_pod_and_two_pods_never_have_it(
    everything: Manifests,
) -> None:
    scanner = everything.one("Deployment", "imagegate-scanner")["spec"]
    (claim,) = everything.all("PersistentVolumeClaim")
    volumes = {volume["name"]: volume for volume in scanner["template"]["spec"]["volumes"]}
    assert volumes["state"] == {
        "name": "state",
        "persistentVolumeClaim": {"claimName": claim["metadata"]["name"]},
    }
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert (scanner["replicas"], scanner["strategy"]) == (1, {"type": "Recreate"})


def test_the_scanner_tells_the_intake_that_is_there_with_the_password_that_it_takes(
    everything: Manifests, tmp_path: Path
) -> None:
    scanner = told_by(everything, "imagegate-scanner", root=tmp_path / "scanner")
    intake = told_by(everything, "imagegate-intake", root=tmp_path / "intake")
    url = urlsplit(scanner.environ["IMAGEGATE_SCANNER_NOTIFY_URL"])
    service = everything.one("Service", str(url.hostname))
    assert selects(service["spec"]["selector"], {"app.kubernetes.io/name": "imagegate"} | COMPONENT)
    assert url.port in {port["port"] for port in service["spec"]["ports"]}
    assert url.path == NOTICES
    sent = scanner.here(scanner.environ["IMAGEGATE_SCANNER_NOTIFY_PASSWORD_FILE"])
    taken = intake.here(intake.environ["IMAGEGATE_EVENTS_PASSWORD_FILE"])
    assert sent is not None
    assert taken is not None
    assert sent.read_text() == taken.read_text() != ""


def test_the_scanner_has_room_for_all_analyses_that_it_may_make_at_a_time(
    everything: Manifests,
) -> None:
    (claim,) = everything.all("PersistentVolumeClaim")
    size = claim["spec"]["resources"]["requests"]["storage"]
    assert size.endswith("Gi")
    told = ScannerSettings()
    most = told.imagegate_scanner_analyses * told.imagegate_scanner_max_disk
    assert int(size.removesuffix("Gi")) * GIB > most * 3 / 2


def test_only_exceptions_are_made_when_they_are_needed(everything: Manifests) -> None:
    volumes = [volume for pod in pods(everything) for volume in pod["spec"]["volumes"]]
    names = [volume["configMap"]["name"] for volume in volumes if optional(volume)]
    assert names == ["imagegate-exceptions"]
    assert ("ConfigMap", "imagegate-exceptions") not in everything.files


def test_the_image_is_named_in_one_place_for_all(everything: Manifests) -> None:
    for pod in [*pods(everything), *jobs(everything)]:
        (container,) = pod["spec"]["containers"]
        with_syft = "-scanner" if container["name"] == "scanner" else ""
        assert container["image"] == f"{REPOSITORY}{with_syft}:{VERSION}"


def test_audit_differs_in_what_it_refuses_and_in_nothing_else(
    base: Manifests, audit: Manifests
) -> None:
    def rules(manifests: Manifests) -> Any:
        return yaml.safe_load(manifests.one("ConfigMap", "imagegate-rules")["data"]["rules.yaml"])

    told = rules(audit)
    assert {one["mode"] for one in [told["default"], *told["rules"]]} == {"audit"}
    starter = ROOT / "services" / "cli" / "rules" / "starter.yaml"
    assert rules(base) == yaml.safe_load(starter.read_text())

    def rest(manifests: Manifests) -> list[str]:
        differ = {"imagegate-rules", "imagegate-webhooks", "imagegate-webhooks-relax"}
        kept = [
            one
            for one in manifests.objects
            if one["kind"] not in ("ConfigMap", "Job") or one["metadata"]["name"] not in differ
        ]
        return sorted(map(yaml.safe_dump, kept))

    assert rest(audit) == rest(base)


def test_no_secret_that_is_made_as_told_can_be_read_by_others(secrets_folder: Path) -> None:
    made = secrets_folder.iterdir()
    secret = [
        path
        for path in made
        if path.suffix not in {".pub", ".crt", ".lock"} and path.name[0] != "."
    ]
    assert {"operator.key", "worker.key", "console-token", "amqp-url-webhook"} <= {
        path.name for path in secret
    }
    assert not [path.name for path in secret if path.stat().st_mode & 0o077]
