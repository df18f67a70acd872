"""What the API server fills into an object before any webhook sees it, as far as we read it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from shared.domain.errors import InvalidReference
from shared.domain.reference import parse_reference

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")

_TEMPLATES = {
    "Pod": (),
    "PodTemplate": ("template",),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where a pod stands in an object; in any other workload at `spec.template`."""


def with_defaults(content: Mapping[str, Any], *, namespace: str = "default") -> dict[str, Any]:
    """The object with the namespace and the pull policies that the API server fills in.

    A missing pull policy is Always for the tag `latest` or no tag, else IfNotPresent. What is
    no mapping or list where one belongs stays as it is: the webhook has to refuse it.
    """
    filled: dict[str, Any] = deepcopy(dict(content))
    metadata = filled.setdefault("metadata", {})
    if isinstance(metadata, dict):
        metadata.setdefault("namespace", namespace)
    kind = str(filled.get("kind", "Pod"))
    at: Any = filled
    for step in (*_TEMPLATES.get(kind, ("spec", "template")), "spec"):
        at = at.get(step) if isinstance(at, dict) else None
    if isinstance(at, dict):
        _fill(at)
    return filled


def _fill(spec: dict[str, Any]) -> None:
    for place in _CONTAINERS:
        for container in _mappings(spec.get(place)):
            if "image" in container:
                container.setdefault("imagePullPolicy", _pull_policy(container["image"]))
    for volume in _mappings(spec.get("volumes")):
        for source in _mappings([volume.get("image")]):
            if "reference" in source:
                source.setdefault("pullPolicy", _pull_policy(source["reference"]))


def _pull_policy(image: object) -> str:
    try:
        reference = parse_reference(str(image))
    except InvalidReference:
        return "IfNotPresent"
    # `parse_reference` says `latest` where neither tag nor digest is written, as the API server.
    return "Always" if reference.tag == "latest" else "IfNotPresent"


def _mappings(value: object) -> list[dict[str, Any]]:
    """The mappings in a list; empty for anything else."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
