"""The chart, installed in a real cluster by the real Helm: when the API server begins and ceases to
ask, and that no pod ever waits for a webhook that is not there."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.adapters.signatures import ensure_keys
from tests.deploy.examples import FOLDER as EXAMPLES
from tests.deploy.secrets import make_cluster_secrets, shell_blocks
from tests.e2e.kubelet import Kubelet
from tests.e2e.site import Service, until
from tests.fakes.certificates import server_certificate
from tests.servers.kubernetes import KubernetesServer, Ran
from tests.servers.kubernetes_processes import PERSON
from tests.servers.ports import free_ports

CHART = Path(__file__).parents[2] / "k8s" / "chart"
HERE = "imagegate"
THERE = "team"
RELEASE = "imagegate"
CONFIGURATIONS = (
    "validatingwebhookconfiguration/imagegate",
    "mutatingwebhookconfiguration/zz-imagegate",
)

pytestmark = pytest.mark.timeout(900)

LOCKED = "failed calling webhook"
"""What everybody reads whose pod waits for a webhook that is not there."""

HELM = "helm.sh/release.v1"
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-edit"

VALUES: dict[str, Any] = {
    "image": {"repository": "registry.corp/imagegate"},
    "anchore": {"url": "http://anchore.anchore.svc:8228"},
    "certificates": {"from": "secret"},
    "webhook": {"replicas": 2},
}


class Installation:
    """A release, the webhook that its pods would be, and what people see meanwhile."""

    def __init__(self, cluster: KubernetesServer, kubelet: Kubelet, folder: Path) -> None:
        self.cluster = cluster
        self.kubelet = kubelet
        self.folder = folder
        self.reviews = free_ports("reviews")["reviews"]
        self.ca, self.certificate = server_certificate(folder / "certificates")
        self.rules = folder / "rules.yaml"
        self.values: dict[str, Any] = VALUES | {
            "webhooks": {"url": f"https://127.0.0.1:{self.reviews}", "waitSeconds": 60}
        }

    def helm(self, verb: str, *options: str, **values: Any) -> Ran:
        """`helm VERB` of the release; with the chart and values where it takes them."""
        command = [verb, RELEASE]
        if verb in ("install", "upgrade"):
            file = self.folder / "values.json"
            file.write_text(json.dumps(self.values | values))
            command += [str(CHART), f"--values={file}"]
        return self.cluster.helm(*command, f"--namespace={HERE}", *options, within=300)

    def done(self, verb: str, *options: str, **values: Any) -> None:
        """The same, and it must succeed; the webhook follows its rules, as one in a pod would."""
        ran = self.helm(verb, *options, **values)
        assert ran.code == 0, (ran, self.kubelet.said)
        if verb != "uninstall":
            self.follow()

    def follow(self) -> None:
        """What the kubelet does with a mounted ConfigMap that changed."""
        held = self.cluster.get("configmap", "imagegate-rules", namespace=HERE)
        self.rules.write_text(held["data"]["rules.yaml"])

    def policies(self) -> dict[str, list[str]]:
        """Of each configuration that is there: its failurePolicies."""
        found = {}
        for name in CONFIGURATIONS:
            ran = self.cluster.kubectl("get", name, "--ignore-not-found", "--output=json")
            if ran.out:
                found[name] = [each["failurePolicy"] for each in ran.json["webhooks"]]
        return found

    @contextmanager
    def webhook(self) -> Iterator[Service]:
        """A real one. Its Redis is away, so that every image is unknown to it."""
        self.follow()
        service = Service(
            self.folder / "webhook",
            "webhook",
            own_port="IMAGEGATE_HEALTH_PORT",
            probe="/readyz",
            REDIS_URL="redis://127.0.0.1:1/0",
            AMQP_URL="amqp://127.0.0.1:1/",
            IMAGEGATE_STATE=str(self.folder / "state"),
            IMAGEGATE_RULES=str(self.rules),
            IMAGEGATE_KEYS=str(keys(self.folder / "keys")),
            IMAGEGATE_PORT=str(self.reviews),
            IMAGEGATE_CERTIFICATE=str(self.certificate.certificate),
            IMAGEGATE_CERTIFICATE_KEY=str(self.certificate.key),
            IMAGEGATE_LOG_LEVEL="WARNING",
        )
        with service:
            yield service

    def pod(self, name: str = "p") -> Ran:
        """A person tries to make a pod, for real."""
        ran = self.cluster.kubectl(
            *("run", name, "--image=registry.corp/app:1", f"--namespace={THERE}"),
            "--request-timeout=20s",
        )
        if ran.code == 0:
            self.cluster.kubectl("delete", "pod", name, f"--namespace={THERE}", "--now")
        return ran


def keys(folder: Path) -> Path:
    """Public keys of a worker that is nowhere."""
    return ensure_keys(folder)


class People:
    """Somebody who makes one pod after the other, and what became of them."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.refused: list[str] = []
        self.made = 0

    def __enter__(self) -> "People":
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._stopping.set()
        self._thread.join(timeout=60)

    def _work(self) -> None:
        while not self._stopping.wait(0.05):
            ran = self._installation.pod(f"person-{self.made + len(self.refused)}")
            if ran.code:
                self.refused.append(ran.err)
            else:
                self.made += 1


