"""imagegate whose worker looks at the cluster, with the rights of the chart's own ClusterRole."""

import shutil
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.site import Service, Site
from tests.fakes.images import index_of
from tests.functional.scanner.images import BASE_FILES, NETBASE, NONROOT, OPENSSH, debian_image

WORKER = Path(__file__).parents[2] / "k8s" / "chart" / "templates" / "worker.yaml"
ROLE = "imagegate-worker"


class InventorySite(Site):
    """As `Site`; the worker looks each ten seconds."""

    @contextmanager
    def running(self) -> Iterator["InventorySite"]:
        with super().running():
            yield self

    def many_image(self, name: str) -> str:
        """Push an index that is good for linux/amd64 and bad for linux/arm64."""
        good = debian_image(BASE_FILES, NETBASE, config={**NONROOT, "Labels": {"of": name}})
        bad = debian_image(BASE_FILES, OPENSSH, config={**NONROOT, "Labels": {"of": name}})
        content = index_of((good, "linux/amd64"), (bad, "linux/arm64"))
        image = str(self.registry.push(content, name))
        self._digests[image] = content.digest
        return image

    def node(self, name: str, platform: str) -> None:
        """As its kubelet makes it: first it is there, and then it tells what it is."""
        system, _, machine = platform.partition("/")
        made = self.cluster.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
        assert made.code == 0, made
        info = f'{{"architecture": "{machine}", "operatingSystem": "{system}"}}'
        told = self.cluster.kubectl(
            *("patch", "node", name, "--subresource=status"),
            f'--patch={{"status": {{"nodeInfo": {info}}}}}',
        )
        assert told.code == 0, told

    def series(self, beginning: str) -> list[str]:
        """What the worker's metrics say of what begins so."""
        url = f"http://127.0.0.1:{self.worker.port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = str(answer.read().decode()).splitlines()
        return [line for line in lines if line.startswith(beginning)]

    def _service(self, name: str, **told: str) -> Service:
        told["IMAGEGATE_INVENTORY"] = "on"
        if name == "worker":
            told |= self._may_look()
        return super()._service(name, **told)

    def _may_look(self) -> dict[str, str]:
        """Bind the role to an account, whose token it shows."""
        made = self.cluster.apply(*_rights())
        assert made.code == 0, made
        token = self.cluster.kubectl("create", "token", ROLE, "--duration=1h")
        assert token.code == 0, token
        file = self.folder / "worker.token"
        file.write_text(token.out.strip())
        ca_file = shutil.copy(self.cluster.ca_file, self.folder / "kubernetes.crt")
        return {
            "IMAGEGATE_KUBERNETES_URL": self.cluster.url,
            "IMAGEGATE_KUBERNETES_TOKEN_FILE": str(file),
            "IMAGEGATE_KUBERNETES_CA": str(ca_file),
            "IMAGEGATE_INVENTORY_EVERY": "10",
        }


def _rights() -> list[dict[str, Any]]:
    """The rules as the chart's template has them, which are plain YAML."""
    role = WORKER.read_text().partition("kind: ClusterRole\n")[2]
    rules = role.partition("\nrules:\n")[2].partition("\n---")[0]
    meta = {"metadata": {"name": ROLE}}
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", **meta},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            **meta,
            "rules": yaml.safe_load(rules),
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            **meta,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": ROLE},
            "subjects": [{"kind": "ServiceAccount", "name": ROLE, "namespace": "default"}],
        },
    ]
