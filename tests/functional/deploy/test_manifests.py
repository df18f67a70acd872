"""The manifests against Kubernetes' own schemas, and against the code."""

import copy
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from services.scanner.settings import GIB, ScannerSettings
from shared.adapters.kubernetes.namespace_wire import ADVICE
from shared.runtime.settings import Port
from tests.deploy.manifests import (
    FOLDER,
    Manifests,
    Object,
    changed,
    kustomized,
    optional,
    selects,
    told_by,
)
from tests.deploy.told import SETTINGS, fields, mistakes

VERSIONS = ("1.30", "1.37")
"""Of Kubernetes: the oldest that we name, the newest that there is a schema of."""

NOTICES = "/events/anchore"
COMPONENT = {"app.kubernetes.io/component": "intake"}
DEPLOYMENTS = [f"imagegate-{service}" for service in SETTINGS]
VALIDATE = str(Path(sys.executable).with_name("kubernetes-validate"))


@pytest.fixture(scope="module")
def everything(cluster_folder: Path) -> Manifests:
    """With the built-in scanner, as an operator takes it: by the comment's own line."""
    told = cluster_folder / "kustomization.yaml"
    text = told.read_text()
    told.write_text(text.replace("# components:", "components:"))
    try:
        return kustomized(cluster_folder)
    finally:
        told.write_text(text)


@pytest.fixture(scope="module")
def audit(cluster_folder: Path) -> Manifests:
    return kustomized(cluster_folder / "audit")


def refused(objects: list[Object], version: str, folder: Path) -> list[str]:
    """What Kubernetes' schemas say against objects."""
    file = folder / "objects.yaml"
    file.write_text(yaml.safe_dump_all(objects))
    command = [VALIDATE, "-k", version, "--strict", "--quiet", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = f"{ran.stdout}{ran.stderr}".splitlines()
    assert bool(ran.returncode) is bool(said)
    return said


@pytest.mark.parametrize("version", VERSIONS)
def test_they_are_what_kubernetes_reads(
    version: str, everything: Manifests, audit: Manifests, pinning: Manifests, tmp_path: Path
) -> None:
    assert refused(everything.objects, version, tmp_path) == []
    assert refused(audit.objects, version, tmp_path) == []
    assert refused(pinning.objects, version, tmp_path) == []


def test_a_misspelt_key_is_refused_by_the_schema(base: Manifests, tmp_path: Path) -> None:
    worker = copy.deepcopy(base.one("Deployment", "imagegate-worker"))
    worker["spec"]["template"]["spec"]["terminationGracePeriod"] = 45
    (said,) = refused([worker], VERSIONS[0], tmp_path)
    assert "terminationGracePeriod" in said


def test_every_file_is_in_a_kustomization(everything: Manifests, audit: Manifests) -> None:
    named = {
        (path.parent / name).resolve()
        for path in FOLDER.rglob("kustomization.yaml")
        for name in yaml.safe_load(path.read_text()).get("resources", ())
    }
    rules = {FOLDER / "base" / "rules.yaml", FOLDER / "audit" / "rules.yaml"}
    there = {path.resolve() for path in FOLDER.rglob("*.yaml")}
    assert {path for path in there - named if path.name != "kustomization.yaml"} == rules


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


def test_a_secret_that_nobody_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        kustomized(FOLDER)


def test_no_value_of_a_secret_is_in_the_repository() -> None:
    assert (FOLDER / "base" / "secrets" / ".gitignore").read_text() == "*\n!.gitignore\n"
    for path in FOLDER.rglob("*.yaml"):
        text = path.read_text()
        assert "kind: Secret" not in re.sub(r"source: \{kind: Secret", "", text), path
        assert re.findall(r"\w+://[^\s/]*:[^\s/]+@", text) == [], path


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
    return [one["spec"]["template"] for one in manifests.all("Deployment")]


def test_a_pod_can_do_no_more_than_it_must(everything: Manifests) -> None:
    accounts = {one["metadata"]["name"]: one for one in everything.all("ServiceAccount")}
    for pod in pods(everything):
        spec = pod["spec"]
        context = spec["securityContext"]
        (container,) = spec["containers"]
        asks_the_api_server = spec["serviceAccountName"] == "imagegate-webhook"
        assert spec["automountServiceAccountToken"] is asks_the_api_server
        assert accounts.pop(spec["serviceAccountName"])["automountServiceAccountToken"] is False
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
            assert "secret" not in volume or volume["secret"]["defaultMode"] == 0o440
    assert accounts == {}


def test_only_the_webhook_has_rights_in_the_cluster_and_only_reads_namespaces(
    everything: Manifests,
) -> None:
    (role,) = everything.all("ClusterRole")
    (binding,) = everything.all("ClusterRoleBinding")
    assert everything.all("Role") == everything.all("RoleBinding") == []
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]}
    ]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (subject,) = binding["subjects"]
    webhook = everything.one("Deployment", "imagegate-webhook")
    assert subject["kind"] == "ServiceAccount"
    assert subject["namespace"] == webhook["metadata"]["namespace"]
    assert subject["name"] == webhook["spec"]["template"]["spec"]["serviceAccountName"]


