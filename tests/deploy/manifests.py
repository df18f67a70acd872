"""Reads the manifests as kustomize does, as far as ours need it; any other key is refused.

Names of generated objects get no suffix here, and nothing else differs from what
`kubectl kustomize` prints.
"""

import base64
import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.deploy.told import Probe, Told, lay_out

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "k8s"
KNOWN = {
    *("apiVersion", "kind", "resources", "components", "images", "patches", "replacements"),
    *("configMapGenerator", "secretGenerator"),
}

Object = dict[str, Any]
Files = dict[tuple[str, str], dict[str, Path]]
"""(ConfigMap or Secret, its name) -> what it holds, by key."""


class Manifests(msgspec.Struct, frozen=True):
    """All objects of a kustomization."""

    objects: list[Object]
    files: Files
    kept: set[tuple[str, str]] = msgspec.field(default_factory=set)
    """Generated ones whose names have no hash of what they hold."""

    def all(self, kind: str) -> list[Object]:
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        (found,) = (one for one in self.all(kind) if one["metadata"]["name"] == name)
        return found


def kustomized(folder: Path) -> Manifests:
    """What `kubectl kustomize FOLDER` makes; FileNotFoundError for a secret that is not there."""
    manifests = Manifests([], {})
    _add(manifests, folder)
    return manifests


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


def _held(files: Files, volume: Object) -> dict[str, Path]:
    if optional(volume):
        return {}
    if "configMap" in volume:
        return files["ConfigMap", volume["configMap"]["name"]]
    held = files["Secret", volume["secret"]["secretName"]]
    items = volume["secret"].get("items")
    return {item["path"]: held[item["key"]] for item in items} if items else held


def _add(manifests: Manifests, folder: Path) -> None:
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    unknown = set(told) - KNOWN
    assert not unknown, f"{folder}: kustomize's {unknown} is not understood here"
    for name in told.get("resources", ()):
        if (folder / name).is_dir():
            _add(manifests, folder / name)
        else:
            manifests.objects.extend(_documents(folder / name))
    for kind, key in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for generator in told.get(key, ()):
            _generate(manifests, kind, generator, folder)
    for name in told.get("components", ()):
        _add(manifests, folder / name)
    for patch in told.get("patches", ()):
        _patch(manifests.one(**patch["target"]), yaml.safe_load(patch["patch"]))
    for image in told.get("images", ()):
        for container in _containers(manifests.objects):
            name, _, _ = container["image"].partition(":")
            if name == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    for replacement in told.get("replacements", ()):
        _replace(manifests, replacement)


def _documents(path: Path) -> list[Object]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def _generate(manifests: Manifests, kind: str, generator: Object, folder: Path) -> None:
    known = {"name", "namespace", "files", "type", "behavior", "options"}
    assert set(generator) <= known, f"{generator['name']}: {set(generator) - known}"
    options = generator.get("options", {})
    assert set(options) <= {"disableNameSuffixHash"}, f"{generator['name']}: {options}"
    if options.get("disableNameSuffixHash"):
        manifests.kept.add((kind, generator["name"]))
    files = {}
    for entry in generator["files"]:
        key, _, path = entry.rpartition("=")
        files[key or Path(path).name] = folder / path
    name = generator["name"]
    assert ((kind, name) in manifests.files) is (generator.get("behavior") == "replace")
    contents = {key: path.read_bytes() for key, path in files.items()}
    if kind == "Secret":
        data = {key: base64.b64encode(content).decode() for key, content in contents.items()}
    else:
        data = {key: content.decode() for key, content in contents.items()}
    made: Object = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": generator["namespace"]},
        "data": data,
    }
    if kind == "Secret":
        made["type"] = generator.get("type", "Opaque")
    manifests.objects[:] = [
        one for one in manifests.objects if (one["kind"], one["metadata"]["name"]) != (kind, name)
    ]
    manifests.objects.append(made)
    manifests.files[kind, name] = files


def _patch(target: Object, operations: list[Object]) -> None:
    for operation in operations:
        *way, last = operation["path"].strip("/").split("/")
        place: Any = target
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if (operation["op"], last) == ("add", "-"):
            place.append(operation["value"])
            continue
        assert operation["op"] == "replace", f"{operation['op']} is not understood here"
        assert last in place, f"{operation['path']}: there is nothing to replace"
        place[last] = operation["value"]


def _containers(objects: list[Object]) -> Iterator[Object]:
    for one in objects:
        if one["kind"] == "Deployment":
            yield from one["spec"]["template"]["spec"]["containers"]


def _replace(manifests: Manifests, replacement: Object) -> None:
    source = replacement["source"]
    key = source["fieldPath"].removeprefix("data.[").removesuffix("]")
    value = manifests.one(source["kind"], source["name"])["data"][key]
    for target in replacement["targets"]:
        assert target["fieldPaths"] == ["webhooks.*.clientConfig.caBundle"]
        for one in manifests.all(target["select"]["kind"]):
            for webhook in one["webhooks"]:
                webhook["clientConfig"]["caBundle"] = value


def changed(manifests: Manifests) -> Manifests:
    """A copy of which a test may break the objects."""
    return Manifests(copy.deepcopy(manifests.objects), dict(manifests.files))
