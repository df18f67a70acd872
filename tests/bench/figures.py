"""How figures are printed, and load is made."""

import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec

from tests.bench.envelopes import Envelopes
from tests.bench.load import Load, Report

LAST_CORE = max(os.sched_getaffinity(0))
FIRST_CORE = min(os.sched_getaffinity(0))


def figure(name: str, value: float, unit: str, *, goal: str = "") -> None:
    """One line: `name: value unit`."""
    sys.stdout.write(f"{name}: {value:.3g} {unit}{f'  (goal: {goal})' if goal else ''}\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """What stands beside the figures."""
    sys.stdout.write(f"# {text}\n")
    sys.stdout.flush()


def keep_to_first_core() -> None:
    """The measured process has one core of its own; load comes from the last one."""
    os.sched_setaffinity(0, {FIRST_CORE})


async def load(load: Load | Envelopes) -> Report:
    """Run a load in a process of its own, on the last core."""
    module = "tests.bench.load" if isinstance(load, Load) else "tests.bench.envelopes"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        msgspec.json.encode(load).decode(),
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {LAST_CORE}),
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load ended with exit code {process.returncode}")
    return msgspec.json.decode(output, type=Report)


def review_body(folder: Path, *images: str, size: int = 7_000, user: str = "") -> Path:
    """A file with an AdmissionReview of a pod with these images, about `size` bytes long."""
    containers = [
        {
            "name": f"c{number}",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": f"KEY_{n}", "value": f"value-{n}"} for n in range(12)],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": True}],
        }
        for number, image in enumerate(images)
    ]
    metadata: dict[str, object] = {"generateName": "app-7d4b9c-", "namespace": "team"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": containers, "serviceAccountName": "app"},
    }
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "team",
            "operation": "CREATE",
            "userInfo": {
                "username": user or "system:serviceaccount:kube-system:replicaset-controller",
                "groups": ["system:serviceaccounts", "system:authenticated"],
            },
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }
    missing = size - len(json.dumps(review))
    managed: dict[str, object] = {
        "f:spec": {"f:containers": {f'k:{{"name":"c{n}"}}': {} for n in range(4)}}
    }
    metadata["managedFields"] = [
        {"manager": f"m{n}", "fieldsV1": managed} for n in range(max(0, missing // 170))
    ]
    path = folder / f"review-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(review))
    return path