@pytest.fixture(scope="module")
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    """One of its own: every pod in it would be asked about."""
    with KubernetesServer(tmp_path_factory.mktemp("chart") / "kubernetes") as running:
        for name in (HERE, THERE):
            made = running.kubectl("create", "namespace", name)
            assert made.code == 0, made
        yield running


@pytest.fixture
def installation(own_cluster: KubernetesServer, tmp_path: Path) -> Iterator[Installation]:
    with Kubelet(own_cluster, HERE, folder=tmp_path / "kubelet") as kubelet:
        one = Installation(own_cluster, kubelet, tmp_path)
        files = {
            "tls.crt": one.certificate.certificate,
            "tls.key": one.certificate.key,
            "ca.crt": one.ca,
        }
        data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "imagegate-webhook-tls"},
            "data": data,
        }
        assert (made := own_cluster.apply(secret, namespace=HERE)).code == 0, made
        yield one
        one.helm("uninstall", "--no-hooks", "--ignore-not-found")
        own_cluster.kubectl("delete", "job", "--all", f"--namespace={HERE}")
        gone = ("wait", "--for=delete", "deployment,pod", "--all", f"--namespace={HERE}")
        own_cluster.kubectl(*gone, "--timeout=60s")
        own_cluster.kubectl("delete", *CONFIGURATIONS, "--ignore-not-found")
        own_cluster.kubectl("delete", "secret", "imagegate-webhook-tls", f"--namespace={HERE}")


def test_nobody_is_asked_before_the_webhooks_answer_and_nobody_waits_for_them_afterwards(
    installation: Installation,
) -> None:
    """From nothing over audit and enforce back to nothing, while somebody makes pods."""
    with People(installation) as people:
        installation.done("install", enforcement="none")
        assert installation.policies() == {}
        installation.done("upgrade", enforcement="audit")
        ignore = ["Ignore", "Ignore", "Ignore"], ["Ignore", "Ignore"]
        assert installation.policies() == dict(zip(CONFIGURATIONS, ignore, strict=True))
        # Nobody answers there: each pod passes all the same.
        assert installation.pod().code == 0
        with installation.webhook():
            assert until(lambda: people.made > 5)
            assert people.refused == []
            installation.done("upgrade", enforcement="enforce")
            assert installation.policies()[CONFIGURATIONS[0]] == ["Fail", "Fail", "Ignore"]
            assert until(lambda: installation.pod().code != 0), installation.kubelet.said
            installation.done("rollback", "2")
            assert installation.policies() == dict(zip(CONFIGURATIONS, ignore, strict=True))
            assert until(lambda: installation.pod().code == 0)
            installation.done("upgrade", enforcement="enforce")
            installation.done("uninstall")
            assert installation.policies() == {}
        assert installation.pod().code == 0
    assert [said for said in people.refused if LOCKED in said] == []
    assert people.refused, "it enforced for a time"
    assert all("registry.corp/app:1" in said for said in people.refused), people.refused[:3]


