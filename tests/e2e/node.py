"""A node as far as a whole installation needs one: every pod of the chart runs, as processes.

Each gets what its manifest says and nothing else: environment, command line, the files of the
Secrets and ConfigMaps that it mounts (followed when these change), the token of its own account if
it asks for one, and names of Services. What one machine forces is changed: paths of a container
lie below a folder, and each process listens on the loopback address, on ports of its own.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.deploy.manifests import selects
from tests.deploy.running import ComposedRedis, below, own_ports
from tests.deploy.told import Told
from tests.e2e.in_pod import LOOPBACK, NAMES
from tests.e2e.kubelet import Kubelet, Pod
from tests.e2e.site import Service
from tests.servers.kubernetes import KubernetesServer, Ran
from tests.servers.ports import free_ports
from tests.servers.rabbitmq import RabbitServer

ROOT = Path(__file__).parents[2]
IN_POD = (sys.executable, "-m", "tests.e2e.in_pod")
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
READ_ONLY = "/read-only"
"""A file: whatever is below it cannot be made, even by root."""


class Ours(Service):
    """The one container of a pod of ours. `ports`: those of the container -> those here."""

    start_within = 90.0

    def __init__(self, folder: Path, told: Told, environ: dict[str, str]) -> None:
        super().__init__(folder, told.command[0], own_port="", probe="/livez")
        own = own_ports(told)
        places = free_ports(*own)
        self.ports = {own[setting]: place for setting, place in places.items()}
        self.environ = environ | {setting: str(place) for setting, place in places.items()}
        self._command = told.command

    def command_line(self) -> list[str]:
        return [*IN_POD, *self._command]

    def environment(self) -> dict[str, str]:
        return self.environ

    def answers(self) -> bool:
        return self.probed("/livez")

    def ready(self) -> bool:
        return self.process is not None and self.probed("/readyz")

    def probed(self, path: str) -> bool:
        """What the kubelet asks."""
        url = f"http://127.0.0.1:{self.ports[HEALTH[self.name]]}{path}"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with suppress(OSError, urllib.error.URLError), opener.open(url, timeout=4) as answer:
            return bool(answer.status == 200)
        return False


HEALTH = {"webhook": 8081, "worker": 8082, "intake": 8083, "console": 8084, "scanner": 8085}


class Redis(ComposedRedis):
    """That of a trial."""

    @property
    def ports(self) -> dict[int, int]:
        return {6379: self.port}

    def ready(self) -> bool:
        return self.process is not None and self.answers()


class Rabbit:
    """That of a trial."""

    def __init__(self, folder: Path, root: Path) -> None:
        plugins = free_ports("management", "prometheus")
        texts = {path.name: path.read_text() for path in (root / "etc/rabbitmq").iterdir()}
        text = below(root, texts["rabbitmq.conf"])
        for port, name in (("15672", "management"), ("15692", "prometheus")):
            text = text.replace(f" = {port}\n", f" = {plugins[name]}\n{name}.tcp.ip = 127.0.0.1\n")
        # A machine of tests may have less room.
        texts["rabbitmq.conf"] = text.replace("absolute = 1GB", "absolute = 1MB")
        self.server = RabbitServer(folder, configuration=texts)

    @property
    def ports(self) -> dict[int, int]:
        return {5672: self.server.port}

    def start_again(self) -> None:
        self.server.start()

    def ready(self) -> bool:
        return self.server.run("rabbitmq-diagnostics", "-q", "ping").returncode == 0

    def stop(self) -> None:
        self.server.stop()


class Running:
    """A pod that has been started."""

    def __init__(self, pod: Pod, root: Path, container: Ours | Redis | Rabbit) -> None:
        self.pod = pod
        self.root = root
        self.container = container
        self.starting: threading.Thread | None = None
        self.told: bool | None = None
        """What the API server was told of its readiness."""

    @property
    def started(self) -> bool:
        """Or failed to. What is stopped before that would start after it."""
        return self.starting is not None and not self.starting.is_alive()


class Node(Kubelet):
    """Of one namespace. `outside`: `HOST:PORT` of what is not in it -> a port of this machine."""

    def __init__(
        self,
        cluster: KubernetesServer,
        namespace: str,
        *,
        folder: Path,
        outside: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(cluster, namespace, folder=folder)
        self.names = folder / "names.json"
        self._outside = dict(outside or {})
        self._pods: dict[str, Running] = {}
        self._leaving: list[Running] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_names()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        for one in (*self._pods.values(), *self._leaving):
            one.container.stop()

    def run(self, deployment: str, *command: str, within: float = 120.0) -> Ran:
        """`kubectl exec deploy/DEPLOYMENT -- imagegate COMMAND`."""
        one = self._of(deployment)
        assert isinstance(one.container, Ours)
        ran = subprocess.run(
            [*IN_POD, *command],
            env={"PATH": os.defpath, **one.container.environ},
            cwd=one.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def mounted(self, deployment: str, path: str) -> Path:
        """Where that file of its container is here."""
        return self._of(deployment).root / path.lstrip("/")

    def _of(self, deployment: str) -> Running:
        return next(
            one
            for one in self._pods.values()
            if one.told and one.pod["metadata"]["name"].startswith(f"{deployment}-")
        )

    def containers(self, deployment: str) -> list[Ours]:
        """Of its pods."""
        return [
            one.container
            for one in self._pods.values()
            if one.pod["metadata"]["name"].startswith(f"{deployment}-")
            and isinstance(one.container, Ours)
        ]

    def words(self) -> str:
        """The last ones of all that runs here."""
        return "\n".join(
            f"{one.pod['metadata']['name']}: {one.container.said()}"
            for one in self._pods.values()
            if isinstance(one.container, Ours)
        )

    def _look(self) -> None:
        pods = self._cluster.get("pods", namespace=self._namespace)["items"]
        there = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._pods if uid not in there]:
            self._leaving.append(self._pods.pop(uid))
        for one in [one for one in self._leaving if one.started]:
            self._leaving.remove(one)
            one.container.stop()
            shutil.rmtree(one.root, ignore_errors=True)
        for pod in pods:
            self._tend(pod)
        self._write_names()

    def _ready(self, pod: Pod) -> None:
        uid = pod["metadata"]["uid"]
        self._done.discard(uid)
        one = self._pods.get(uid)
        if one is None:
            self._make(pod)
            return
        self._mount(pod, one.root)
        ready = one.started and one.container.ready()
        if ready is not one.told:
            one.told = ready
            self._tell_ready(pod, ready=ready)

    def _make(self, pod: Pod) -> None:
        """AssertionError: what it mounts is not there yet."""
        root = self._folder / "pods" / pod["metadata"]["name"]
        root.mkdir(parents=True, exist_ok=True)
        self._mount(pod, root)
        (root / READ_ONLY.lstrip("/")).touch()
        one = Running(pod, root, self._container(pod, root))
        self._pods[pod["metadata"]["uid"]] = one
        one.starting = self._begin(self._start, one)

    def _start(self, one: Running) -> None:
        try:
            one.container.start_again()
        except RuntimeError as error:
            self.said.append(str(error))

    def _container(self, pod: Pod, root: Path) -> Ours | Redis | Rabbit:
        (container,) = pod["spec"]["containers"]
        server = root.with_name(f"{root.name}-server")
        if container.get("command", [""])[0] == "redis-server":
            own = root / "redis.conf"
            own.write_text(below(root, (root / "etc/redis/redis.conf").read_text()))
            words = container["readinessProbe"]["exec"]["command"]
            check = [*words[:-1], "-p", "6379", words[-1]]
            redis = Redis(server, command=["redis-server", str(own)], check=check)
            redis.port = free_ports("redis")["redis"]
            return redis
        if container.get("command", [""])[0] == "rabbitmq-server":
            return Rabbit(server, root)
        environ = {entry["name"]: entry["value"] for entry in container["env"]}
        told = Told(where="", command=tuple(container["args"]), environ=environ, root=root)
        return Ours(server, told, self._environ_of(pod, environ, root))

    def _environ_of(self, pod: Pod, environ: Mapping[str, str], root: Path) -> dict[str, str]:
        outside = {"HOME": READ_ONLY, "IMAGEGATE_STATE": f"{READ_ONLY}/state"}
        if pod["spec"].get("automountServiceAccountToken"):
            outside |= {
                "IMAGEGATE_KUBERNETES_URL": self._cluster.url,
                "IMAGEGATE_KUBERNETES_TOKEN_FILE": f"{ACCOUNT}/token",
                "IMAGEGATE_KUBERNETES_CA": f"{ACCOUNT}/ca.crt",
            }
            self._account(pod, root)
        told = {
            name: below(root, value) if value.startswith("/") else value
            for name, value in (outside | dict(environ)).items()
        }
        hosts = {name: LOOPBACK for name, value in told.items() if value == "0.0.0.0"}
        return told | hosts | {"PYTHONPATH": str(ROOT), NAMES: str(self.names)}

    def _account(self, pod: Pod, root: Path) -> None:
        """The token that the kubelet mounts."""
        folder = root / ACCOUNT.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        account = pod["spec"]["serviceAccountName"]
        token = self._cluster.kubectl(
            "create", "token", account, f"--namespace={self._namespace}", "--duration=1h"
        )
        assert token.code == 0, token
        (folder / "token").write_text(token.out.strip())
        shutil.copy(self._cluster.ca_file, folder / "ca.crt")

    def _mount(self, pod: Pod, root: Path) -> None:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for mount in pod["spec"]["containers"][0]["volumeMounts"]:
            place = root / mount["mountPath"].lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
            # What a StatefulSet claims is no volume of its template.
            volume = volumes.get(mount["name"], {})
            if volume.get("configMap", {}).get("optional"):
                continue
            for name, content in self._contents(volume).items():
                _renew(place / name, content)

    def _program(self) -> list[str]:
        return list(IN_POD)

    def _environ(self, login: Path) -> dict[str, str]:
        return super()._environ(login) | {"PYTHONPATH": str(ROOT), NAMES: str(self.names)}

    def _write_names(self) -> None:
        names = dict(self._outside)
        names |= {f"{LOOPBACK}:{name.partition(':')[2]}": port for name, port in names.items()}
        for service in self._cluster.get("services", namespace=self._namespace)["items"]:
            for port in service["spec"]["ports"]:
                here = self._behind(service, port)
                if here:
                    names |= {f"{name}:{port['port']}": here for name in self._called(service)}
        _renew(self.names, json.dumps(names).encode())

    def _called(self, service: Pod) -> list[str]:
        name, where = service["metadata"]["name"], self._namespace
        long = f"{name}.{where}.svc"
        address = service["spec"]["clusterIP"]
        return [name, f"{name}.{where}", long, f"{long}.cluster.local", address, LOOPBACK]

    def _behind(self, service: Pod, port: Pod) -> int:
        """A port of a pod that is ready; 0: there is none."""
        for one in self._pods.values():
            if not one.told or not selects(
                service["spec"]["selector"], one.pod["metadata"]["labels"]
            ):
                continue
            (container,) = one.pod["spec"]["containers"]
            named = {each["name"]: each["containerPort"] for each in container["ports"]}
            return one.container.ports[named[port["targetPort"]]]
        return 0


def _renew(file: Path, content: bytes) -> None:
    """At once, as the kubelet exchanges what is mounted."""
    if file.exists() and file.read_bytes() == content:
        return
    new = file.with_name(f".{file.name}.new")
    new.write_bytes(content)
    new.chmod(0o600)
    new.replace(file)
