"""docs/install.md from nothing to an enforced namespace: the chart, installed by Helm, with every
pod at work, and the API server that asks the webhooks through their Service."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.secrets import make_cluster_secrets, shell_blocks
from tests.deploy.told import Told
from tests.e2e.in_pod import NAMES
from tests.e2e.kube_proxy import KubeProxy
from tests.e2e.node import ROOT, Node, Ours
from tests.e2e.site import persist, until
from tests.functional.scanner.images import BASE_FILES, NETBASE, OPENSSH, debian_image
from tests.servers.kubernetes import KubernetesServer, Ran
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.servers.registry import RegistryServer
from tests.servers.rights import PASSWORD, redis_rights

CHART = ROOT / "k8s" / "chart"
INSTRUCTIONS = ROOT / "docs" / "install.md"
HERE = "imagegate"
THERE = "payments"
PATIENCE = 240.0
REGISTRY = "registry.corp:5000"

pytestmark = pytest.mark.timeout(900)

Values = dict[str, Any]
Outside = Callable[[Path, ExitStack, RegistryServer], Mapping[str, int]]
"""Starts what is not in imagegate's namespace; where each `HOST:PORT` is on this machine."""


class Place:
    """A cluster, a node for imagegate's namespace, a registry."""

    def __init__(
        self, cluster: KubernetesServer, node: Node, registry: RegistryServer, folder: Path
    ) -> None:
        self.cluster = cluster
        self.node = node
        self.registry = registry
        self.folder = folder

    def done(self, verb: str, *options: str, values: Values | None = None) -> None:
        """`helm VERB` of the release, which must succeed."""
        command: list[str | Path] = [verb, "imagegate"]
        if verb in ("install", "upgrade"):
            file = self.folder / "values.yaml"
            file.write_text(yaml.safe_dump(values or {}))
            command += [CHART, f"--values={file}"]
        ran = self.cluster.helm(*command, f"--namespace={HERE}", *options, within=400)
        assert ran.code == 0, (ran, self.node.said, self.node.words())

    def push(self, name: str, *stanzas: str) -> str:
        """An image, as a pod names it."""
        self.registry.push(debian_image(BASE_FILES, NETBASE, *stanzas), name)
        return f"{REGISTRY}/{name}"

    def kubectl_run(self, name: str, image: str, namespace: str = THERE) -> Ran:
        return self.cluster.kubectl("run", name, f"--image={image}", f"--namespace={namespace}")

    def image_of(self, pod: str) -> str:
        (container,) = self.cluster.get("pod", pod, namespace=THERE)["spec"]["containers"]
        return str(container["image"])

    def console(self, *command: str) -> Ran:
        """What a person on call runs in the console's pod; it must succeed."""
        ran = persist(lambda: self.node.run("imagegate-console", *command))
        assert ran.code == 0, (ran, self.node.words())
        return ran

    def decided(self, image: str) -> bool:
        """Whether a webhook has written down that it was asked about the image."""
        found = self.console("decisions", "--output=json").json
        return any(image in str(each) for each in found)

    def wait_until_ready(self) -> None:
        """All pods; what they said last, if they do not come to be."""
        if until(self._all_ready, within=PATIENCE):
            return
        pods = self.cluster.kubectl("get", "pods", f"--namespace={HERE}").out
        pytest.fail(f"{pods}\n{self.node.said}\n{self.node.words()}")

    def _all_ready(self) -> bool:
        pods = self.cluster.get("pods", namespace=HERE)["items"]
        told = [
            condition["status"]
            for pod in pods
            for condition in pod["status"].get("conditions", ())
            if condition["type"] == "Ready"
        ]
        return bool(pods) and told == ["True"] * len(pods)


@contextmanager
def a_place(folder: Path, outside: Outside) -> Iterator[Place]:
    """Where nothing is installed yet."""
    with ExitStack() as stack:
        cluster = stack.enter_context(KubernetesServer(folder / "k"))
        registry = stack.enter_context(RegistryServer(folder / "registry"))
        for name in (HERE, THERE, "other"):
            assert (made := cluster.kubectl("create", "namespace", name)).code == 0, made
        ports = {REGISTRY: registry.port, **outside(folder, stack, registry)}
        node = Node(cluster, HERE, folder=folder / "node", outside=ports)
        stack.enter_context(node)
        proxy = stack.enter_context(KubeProxy(folder, names=node.names))
        cluster.restart(proxy.flag)
        yield Place(cluster, node, registry, folder)