def test_what_is_kept_in_step_does_not_come_back_once_it_was_taken_away(
    installation: Installation,
) -> None:
    """The hourly Job may run while the release is removed."""
    cluster = installation.cluster

    def hour(name: str) -> Ran:
        where = (f"--namespace={HERE}", "--timeout=120s")
        made = cluster.kubectl("create", "job", name, "--from=cronjob/imagegate-webhooks", where[0])
        assert made.code == 0, made
        return cluster.kubectl("wait", "--for=condition=Complete", f"job/{name}", *where)

    step = {"keepInStep": {"enabled": True}}
    installation.values["webhooks"] |= step
    installation.done("install", enforcement="none")
    with installation.webhook():
        installation.done("upgrade", enforcement="enforce")
        validating = CONFIGURATIONS[0].split("/")
        off = '[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]'
        relaxed = cluster.kubectl("patch", *validating, "--type=json", f"--patch={off}")
        assert relaxed.code == 0, relaxed
        assert (ran := hour("first")).code == 0, (ran, installation.kubelet.said)
        assert installation.policies()[CONFIGURATIONS[0]] == ["Fail", "Fail", "Ignore"]
        assert cluster.kubectl("delete", *CONFIGURATIONS).code == 0
        assert (ran := hour("second")).code == 0, (ran, installation.kubelet.said)
        assert installation.policies() == {}


def test_an_upgrade_whose_webhooks_do_not_come_up_fails_and_changes_nothing_that_is_asked(
    installation: Installation,
) -> None:
    installation.kubelet.serving = False
    installation.values["webhooks"] |= {"waitSeconds": 5}
    installation.done("install", enforcement="audit")
    before = installation.policies()
    ran = installation.helm("upgrade", enforcement="enforce")
    assert ran.code != 0, ran
    assert installation.policies() == before
    said = installation.kubelet.said[-1]
    assert "0 pods are available" in said
    assert "the webhook configurations are as they were" in said
    assert installation.pod().code == 0


def test_where_pods_are_ready_and_their_certificate_is_not_believed_nothing_is_enforced(
    installation: Installation, tmp_path: Path
) -> None:
    other, _ = server_certificate(tmp_path / "other")
    installation.values["webhooks"] |= {"waitSeconds": 5}
    data = {"data": {"ca.crt": base64.b64encode(other.read_bytes()).decode()}}
    patched = installation.cluster.kubectl(
        *("patch", "secret", "imagegate-webhook-tls", f"--namespace={HERE}"),
        f"--patch={json.dumps(data)}",
    )
    assert patched.code == 0, patched
    installation.done("install", enforcement="none")
    with installation.webhook():
        assert installation.helm("upgrade", enforcement="enforce").code != 0
    assert installation.policies() == {}
    assert "shows a certificate that is not believed" in installation.kubelet.said[-1]


def test_a_cluster_whose_webhooks_died_is_freed_by_audit_though_they_never_come_back(
    installation: Installation,
) -> None:
    installation.done("install", enforcement="none")
    with installation.webhook():
        installation.done("upgrade", enforcement="enforce")
    assert LOCKED in installation.pod().err
    installation.kubelet.serving = False
    ran = installation.helm("upgrade", enforcement="audit", webhook={"podLabels": {"a": "b"}})
    assert ran.code == 0, (ran, installation.kubelet.said)
    assert installation.pod().code == 0
    installation.done("upgrade", enforcement="none")
    assert installation.policies() == {}


