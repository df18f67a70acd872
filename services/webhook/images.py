"""From what a pod wrote to the image that is looked up, or to why nothing needs looking up."""

from typing import TypeAlias

from services.webhook.catalogue import Image
from shared.domain.decision import Judgement, State
from shared.domain.errors import InvalidReference
from shared.domain.reference import parse_reference
from shared.domain.rules import Mode, Rules
from shared.domain.workload import ImagePlace

Shape: TypeAlias = tuple[str, bool]
"""An image as written, and whether the kubelet asks the registry at each start."""


def shape_of(place: ImagePlace) -> Shape:
    """What of a place matters; a missing pull policy is read as the strict one."""
    return (place.image, place.pull_policy not in ("IfNotPresent", "Never"))


def image_of(shape: Shape, rules: Rules, *, scanner: str) -> Image | Judgement:
    """The image to look up, or a judgement that needs no look-up."""
    written, always = shape
    if written in rules.placeholders:
        message = (
            f"the placeholder {written!r} was not replaced: see that the pod mutator whose it is "
            "(Istio's injector) was called for this pod"
        )
        return Judgement(image=written, state=State.REFUSED, message=message)
    try:
        reference = parse_reference(written)
    except InvalidReference as error:
        return Judgement(image=written, state=State.INVALID, message=str(error))
    if not rules.allows_registry(reference.host):
        message = f"registry {reference.host} is not in allowRegistries of the rules"
        return Judgement(image=written, state=State.REFUSED, message=message, reference=reference)
    if rules.default.mode is Mode.ALLOW:
        return Judgement(image=written, state=State.EXEMPT, reference=reference)
    return Image(written, reference, always, rules.default.question(scanner=scanner))
