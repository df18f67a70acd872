"""From what a pod wrote to the cases that have to be judged: one image under one rule."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from services.webhook.catalogue import Image
from shared.domain.decision import Judgement, State
from shared.domain.errors import InvalidReference
from shared.domain.exceptions import exempts
from shared.domain.pointer import FOREVER
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import Mode, Rule, Rules
from shared.domain.scope import Scope
from shared.domain.workload import ImagePlace

Shape: TypeAlias = tuple[str, bool]
"""An image as written, and whether the kubelet asks the registry at each start."""

STRICT = Rule(name="")
"""Of an image that no rule was found for: nothing is let pass."""


class Case(msgspec.Struct, frozen=True):
    """One image under one rule: to be looked up."""

    image: Image
    rule: Rule


class Ruled(msgspec.Struct, frozen=True):
    """One image under one rule that needs no look-up, at least until `until` (ms)."""

    judgement: Judgement
    rule: Rule
    until: int = FOREVER


def shape_of(place: ImagePlace) -> Shape:
    """What of a place matters; a missing pull policy is read as the strict one."""
    return (place.image, place.pull_policy not in ("IfNotPresent", "Never"))


def cases_of(
    shape: Shape, scope: Scope, rules: Rules, *, scanner: str, now: int
) -> Sequence[Case | Ruled]:
    """What has to be judged of an image: all of it must be good. `now` in milliseconds."""
    written, always = shape
    if written in rules.placeholders:
        message = (
            f"the placeholder {written!r} was not replaced: see that the pod mutator whose it is "
            "(Istio's injector) was called for this pod"
        )
        judgement = Judgement(image=written, state=State.REFUSED, message=message)
        return (Ruled(judgement, rules.default),)
    try:
        reference = parse_reference(written)
    except InvalidReference as error:
        return (Ruled(Judgement(image=written, state=State.INVALID, message=str(error)), STRICT),)
    ruling = scope.ruling(reference)
    if not rules.allows_registry(reference.host):
        message = f"registry {reference.host} is not in allowRegistries of the rules"
        return (_ruled(written, reference, State.REFUSED, ruling.decides or STRICT, message),)
    if ruling.decides is None:
        message = (
            "which rule is about it depends on labels of its namespace, and the Kubernetes API "
            "does not tell them: try again, see whether imagegate may read namespaces"
        )
        return (_ruled(written, reference, State.UNDECIDED, STRICT, message),)
    for rule in ruling.rules:
        if rule.mode is Mode.DENY:
            message = f"rule {rule.name} denies it"
            return (_ruled(written, reference, State.REFUSED, rule, message),)
    exception = exempts(reference, scope.exceptions, now=now)
    if exception is not None:
        message = f"an exception of {exception.owner} allows it: {exception.reason}"
        exempt = _ruled(written, reference, State.EXEMPT, ruling.decides, message)
        return (msgspec.structs.replace(exempt, until=exception.expires),)
    return [
        _ruled(written, reference, State.EXEMPT, rule)
        if rule.mode is Mode.ALLOW
        else Case(Image(written, reference, always, rule.question(scanner=scanner)), rule)
        for rule in ruling.rules
    ]


def _ruled(
    written: str, reference: ImageReference, state: State, rule: Rule, message: str = ""
) -> Ruled:
    return Ruled(Judgement(image=written, state=state, reference=reference, message=message), rule)