def enforced(place: Place, good: str, bad: str) -> None:
    """A good image passes, pinned; a bad one is refused in words."""
    ran = persist(lambda: place.kubectl_run("good", good))
    assert ran.code == 0, (ran, place.node.words())
    assert place.image_of("good").startswith(f"{good}@sha256:")
    refused: list[Ran] = []

    def is_refused() -> bool:
        refused.append(place.kubectl_run(f"bad-{len(refused)}", bad))
        return "refused by policy" in refused[-1].err

    assert until(is_refused), refused[-1]


def on_call(place: Place, good: str) -> None:
    """Commands of docs/operations.md, in the pods in which it runs them."""
    for command in ("status", "queue", "decisions --limit 10", f"verdicts {good}"):
        place.console(*command.split())
    explained = place.node.run("imagegate-webhook", "explain", good, "--namespace", THERE)
    assert explained.code == 0, explained
    shown = str(place.node.mounted("imagegate-webhook", "/etc/imagegate/tls/tls.crt"))
    service = f"https://imagegate-webhook.{HERE}.svc"
    asked = ("review", "--image", good, "--webhook", service, "--ca", shown)
    reviewed = place.node.run("imagegate-webhook", *asked)
    assert reviewed.code == 0, reviewed


def rules(**more: Any) -> Values:
    return {"registries": [{"host": REGISTRY, "insecure": True}], **more}


def nothing(*_: object) -> Mapping[str, int]:
    """A trial brings all that it stands on."""
    return {}


def test_a_trial_goes_from_nothing_to_an_enforced_cluster_and_back(tmp_path: Path) -> None:
    values: Values = {
        "image": {"repository": "registry.example.com/imagegate"},
        "rules": rules(),
        # Nobody is asked for data in a test.
        "scanner": {"sync": ""},
    }
    with a_place(tmp_path, nothing) as place:
        good, bad = place.push("team/good:1"), place.push("team/bad:1", OPENSSH)
        place.done("install", f"--values={CHART}/values-trial.yaml", values=values)
        place.wait_until_ready()
        assert place.kubectl_run("audited", bad).code == 0
        assert until(lambda: place.decided(bad)), place.node.words()

        keeps = "--reset-then-reuse-values"
        place.done("upgrade", keeps, values={"enforcement": "enforce"})
        enforced(place, good, bad)
        on_call(place, good)

        place.done("upgrade", keeps, values={"enforcement": "audit"})
        assert until(lambda: place.kubectl_run("again", bad).code == 0)
        place.done("uninstall")
        assert place.kubectl_run("after", bad).code == 0


def servers_outside(folder: Path, stack: ExitStack, registry: RegistryServer) -> Mapping[str, int]:
    """Redis, RabbitMQ and Anchore in the namespaces that install.md names, with its users."""
    secrets = folder / "secrets"
    secrets.mkdir()
    make_cluster_secrets(secrets, INSTRUCTIONS)
    redis = stack.enter_context(RedisServer(folder / "redis"))
    for user, rights in redis_rights().items():
        own = rights.replace(f">{PASSWORD}", ">PASSWORD").split()
        redis.command("ACL", "SETUSER", user, *own)
    rabbit = RabbitServer(folder / "rabbit")
    stack.callback(rabbit.stop)
    rabbit.start()
    for user, may in json.loads((CHART / "files" / "rabbitmq-rights.json").read_text()).items():
        rabbit.ctl("add_user", user, "PASSWORD")
        rabbit.ctl("set_permissions", user, may["configure"], may["write"], may["read"])
    (folder / "rules.yaml").write_text(
        yaml.safe_dump(
            {"apiVersion": "imagegate.dev/v1", "default": {"mode": "enforce"}, **rules()}
        )
    )
    names = folder / "names.json"
    names.write_text(json.dumps({REGISTRY: registry.port}))
    environ = {
        "IMAGEGATE_RULES": str(folder / "rules.yaml"),
        "IMAGEGATE_SCANNER_USER": "admin",
        "IMAGEGATE_SCANNER_PASSWORD_FILE": str(secrets / "anchore-password"),
        "IMAGEGATE_STATE": str(folder / "anchore-state"),
        "PYTHONPATH": str(ROOT),
        NAMES: str(names),
    }
    told = Told(where="", command=("scanner",), environ={}, root=folder)
    anchore = Ours(folder / "anchore", told, environ)
    stack.callback(anchore.stop)
    anchore.start_again()
    return {
        "redis.redis.svc:6379": redis.port,
        "rabbitmq.rabbitmq.svc:5672": rabbit.port,
        "anchore.anchore.svc:8228": anchore.ports[8228],
    }


