"""A kubelet as far as the chart's own pods need one: it runs the containers of Jobs as processes of
this machine, and says of all other pods what a test says of them.

A Job's container gets the volumes that it mounts, the command line of its manifest, and the token
of its own ServiceAccount: what a right is missing for fails as it would in a cluster.
"""

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.servers.kubernetes import KubernetesServer

IMAGEGATE = str(Path(sys.executable).with_name("imagegate"))
POLL = 0.2
RUN_WITHIN = 120.0

Pod = dict[str, Any]


class Kubelet:
    """Of one namespace. A context manager: it works beside the block."""

    def __init__(self, cluster: KubernetesServer, namespace: str, *, folder: Path) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._folder = folder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="kubelet", daemon=True)
        self._beside: list[threading.Thread] = []
        self._done: set[str] = set()
        self.serving = True
        """Whether pods that are to keep running become ready; a test changes it."""
        self.ran: list[str] = []
        """What Jobs' containers were told, in the order in which they ended, and how."""
        self.said: list[str] = []
        """All that they printed."""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing that it started runs on."""
        self._stopping.set()
        self._thread.join()
        for thread in self._beside:
            thread.join()

    def _work(self) -> None:
        while not self._stopping.wait(POLL):
            # The API server may be stopped before this, and namespaces go while they are looked at.
            with suppress(AssertionError, json.JSONDecodeError, subprocess.TimeoutExpired):
                self._look()

    def _look(self) -> None:
        """At every pod that there is."""
        for pod in self._cluster.get("pods", namespace=self._namespace)["items"]:
            self._tend(pod)

    def _tend(self, pod: Pod) -> None:
        uid = pod["metadata"]["uid"]
        if pod["metadata"].get("deletionTimestamp") or uid in self._done:
            return
        owners = {owner["kind"] for owner in pod["metadata"].get("ownerReferences", ())}
        if "Job" in owners:
            self._done.add(uid)
            self._begin(self._run_job, pod)
        elif self.serving:
            self._done.add(uid)
            self._ready(pod)

    def _begin(self, work: Callable[..., None], *of: object) -> threading.Thread:
        """It runs beside the others, and is waited for at the end."""
        thread = threading.Thread(target=work, args=of, daemon=True)
        self._beside.append(thread)
        thread.start()
        return thread

    def _ready(self, pod: Pod) -> None:
        self._tell_ready(pod, ready=True)

    def _tell_ready(self, pod: Pod, *, ready: bool) -> None:
        condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": _now()}
        self._tell(pod, {"phase": "Running", "conditions": [condition]})

    def _run_job(self, pod: Pod) -> None:
        folder = self._folder / pod["metadata"]["name"]
        (container,) = pod["spec"]["containers"]
        try:
            command = [*self._program(), *self._arguments(pod, container, folder)]
            login = self._login(pod, folder)
        except AssertionError:
            return  # what it mounts is gone: its pod stays as it is, as it would in a cluster
        ran = subprocess.run(
            command,
            env=self._environ(login),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN,
            check=False,
        )
        self.said.append(f"{ran.stdout}{ran.stderr}")
        self.ran.append(f"{' '.join(container['args'][:2])}: {ran.returncode}")
        self._tell(pod, _ended(container, ran.returncode))

    def _program(self) -> list[str]:
        """The image's entrypoint."""
        return [IMAGEGATE]

    def _environ(self, login: Path) -> dict[str, str]:
        return {"PATH": os.defpath, "KUBECONFIG": str(login)}

    def _arguments(self, pod: Pod, container: Pod, folder: Path) -> list[str]:
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        arguments = [str(argument) for argument in container["args"]]
        for mount in container["volumeMounts"]:
            place = folder / mount["name"]
            place.mkdir(parents=True, exist_ok=True)
            for name, content in self._contents(volumes[mount["name"]]).items():
                (place / name).write_bytes(content)
            arguments = [one.replace(mount["mountPath"], str(place)) for one in arguments]
        return arguments

    def _contents(self, volume: Pod) -> dict[str, bytes]:
        """The files of a volume. AssertionError: what it is made of is not there."""
        if "configMap" in volume:
            held = self._held("configmap", volume["configMap"]["name"])
            contents = {key: text.encode() for key, text in held.items()}
        elif "secret" in volume:
            held = self._held("secret", volume["secret"]["secretName"])
            contents = {key: base64.b64decode(text) for key, text in held.items()}
            wanted = volume["secret"].get("items", ({"key": key, "path": key} for key in held))
            contents = {item["path"]: contents[item["key"]] for item in wanted}
        else:
            contents = {}
        return contents

    def _held(self, kind: str, name: str) -> dict[str, str]:
        data: dict[str, str] = self._cluster.get(kind, name, namespace=self._namespace)["data"]
        return data

    def _login(self, pod: Pod, folder: Path) -> Path:
        """The token that the kubelet would mount, if it was asked for."""
        folder.mkdir(parents=True, exist_ok=True)
        account = pod["spec"]["serviceAccountName"]
        assert pod["spec"]["automountServiceAccountToken"] is True, pod["metadata"]["name"]
        token = self._cluster.kubectl(
            "create", "token", account, f"--namespace={self._namespace}", "--duration=1h"
        )
        assert token.code == 0, token
        server = {"server": self._cluster.url, "certificate-authority": str(self._cluster.ca_file)}
        file = folder / "kubeconfig"
        file.write_text(
            yaml.safe_dump(
                {
                    "clusters": [{"name": "own", "cluster": server}],
                    "users": [{"name": "own", "user": {"token": token.out.strip()}}],
                    "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
                    "current-context": "own",
                }
            )
        )
        return file

    def _tell(self, pod: Pod, status: Pod) -> None:
        self._cluster.kubectl(
            *("patch", "pod", pod["metadata"]["name"], f"--namespace={self._namespace}"),
            *("--subresource=status", "--type=merge", f"--patch={json.dumps({'status': status})}"),
        )


def _ended(container: Pod, code: int) -> Pod:
    ended = {"exitCode": code, "startedAt": _now(), "finishedAt": _now()}
    status = {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"terminated": ended},
    }
    return {"phase": "Failed" if code else "Succeeded", "containerStatuses": [status]}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
