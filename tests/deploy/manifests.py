"""What the chart makes of values, with the files that an operator brings beside it."""

import base64
import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tests.deploy.chart import Object, Values, rendered
from tests.deploy.told import Probe, Told, lay_out

Files = dict[tuple[str, str], dict[str, Path]]
"""(ConfigMap or Secret, its name) -> what it holds, by key."""

_CREATES = re.compile(
    r"create (?P<kind>configmap|secret generic) (?P<name>\S+) (?P<files>(?:--from-file=\S+ ?)+)"
)


class Manifests(msgspec.Struct, frozen=True):
    """All objects of a release."""

    objects: list[Object]
    files: Files
    """What pods mount: of the chart's own objects, and what was brought."""

    def all(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        (found,) = (one for one in self.all(kind) if one["metadata"]["name"] == name)
        return found


def manifests(values: Values, *files: str, brought: Files, folder: Path) -> Manifests:
    """Of the chart; `folder`, an empty one, gets the files of its own ConfigMaps and Secrets."""
    objects = rendered(values, *files)
    return Manifests(objects, brought | _own_files(objects, folder))


def brought_by(block: str, folder: Path) -> Files:
    """What the `kubectl create` lines of a shell block make of the files in `folder`."""
    made: Files = {}
    for line in _CREATES.finditer(block.replace("\\\n", " ")):
        pairs = (option.removeprefix("--from-file=") for option in line["files"].split())
        kind = "ConfigMap" if line["kind"] == "configmap" else "Secret"
        made[kind, line["name"]] = {
            key or file: folder / file for key, _, file in (pair.rpartition("=") for pair in pairs)
        }
    return made


def told_by(manifests: Manifests, name: str, *, root: Path) -> Told:
    """What a Deployment's container is told; `root`, an empty folder, becomes the container's."""
    pod = manifests.one("Deployment", name)["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    files, writable = _mounted(manifests, pod["spec"], root=root)
    numbers = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = {
        Probe(numbers[probe["httpGet"]["port"]], probe["httpGet"]["path"], outside=True)
        for key, probe in container.items()
        if key.endswith("Probe")
    }
    called = [
        numbers[port["targetPort"]]
        for service in manifests.all("Service")
        if selects(service["spec"]["selector"], pod["metadata"]["labels"])
        for port in service["spec"]["ports"]
    ]
    return Told(
        where=f"k8s: {name}",
        command=tuple(container["args"]),
        environ={entry["name"]: entry["value"] for entry in container["env"]},
        root=lay_out(root, files),
        writable=tuple(writable),
        probes=tuple(probes),
        ports=tuple(called),
    )


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels match a selector."""
    return selector.items() <= labels.items()


def optional(volume: Object) -> bool:
    """Whether it is an empty folder as long as nobody has made what it is to hold."""
    return bool(volume.get("configMap", {}).get("optional"))


def changed(manifests: Manifests) -> Manifests:
    """A copy of which a test may break the objects."""
    return Manifests(copy.deepcopy(manifests.objects), dict(manifests.files))


def _own_files(objects: list[Object], folder: Path) -> Files:
    made: Files = {}
    for one in objects:
        if one["kind"] not in ("ConfigMap", "Secret"):
            continue
        key = one["kind"], one["metadata"]["name"]
        place = folder.joinpath(*key)
        place.mkdir(parents=True, exist_ok=True)
        made[key] = {}
        for name, text in one["data"].items():
            file = place / name
            file.write_bytes(base64.b64decode(text) if one["kind"] == "Secret" else text.encode())
            file.chmod(0o600)
            made[key][name] = file
    return made


def _mounted(
    manifests: Manifests, spec: Object, *, root: Path
) -> tuple[dict[str, Path], list[str]]:
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    files: dict[str, Path] = {}
    writable = []
    for mount in spec["containers"][0]["volumeMounts"]:
        volume, folder = volumes[mount["name"]], mount["mountPath"]
        if {"emptyDir", "persistentVolumeClaim"} & set(volume):
            writable.append(folder)
        else:
            held = _held(manifests.files, volume)
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
            files |= {f"{folder}/{key}": path for key, path in held.items()}
    return files, writable


def _held(files: Files, volume: dict[str, Any]) -> dict[str, Path]:
    if optional(volume):
        return {}
    if "configMap" in volume:
        return files["ConfigMap", volume["configMap"]["name"]]
    held = files["Secret", volume["secret"]["secretName"]]
    items = volume["secret"].get("items")
    return {item["path"]: held[item["key"]] for item in items} if items else held