def blocks(language: str) -> list[Values]:
    """The YAML of install.md."""
    parts = INSTRUCTIONS.read_text().split(f"```{language}\n")[1:]
    return [yaml.safe_load(part.partition("```")[0]) for part in parts]


def make_secrets(place: Place) -> None:
    """The lines of kubectl of install.md, in the folder of the secrets."""
    _, making, *_ = shell_blocks(INSTRUCTIONS)
    for line in making.splitlines()[1:]:
        words = [
            word.replace("=", f"={place.folder / 'secrets'}/", 1)
            if word.startswith("--from-file=") and word.count("=") == 1
            else word.replace("-url=", f"-url={place.folder / 'secrets'}/", 1)
            if word.startswith("--from-file=")
            else word
            for word in line.split()[1:]
        ]
        ran = place.cluster.kubectl(*words)
        assert ran.code == 0, (line, ran)


def test_an_installation_with_servers_outside_goes_by_what_is_told(tmp_path: Path) -> None:
    """Its secrets, its values, and one namespace first."""
    told, first, *_ = blocks("yaml")
    more = told["rules"] | rules()
    more["allowRegistries"] = [*more["allowRegistries"], REGISTRY]
    with a_place(tmp_path, servers_outside) as place:
        good, bad = place.push("team/good:1"), place.push("team/bad:1", OPENSSH)
        make_secrets(place)
        place.done("install", values=told | {"rules": more, "webhook": {"replicas": 2}})
        place.wait_until_ready()
        assert place.kubectl_run("audited", bad).code == 0

        values = told | {"webhook": {"replicas": 2}, "enforcement": first["enforcement"]}
        place.done("upgrade", values=values | {"rules": more | first["rules"]})
        enforced(place, good, bad)
        assert place.kubectl_run("elsewhere", bad, "other").code == 0
        on_call(place, good)
        assert "warning" not in place.console("status").out


LIMITED = """\
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: ResourceQuota
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: ResourceQuotaConfiguration
      limitedResources:
        - resource: pods
          matchScopes: [{scopeName: PriorityClass, operator: In, values: [system-cluster-critical]}]
"""
"""As GKE has it: pods of that class where a quota names it, and nowhere else."""


def test_where_classes_of_the_system_are_limited_the_webhooks_are_admitted(tmp_path: Path) -> None:
    limits = tmp_path / "limits.yaml"
    limits.write_text(LIMITED)
    values = {"image": {"repository": "registry.example.com/imagegate"}, "enforcement": "none"}
    values |= {"anchore": {"url": "http://anchore.anchore.svc:8228"}}
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    with KubernetesServer(tmp_path / "k") as cluster:
        cluster.restart(f"--admission-control-config-file={limits}")
        critical = json.dumps({"spec": {"priorityClassName": "system-cluster-critical"}})
        pod = ("run", "p", "--image=registry.corp/app", f"--overrides={critical}")
        assert "insufficient quota" in cluster.kubectl(*pod).err
        options = (f"--namespace={HERE}", "--create-namespace", f"--values={file}")
        ran = cluster.helm("install", "imagegate", CHART, *options, within=120)
        assert ran.code == 0, ran

        def webhooks() -> int:
            chosen = "--selector=app.kubernetes.io/component=webhook"
            return len(cluster.get("pods", chosen, namespace=HERE)["items"])

        assert until(lambda: webhooks() == 3), cluster.kubectl("get", "events", "-A").out
