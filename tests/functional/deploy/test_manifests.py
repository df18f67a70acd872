"""What the chart makes, against the code: whatever it tells a process, the process takes."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from services.scanner.settings import GIB, ScannerSettings
from shared.runtime.health import CHECK_TIMEOUT
from shared.runtime.settings import Port
from tests.deploy.chart import ANCHORE, NAMESPACE, REPOSITORY, ROOT, Object, rendered, templates
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
    every = [*everything.objects, *rendered(ANCHORE, "values-trial.yaml")]
    assert all(pod["spec"]["enableServiceLinks"] is False for _, pod in templates(every))


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


def test_the_webhook_survives_a_node_and_a_drain(base: Manifests) -> None:
    webhook = base.one("Deployment", "imagegate-webhook")
    (budget,) = base.all("PodDisruptionBudget")
    spread = webhook["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert webhook["spec"]["replicas"] == 3
    assert webhook["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert budget["spec"]["maxUnavailable"] == 1
    assert [each["topologyKey"] for each in spread] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    # Where there is one node alone all of them run there.
    assert {each["whenUnsatisfiable"] for each in spread} == {"ScheduleAnyway"}
    assert {each["maxSkew"] for each in spread} == {1}


def patience(probe: Object) -> int:
    """Seconds for which it may fail, without a break, until something is done."""
    return int(probe["periodSeconds"] * probe.get("failureThreshold", 3))


def test_who_hangs_is_restarted_and_not_who_waits_for_redis(everything: Manifests) -> None:
    """A store that is away makes nobody ready; to restart all for it would only make it worse."""
    for pod in pods(everything):
        (container,) = pod["spec"]["containers"]
        start, ready, alive = (
            container[f"{of}Probe"] for of in ("startup", "readiness", "liveness")
        )
        paths = [each["httpGet"]["path"] for each in (start, ready, alive)]
        assert paths == ["/livez", "/readyz", "/livez"]
        # A slow node gives a process a minute, before it answers first and while it is busy.
        assert patience(start) >= 60
        assert 60 <= patience(alive) <= 120
        # It takes reviews as soon as it can, and none soon after it no longer can.
        assert start["periodSeconds"] == 1
        assert patience(ready) <= 15
        # Its checks are given up by itself, with a reason, before the kubelet does.
        assert ready["timeoutSeconds"] > CHECK_TIMEOUT
        assert alive["timeoutSeconds"] >= ready["timeoutSeconds"]


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
