"""A release of the chart in a real cluster, by the real Helm: its webhook, and people beside it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shared.adapters.signatures import ensure_keys
from tests.e2e.kubelet import Kubelet
from tests.e2e.site import Service
from tests.fakes.certificates import server_certificate
from tests.servers.kubernetes import KubernetesServer, Ran
from tests.servers.ports import free_ports

CHART = Path(__file__).parents[2] / "k8s" / "chart"
HERE = "imagegate"
THERE = "team"
RELEASE = "imagegate"
CONFIGURATIONS = (
    "validatingwebhookconfiguration/imagegate",
    "mutatingwebhookconfiguration/zz-imagegate",
)

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
