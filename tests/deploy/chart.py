"""The Helm chart as an operator installs it: rendered by the real Helm, without any cluster."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.servers.kubernetes_parts import helm_program

ROOT = Path(__file__).parents[2]
CHART = ROOT / "k8s" / "chart"
NAMESPACE = "imagegate"
REPOSITORY = "registry.example.com/imagegate"

WITHIN = 60.0

Object = dict[str, Any]
Values = dict[str, Any]

ANCHORE: Values = {
    "image": {"repository": REPOSITORY},
    "anchore": {"url": "http://anchore.anchore.svc:8228"},
}
"""The least that must be said."""
SCANNER: Values = {"image": {"repository": REPOSITORY}, "scanner": {"enabled": True}}


class Refused(Exception):
    """Helm's words about values or templates."""


def render(
    values: Values, *files: str, namespace: str = NAMESPACE, release: str = "imagegate"
) -> str:
    """What `helm template` prints for values over `files` of the chart. Raises Refused."""
    options = [f"--values={CHART / file}" for file in files]
    return helm("template", release, str(CHART), *options, values=values, namespace=namespace)


_printed = cache(lambda told, *files, **where: render(msgspec.json.decode(told), *files, **where))


def rendered(
    values: Values,
    *files: str,
    namespace: str = NAMESPACE,
    release: str = "imagegate",
    anew: bool = False,
) -> list[Object]:
    """The same as objects, hooks and all. What was printed once for the same is not printed again
    unless it is wanted `anew`."""
    where = {"namespace": namespace, "release": release}
    told = msgspec.json.encode(values)
    text = render(values, *files, **where) if anew else _printed(told, *files, **where)
    return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]


def notes(values: Values, *, release: str = "imagegate") -> str:
    """What Helm tells who installs or upgrades."""
    text = helm("install", release, str(CHART), "--dry-run=client", values=values)
    return text.partition("\nNOTES:\n")[2]


def one(objects: list[Object], kind: str, name: str) -> Object:
    """The one that is called so."""
    (found,) = (
        each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )
    return found


def templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Each pod's, of whatever kind makes it, behind `Deployment imagegate-webhook`."""
    for each in objects:
        spec = each.get("spec") or {}
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if each["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob"):
            yield f"{each['kind']} {each['metadata']['name']}", spec["template"]


def helm(verb: str, *arguments: str, values: Values, namespace: str = NAMESPACE) -> str:
    """Run the official Helm, which asks no cluster. Raises Refused."""
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "values.json"
        file.write_bytes(msgspec.json.encode(values))
        ran = subprocess.run(
            [_helm(), verb, *arguments, f"--values={file}", f"--namespace={namespace}"],
            env={"PATH": os.defpath, "HOME": home},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
    if ran.returncode:
        raise Refused(ran.stderr)
    return ran.stdout


@cache
def _helm() -> Path:
    return helm_program()