def test_the_configurations_of_another_installation_are_left_alone(
    installation: Installation,
) -> None:
    installation.done("install", enforcement="audit")
    annotate = ("annotate", "--overwrite", "imagegate.dev/installation=there/theirs")
    told = installation.cluster.kubectl(annotate[0], CONFIGURATIONS[0], *annotate[1:])
    assert told.code == 0, told
    installation.values["webhooks"] |= {"waitSeconds": 5}
    assert installation.helm("upgrade", enforcement="audit").code != 0
    assert "belongs to the installation there/theirs" in installation.kubelet.said[-1]


def test_what_helm_makes_is_kept_over_upgrades(installation: Installation) -> None:
    """Certificate, keys and passwords of a trial."""
    installation.cluster.kubectl("delete", "secret", "imagegate-webhook-tls", f"--namespace={HERE}")

    def secrets() -> dict[str, Any]:
        found = installation.cluster.get("secrets", namespace=HERE)["items"]
        return {one["metadata"]["name"]: one["data"] for one in found if one["type"] != HELM}

    told: dict[str, Any] = {"trial": {"enabled": True}, "certificates": {"from": "helm"}}
    told |= {"enforcement": "none", "webhooks": {}}
    installation.done("install", **told)
    first = secrets()
    assert {"imagegate-trial", "imagegate-webhook-tls", "imagegate-redis"} <= set(first)
    installation.done("upgrade", **told)
    assert secrets() == first
    # One that is nearly over is made anew, by the same CA: another would be believed by nobody yet.
    told["certificates"] = {"from": "helm", "helm": {"days": 3650, "renewBeforeDays": 2000}}
    installation.done("upgrade", **told)
    shown = secrets()["imagegate-webhook-tls"]
    assert shown["tls.crt"] != first["imagegate-webhook-tls"]["tls.crt"]
    assert shown["ca.crt"] == first["imagegate-webhook-tls"]["ca.crt"]
    for days, kept in ((300, True), (3, False)):
        ends = f"imagegate.dev/ends={int(time.time()) + days * 86400}"
        annotate = ("annotate", "secret", "imagegate-webhook-ca", ends, "--overwrite")
        assert installation.cluster.kubectl(*annotate, f"--namespace={HERE}").code == 0
        installation.done("upgrade", "--force-conflicts", **told)
        found = secrets()
        assert (found["imagegate-webhook-ca"] == first["imagegate-webhook-ca"]) is kept
        assert found["imagegate-webhook-tls"]["ca.crt"] == found["imagegate-webhook-ca"]["tls.crt"]


@pytest.mark.parametrize("server_side", ["true", "false"])
def test_autoscaling_takes_over_as_many_webhooks_as_there_are(
    installation: Installation, server_side: str
) -> None:
    """Whether Helm applies at the server (4) or compares with what it applied last (3)."""
    fixed: dict[str, Any] = {"enforcement": "none"}
    scaling = {"enabled": True, "minReplicas": 2, "maxReplicas": 9}
    scaled = fixed | {"webhook": {"replicas": 4, "autoscaling": scaling}}
    how = f"--server-side={server_side}"
    deployment = ("deployment", "imagegate-webhook")

    def replicas() -> int:
        found = installation.cluster.get(*deployment, namespace=HERE)
        return int(found["spec"]["replicas"])

    installation.done("install", how, **scaled)
    assert replicas() == 2
    installation.done("upgrade", how, **fixed, webhook={"replicas": 4})
    assert replicas() == 4
    for there in (4, 4, 5, 5):
        told = installation.cluster.kubectl(
            "scale", *deployment, f"--replicas={there}", f"--namespace={HERE}"
        )
        assert told.code == 0, told
        installation.done("upgrade", how, **scaled)
        assert replicas() == there


