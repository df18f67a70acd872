"""A Kubernetes control plane of the tests' own: etcd, kube-apiserver, kube-controller-manager.

Loopback, free ports, everything in one temporary folder; no node, no kubelet, no scheduler. What
the controllers make stays Pending, and a pod's status is patched by hand where a test needs it.

    with KubernetesServer(folder) as cluster:
        ran = cluster.kubectl("get", "pods", "--all-namespaces")
        assert ran.code == 0, ran
"""

import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import yaml

from tests.servers.kubernetes_parts import Parts, kubernetes_parts
from tests.servers.kubernetes_processes import (
    ADMIN,
    PERSON,
    TOKENS,
    ApiServer,
    ControllerManager,
    Etcd,
)

FURNITURE = Path(__file__).with_name("kubernetes.yaml")
NODE = "node-1"

KUBECTL_WITHIN = 120.0
"""Seconds; kubectl asks up to eleven times when it is told to try again."""


class Ran(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed with `--output json`."""
        assert self.code == 0, self
        return json.loads(self.out)


class KubernetesServer:
    """The three of them. `start()`, or a `with` block; `stop()` leaves no process and no file.

    `kubeconfig` names both people; the admin is whom `kubectl` and `helm` are unless told.
    """

    def __init__(self, folder: Path, *, parts: Parts | None = None) -> None:
        self.folder = folder
        self._parts = parts or kubernetes_parts()
        self._etcd = Etcd(folder / "etcd", program=self._parts.etcd)
        self._api = ApiServer(folder / "api", program=self._parts.apiserver, etcd=self._etcd)
        self.kubeconfig = folder / "kubeconfig"
        self._controllers = ControllerManager(
            folder / "controllers",
            program=self._parts.controller_manager,
            key=self._api.service_account_key,
            kubeconfig=self.kubeconfig,
        )

    @property
    def url(self) -> str:
        """Of the API server, `https://127.0.0.1:PORT`."""
        return self._api.url

    @property
    def ca_file(self) -> Path:
        """Of its certificate."""
        return self._api.ca_file

    @property
    def token(self) -> str:
        """The admin's."""
        return TOKENS[ADMIN]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start all three, with a node that is ready and the rights of `PERSON`; about 6 s."""
        try:
            self._etcd.start()
            self._api.start()
            self._write_kubeconfig()
            self._controllers.start()
            self._furnish()
        except BaseException:
            self.stop()
            raise
        return self

    def restart(self, *arguments: str) -> None:
        """kill -9 of the API server, and a start on the same port and data.

        `arguments` are its further flags from now on (`--admission-control-config-file=...`).
        """
        self._api.arguments = arguments
        self._api.restart()

    def stop(self) -> None:
        """kill -9, the clients first."""
        for process in (self._controllers, self._api, self._etcd):
            process.stop()

    def said(self) -> str:
        """The last words of API server and controllers."""
        return "\n".join(each.said() for each in (self._api, self._controllers))

    def kubectl(
        self,
        *arguments: str | Path,
        stdin: str = "",
        user: str = ADMIN,
        within: float = KUBECTL_WITHIN,
    ) -> Ran:
        """Run the official kubectl as `user`; TimeoutExpired after `within` seconds.

        It blocks: an async test hands it to `asyncio.to_thread`.
        """
        command = [self._parts.kubectl, f"--user={user}", *arguments]
        return self._run(command, stdin=stdin, within=within)

    def helm(
        self,
        *arguments: str | Path,
        stdin: str = "",
        user: str = ADMIN,
        within: float = KUBECTL_WITHIN,
    ) -> Ran:
        """Run the official Helm likewise."""
        command = [self._parts.helm, f"--kube-context={user}", *arguments]
        return self._run(command, stdin=stdin, within=within)

    def apply(self, *manifests: object, user: str = ADMIN, namespace: str = "default") -> Ran:
        """`kubectl apply` of objects as they stand in YAML."""
        text = yaml.safe_dump_all(manifests)
        options = (f"--namespace={namespace}", "--filename=-")
        return self.kubectl("apply", *options, stdin=text, user=user)

    def get(self, *arguments: str, namespace: str = "default") -> Any:
        """What `kubectl get` shows, as the API has it."""
        return self.kubectl("get", *arguments, f"--namespace={namespace}", "--output=json").json

    def _run(self, command: list[str | Path], *, stdin: str, within: float) -> Ran:
        home = str(self.folder / "home")
        ran = subprocess.run(
            command,
            env={"PATH": os.defpath, "HOME": home, "KUBECONFIG": str(self.kubeconfig)},
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def _write_kubeconfig(self) -> None:
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}} for user, token in TOKENS.items()],
            "contexts": [
                {"name": user, "context": {"cluster": "tests", "user": user}} for user in TOKENS
            ],
            "current-context": ADMIN,
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))

    def _furnish(self) -> None:
        """What kubelets and an administrator bring to a cluster."""
        status = {
            "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110"},
            "conditions": [{"type": "Ready", "status": "True"}],
            "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux"},
        }
        patch = json.dumps({"status": status})
        made = self.kubectl("apply", f"--filename={FURNITURE}")
        assert made.code == 0, made
        told = self.kubectl("patch", "node", NODE, "--subresource=status", f"--patch={patch}")
        assert told.code == 0, told
        # A new node is tainted until a controller finds it ready, one that we have not.
        ready = self.kubectl("taint", "node", NODE, "node.kubernetes.io/not-ready:NoSchedule-")
        assert ready.code == 0, ready
        self._until_people_have_rights()

    def _until_people_have_rights(self) -> None:
        """The role `edit` is put together by a controller, from others."""
        ask = ("auth", "can-i", "patch", "pods", "--subresource=ephemeralcontainers")
        deadline = time.monotonic() + 60
        while self.kubectl(*ask, user=PERSON).code:
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)
