"""Which images of a request are judged, and as what: a Pod decides, a workload is advised on.

Kind and resource must belong together: a Pod is never taken for a workload, whose unknown images
pass, and nothing else for a Pod. Whatever is not listed is refused, since only a mistake in the
webhook's rules brings it (docs/design/behaviour.md 1).
"""

from collections.abc import Callable

import msgspec

from shared.domain.errors import InvalidObject
from shared.domain.pod_template import workload_of
from shared.domain.review import AdmissionRequest, is_pod, pod_of, raw_object
from shared.domain.workload import (
    ImagePlace,
    Metadata,
    Pod,
    changed_places,
    decode_pod,
    image_places,
)

Read = Callable[[msgspec.Raw], Pod]
"""How an object of the request's kind is read; raises InvalidObject."""


def is_advice(request: AdmissionRequest) -> bool:
    """Whether the object only makes pods, each of which is judged by itself."""
    return not is_pod(request.kind)


def places_to_judge(request: AdmissionRequest) -> list[ImagePlace]:
    """The images that this request would start, or have its pods start.

    Raises InvalidObject for what is not judged, and for what cannot be read.
    """
    if is_pod(request.kind):
        _same_resource(request, "pods")
        return _places(request, pod_of, decode_pod)
    workload = workload_of(request.kind)
    if workload is None:
        kind = request.kind
        raise InvalidObject(
            f"imagegate does not judge {kind.kind[:64]!r} of {kind.group[:64]!r} "
            f"{kind.version[:16]!r}: take it out of the webhook's rules"
        )
    _same_resource(request, workload.resource)
    if request.sub_resource:
        raise InvalidObject(
            f"imagegate does not judge {request.sub_resource[:32]!r} of {workload.resource}, which "
            "changes no image: take it out of the webhook's rules"
        )
    return _places(
        request,
        lambda asked: workload.template(raw_object(asked)),
        workload.template,
        under=workload.at,
    )


def author_of(request: AdmissionRequest) -> Metadata:
    """What the author wrote about the pods, of an object that `places_to_judge` could read.

    A workload's is that of its template, which its pods get. Raises InvalidObject.
    """
    workload = workload_of(request.kind)
    if workload is None:
        return pod_of(request).metadata
    return workload.template(raw_object(request)).metadata


def _same_resource(request: AdmissionRequest, expected: str) -> None:
    """Raises InvalidObject for a request whose resource is not its kind's."""
    kind, resource = request.kind, request.resource
    if (
        resource.resource != expected
        or resource.group != kind.group
        or resource.version != kind.version
    ):
        raise InvalidObject(
            f"the request is about {resource.resource[:64]!r} of {resource.group[:64]!r} "
            f"{resource.version[:16]!r} and calls its object a {kind.kind}: no API server says "
            "that, find out who called imagegate"
        )


def _places(
    request: AdmissionRequest,
    new: Callable[[AdmissionRequest], Pod],
    old: Read,
    *,
    under: str = "",
) -> list[ImagePlace]:
    if request.operation == "CREATE":
        return image_places(new(request), under=under)
    if request.operation == "UPDATE":
        places = image_places(new(request), under=under)
        return changed_places(places, image_places(old(request.old_object)))
    if request.operation == "DELETE":
        return []
    raise InvalidObject(
        f"imagegate does not judge the operation {request.operation[:32]!r}: "
        "take it out of the webhook's rules"
    )