def test_a_certificate_that_was_brought_goes_not_with_the_one_that_helm_made(
    installation: Installation,
) -> None:
    told: dict[str, Any] = {"enforcement": "none", "webhooks": {}}
    tls = ("secret", "imagegate-webhook-tls", f"--namespace={HERE}")
    brought = installation.cluster.get(*tls[:2], namespace=HERE)["data"]
    installation.cluster.kubectl("delete", *tls)
    installation.done("install", **told, certificates={"from": "helm"})
    patch = f"--patch={json.dumps({'data': brought})}"
    assert installation.cluster.kubectl("patch", *tls, patch).code == 0
    ran = installation.helm("upgrade", **told, certificates={"from": "secret"})
    assert "set certificates.secretName to that" in ran.err, ran
    assert installation.cluster.get(*tls[:2], namespace=HERE)["data"] == brought
    other = {"from": "secret", "secretName": "mine"}
    installation.done("upgrade", **told, certificates=other)
    assert installation.cluster.kubectl("get", *tls).code != 0
    installation.done("upgrade", **told, certificates={"from": "secret"})


def test_the_notes_name_a_server_whose_namespace_is_not_exempt(installation: Installation) -> None:
    told = {"enforcement": "none", "anchore": {"url": "http://anchore.scanners.svc:8228"}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "imagegate-webhook"},
        # A password that is in no URL as the book has it; our own reader takes it.
        "stringData": {"redis-url": "redis://u:secr%t@redis.data.svc.cluster.local:6379/0"},
    }
    assert installation.cluster.apply(secret, namespace=HERE).code == 0
    ran = installation.helm("install", **told)
    assert "redis-url names redis.data.svc.cluster.local" in ran.out, ran
    assert "anchore.url names anchore.scanners.svc" in ran.out, ran
    assert "secr%t" not in ran.out + ran.err, ran
    ran = installation.helm("upgrade", **told, dependencyNamespaces=["data", "scanners"])
    assert "WARNING" not in ran.out, ran
    installation.cluster.kubectl("delete", "secret", "imagegate-webhook", f"--namespace={HERE}")


IMAGES = [
    ("docker.io/library/nginx:1", True),
    ("nginx", True),
    ("index.docker.io/library/nginx", True),
    ("team/app", True),
    ("Team/app", False),
    ("evil.io/app", False),
    ("localhost/app", False),
    ("registry.corp:5000/app", False),
    ("registry.corp/app", True),
]


NAMESPACES = ["namespaces", "namespaces/status", "namespaces/finalize"]


def places(image: str) -> list[dict[str, Any]]:
    """Pod specs that name the image, each in another place."""
    good = {"name": "good", "image": "registry.corp/good"}
    one = {"name": "one", "image": image}
    volume = {"name": "data", "image": {"reference": image}}
    return [
        {"containers": [good, one]},
        {"containers": [good], "initContainers": [one]},
        {"containers": [good], "volumes": [volume]},
    ]


