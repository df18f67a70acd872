"""imagegate with two webhooks that may nudge: both are asked about every pod, and deny it.

Each shows the token of the chart's ServiceAccount, which has the rights that stand there, and the
policy there holds for it.
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.admission import configurations
from tests.e2e.site import Service, Site
from tests.servers.ports import free_ports

EXAMPLE = Path(__file__).parents[2] / "k8s" / "examples" / "enforce.yaml"
"""What the chart makes, kept in step with it."""
NAMESPACE = "imagegate"
ACCOUNT = "imagegate-webhook"
ROLE = "imagegate-nudge"


class NudgedSite(Site):
    """As `Site`; `nudge` False: the same without."""

    def __init__(self, folder: Path, *, nudge: bool = True) -> None:
        super().__init__(folder)
        self._nudge = nudge
        self._others = free_ports("second reviews", "second health")
        self.webhooks: list[Service] = []

    @contextmanager
    def running(self) -> Iterator["NudgedSite"]:
        with super().running(), self._second() as second:
            self.webhooks = [self.webhook, second]
            self._ask_second()
            yield self

    def number(self, name: str, **labels: str) -> int:
        """The sum of a metric of both webhooks, of those that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            int(float(line.rpartition(" ")[2]))
            for webhook in self.webhooks
            for line in _metrics(webhook)
            if line.startswith((f"{name}{{", f"{name} ")) and all(each in line for each in wanted)
        )

    def said(self) -> str:
        """The last words of both."""
        return "\n".join(webhook.said() for webhook in self.webhooks)

    def token(self) -> str:
        """Of the ServiceAccount."""
        made = self.cluster.kubectl(
            "create", "token", ACCOUNT, f"--namespace={NAMESPACE}", "--duration=1h"
        )
        assert made.code == 0, made
        return made.out.strip()

    def patch(self, path: str, body: object) -> tuple[int, str]:
        """A merge patch by that account; kubectl would get the object first, and may not."""
        request = urllib.request.Request(
            f"{self.cluster.url}{path}",
            method="PATCH",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token()}",
                "Content-Type": "application/merge-patch+json",
            },
        )
        trusted = ssl.create_default_context(cafile=self.cluster.ca_file)
        try:
            with urllib.request.urlopen(request, timeout=30, context=trusted) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def _webhook(self) -> Service:
        self._grant()
        token = self.folder / "webhook.token"
        token.write_text(self.token())
        self.told |= {}
        self._asks = {
            "IMAGEGATE_KUBERNETES_URL": self.cluster.url,
            "IMAGEGATE_KUBERNETES_CA": str(self.cluster.ca_file),
            "IMAGEGATE_KUBERNETES_TOKEN_FILE": str(token),
            "IMAGEGATE_NUDGE": "true" if self._nudge else "false",
        }
        return self._service("webhook", **self._asks, **self._served(self.reviews))

    def _second(self) -> Service:
        folder = self.folder / "second"
        return Service(
            folder,
            "webhook",
            own_port="IMAGEGATE_HEALTH_PORT",
            probe="/readyz",
            **self.told,
            **self._asks,
            **self._served(self._others["second reviews"]),
        )

    def _served(self, port: int) -> Mapping[str, str]:
        return {
            "IMAGEGATE_PORT": str(port),
            "IMAGEGATE_CERTIFICATE": str(self.certificate.certificate),
            "IMAGEGATE_CERTIFICATE_KEY": str(self.certificate.key),
        }

    def _ask_second(self) -> None:
        """By configurations of other names: of validating ones the API server asks all."""
        url = f"https://127.0.0.1:{self._others['second reviews']}"
        found = configurations(url, self.ca_file)
        for one in found:
            one["metadata"]["name"] += "-second"
        applied = self.cluster.apply(*found)
        assert applied.code == 0, applied

    def _grant(self) -> None:
        self.namespace(NAMESPACE)
        found = [
            each
            for each in yaml.safe_load_all(EXAMPLE.read_text())
            if each["metadata"]["name"] == ROLE
            or (each["kind"], each["metadata"]["name"]) == ("ServiceAccount", ACCOUNT)
        ]
        assert len(found) == 5, found
        applied = self.cluster.apply(*found, namespace=NAMESPACE)
        assert applied.code == 0, applied


def _metrics(webhook: Service) -> list[str]:
    url = f"http://127.0.0.1:{webhook.port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode()).splitlines()


def workload(kind: str, name: str, image: str) -> dict[str, Any]:
    """One of that kind whose pod has that image."""
    api_version = {"Job": "batch/v1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    labels = {"app": name}
    template: dict[str, Any] = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }
    spec: dict[str, Any] = {"template": template}
    match kind:
        case "Job":
            template["spec"]["restartPolicy"] = "Never"
        case "ReplicationController":
            spec["selector"] = labels
        case "StatefulSet":
            spec |= {"selector": {"matchLabels": labels}, "serviceName": name}
        case "DaemonSet":
            # The node is new, and no kubelet says that it is ready.
            template["spec"]["tolerations"] = [{"operator": "Exists"}]
            spec["selector"] = {"matchLabels": labels}
        case _:
            spec["selector"] = {"matchLabels": labels}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
