"""Pods as the Kubernetes API lists them: names, what their authors wrote, and images.

Of a pod's ten kilobytes the rest is skipped while decoding. A pod has no metadata-only form that
would name its images.
"""

import msgspec

from shared.adapters.kubernetes.limits import MAX_PODS_PAGE
from shared.adapters.kubernetes.listing import Listing, PageOf
from shared.adapters.kubernetes.wire import Wire
from shared.domain.workload import PodSpec, places_of
from shared.ports.cluster import RunningPod

ENDED = ("Succeeded", "Failed")
"""Phases in which nothing runs, and nothing will."""

_QUERY = {"fieldSelector": ",".join(f"status.phase!={phase}" for phase in ENDED)}


class _Meta(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class _Status(msgspec.Struct):
    phase: str = ""


class _Pod(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: _Status = msgspec.field(default_factory=_Status)


def pods_of(wire: Wire) -> Listing[_Pod]:
    """How all that run are listed."""
    return Listing(
        wire=wire,
        path="/api/v1/pods",
        kind="PodList",
        doing="list pods",
        decoder=msgspec.json.Decoder(PageOf[_Pod]),
        limit=MAX_PODS_PAGE,
        query=_QUERY,
    )


def running(pods: list[_Pod]) -> list[RunningPod]:
    """Those that the selector left, and that do run."""
    return [_running(pod) for pod in pods if pod.status.phase not in ENDED]


def _running(pod: _Pod) -> RunningPod:
    meta = pod.metadata
    images = dict.fromkeys(place.image for place in places_of(pod.spec) if place.image)
    return RunningPod(
        namespace=meta.namespace,
        name=meta.name,
        images=tuple(images),
        labels=meta.labels or {},
        annotations=meta.annotations or {},
    )