def test_the_second_line_and_the_guard_hold_without_any_webhook(
    installation: Installation,
) -> None:
    cluster = installation.cluster
    installation.done(
        "install",
        enforcement="none",
        dependencyNamespaces=["data"],
        secondLine={"enabled": True, "registries": ["docker.io", "registry.corp"]},
        exemptLabel={"enabled": True},
        guard={"enabled": True, "groups": ["admins"], "users": ["admin"]},
    )

    def tried(spec: dict[str, Any], namespace: str = THERE) -> Ran:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": spec}
        options = (f"--namespace={namespace}", "--dry-run=server", "--filename=-")
        return cluster.kubectl("create", *options, stdin=json.dumps(pod))

    assert until(lambda: tried(places("evil.io/app")[0]).code != 0)
    for image, passes in IMAGES:
        for spec in places(image):
            ran = tried(spec)
            assert (ran.code == 0) is passes, (image, spec, ran)
    said = tried(places("evil.io/app")[0]).err
    assert "registries that this cluster allows (docker.io, registry.corp)" in said
    assert tried(places("evil.io/app")[0], HERE).code == 0

    # An ephemeral container, and labels of a pod that was there before.
    made = cluster.kubectl("run", "old", "--image=registry.corp/a", f"--namespace={THERE}")
    assert made.code == 0, made
    debug = ("debug", "old", "--attach=false", f"--namespace={THERE}", "--image")
    assert "registries that this cluster allows" in cluster.kubectl(*debug, "evil.io/sh").err
    assert cluster.kubectl("label", "pod", "old", "a=b", f"--namespace={THERE}").code == 0
    cluster.kubectl("delete", "pod", "old", "--now", f"--namespace={THERE}")

    # Who may make a namespace exempt.
    rights = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "namespaces", "labels": {AGGREGATE: "true"}},
        "rules": [{"apiGroups": [""], "resources": NAMESPACES, "verbs": ["*"]}],
    }
    assert cluster.apply(rights).code == 0
    assert until(lambda: cluster.kubectl("auth", "can-i", "create", "ns", user=PERSON).code == 0)
    refused = cluster.kubectl("create", "namespace", "data", "--dry-run=server", user=PERSON)
    assert "nothing in this namespace would be judged by imagegate" in refused.err, refused
    mine = ("create", "namespace", "mine", "--dry-run=server")
    assert cluster.kubectl(*mine, user=PERSON).code == 0
    exempts = ("label", "namespace", THERE, "imagegate.dev/exempt=true", "--dry-run=server")
    assert "would be judged by imagegate" in cluster.kubectl(*exempts, user=PERSON).err
    # A label comes by a subresource as well.
    status = (
        *("patch", "namespace", THERE, "--subresource=status", "--type=merge"),
        *("--patch", '{"metadata":{"labels":{"imagegate.dev/exempt":"true"}}}'),
        "--dry-run=server",
    )
    assert "would be judged by imagegate" in cluster.kubectl(*status, user=PERSON).err
    finalize = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": THERE, "labels": {"imagegate.dev/exempt": "true"}},
            "spec": {"finalizers": ["kubernetes"]},
        }
    )
    raw = ("replace", "--filename=-", f"--raw=/api/v1/namespaces/{THERE}/finalize?dryRun=All")
    finalized = cluster.kubectl(*raw, user=PERSON, stdin=finalize)
    assert "would be judged by imagegate" in finalized.err, finalized
    assert cluster.kubectl(*exempts).code == 0
    assert cluster.kubectl("create", "namespace", "data", "--dry-run=server").code == 0


def test_the_examples_are_taken_by_an_api_server_that_takes_no_unknown_field(
    own_cluster: KubernetesServer,
) -> None:
    """All but cert-manager's objects, which this cluster does not know."""
    for file in sorted(EXAMPLES.glob("*.yaml")):
        objects = [one for one in yaml.safe_load_all(file.read_text()) if one]
        known = [one for one in objects if not one["apiVersion"].startswith("cert-manager.io/")]
        options = ("--dry-run=server", "--validate=strict", "--filename=-")
        ran = own_cluster.kubectl("apply", *options, stdin=yaml.safe_dump_all(known))
        assert ran.code == 0, (file.name, ran)
        assert len(ran.out.splitlines()) == len(known)


def test_the_secrets_are_made_as_the_instructions_tell(
    own_cluster: KubernetesServer, tmp_path: Path
) -> None:
    """kubectl's lines of docs/install.md, and every Secret that the chart's pods mount is there."""
    instructions = CHART.parents[1] / "docs" / "install.md"
    make_cluster_secrets(tmp_path, instructions)
    _, making, *_ = shell_blocks(instructions)
    assert (made := own_cluster.kubectl("create", "namespace", "told")).code == 0, made
    for line in making.replace("-n imagegate create", "-n told create").splitlines()[2:]:
        ran = own_cluster.kubectl(*(_in_folder(word, tmp_path) for word in line.split()[1:]))
        assert ran.code == 0, (line, ran)
    secrets = own_cluster.get("secrets", namespace="told")["items"]
    services = ("webhook", "worker", "worker-keys", "intake", "console")
    assert {one["metadata"]["name"] for one in secrets} == {f"imagegate-{one}" for one in services}


def _in_folder(word: str, folder: Path) -> str:
    """A `--from-file` that names its file by its whole path."""
    if not word.startswith("--from-file="):
        return word
    key, _, file = word.removeprefix("--from-file=").rpartition("=")
    return f"--from-file={key or file}={folder / file}"