def test_the_role_is_the_one_that_a_refused_webhook_asks_for(base: Manifests) -> None:
    (role,) = base.all("ClusterRole")
    assert f"ClusterRole {role['metadata']['name']} " in ADVICE
    assert all(verb in ADVICE for verb in role["rules"][0]["verbs"])


def test_the_namespace_admits_no_more_than_these_pods_need(base: Manifests) -> None:
    (namespace,) = base.all("Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels == {"pod-security.kubernetes.io/enforce": "restricted"}
    here = {one["metadata"].get("namespace") for one in base.objects} - {None}
    assert here == {namespace["metadata"]["name"]}


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
        if one["spec"]["podSelector"]
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
        "nothing-else": set(),
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


def test_changed_keys_and_secrets_restart_whoever_reads_them(everything: Manifests) -> None:
    """All of them are generated: kustomize puts a hash of the content into the name."""
    used = {
        ("Secret", volume["secret"]["secretName"])
        if "secret" in volume
        else ("ConfigMap", volume["configMap"]["name"])
        for pod in pods(everything)
        for volume in pod["spec"]["volumes"]
        if not {"emptyDir", "persistentVolumeClaim"} & set(volume) and not optional(volume)
    }
    assert used == set(everything.files)


def test_changed_rules_restart_nobody_since_processes_follow_the_mounted_file(
    everything: Manifests, audit: Manifests
) -> None:
    """A file that is mounted by its own path (subPath) never changes."""
    for manifests in (everything, audit):
        assert manifests.kept == {("ConfigMap", "imagegate-rules")}
        mounts = [
            mount
            for pod in pods(manifests)
            for mount in pod["spec"]["containers"][0]["volumeMounts"]
        ]
        assert not any("subPath" in mount for mount in mounts)


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


def test_the_images_are_named_in_one_place_for_all(everything: Manifests, audit: Manifests) -> None:
    ours = {"registry.example.com/imagegate:0.1.0"}
    with_syft = {"registry.example.com/imagegate-scanner:0.1.0"}
    for manifests, expected in ((everything, ours | with_syft), (audit, ours)):
        images = {pod["spec"]["containers"][0]["image"] for pod in pods(manifests)}
        assert images == expected
    (scanner,) = (
        pod for pod in pods(everything) if pod["spec"]["containers"][0]["name"] == "scanner"
    )
    assert {scanner["spec"]["containers"][0]["image"]} == with_syft


def test_the_audit_variant_differs_in_what_it_refuses_and_in_nothing_else(
    base: Manifests, audit: Manifests
) -> None:
    rules = yaml.safe_load(audit.one("ConfigMap", "imagegate-rules")["data"]["rules.yaml"])
    assert rules["default"]["mode"] == "audit"
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        for one in audit.all(kind):
            assert {webhook["failurePolicy"] for webhook in one["webhooks"]} == {"Ignore"}

    def rest(manifests: Manifests) -> list[str]:
        kept = [
            one
            for one in changed(manifests).objects
            if one["metadata"]["name"] != "imagegate-rules"
        ]
        for one in kept:
            for webhook in one.get("webhooks", ()):
                webhook.pop("failurePolicy")
        return sorted(map(yaml.safe_dump, kept))

    assert rest(audit) == rest(base)


def test_no_secret_that_is_made_as_told_can_be_read_by_others(cluster_folder: Path) -> None:
    made = (cluster_folder / "base" / "secrets").iterdir()
    secret = [path for path in made if path.suffix not in {".pub", ".crt"} and path.name[0] != "."]
    assert {"tls.key", "worker.key", "console-token", "amqp-url-webhook"} <= {
        path.name for path in secret
    }
    assert not [path.name for path in secret if path.stat().st_mode & 0o077]
