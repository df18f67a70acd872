"""From what a pod wrote to the cases that have to be judged: one image under one rule."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from services.webhook.catalogue import Image
from shared.domain.decision import Judgement, State
from shared.domain.errors import InvalidReference
from shared.domain.exceptions import ImageException, exempts
from shared.domain.pointer import FOREVER
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import Mode, Rule, Rules
from shared.domain.scope import Ruling, Scope
from shared.domain.workload import ImagePlace

Shape: TypeAlias = tuple[str, bool]
"""An image as written, and whether the kubelet asks the registry at each start."""

ASKING_NOBODY = ("IfNotPresent", "Never")
"""Pull policies with which the kubelet does not ask the registry what a tag names."""

STRICT = Rule(name="")
"""Of what is no reference, so that no rule can be found for it: nothing is let pass."""

UNDECIDED = (
    "which rule is about it depends on labels of its namespace, and the Kubernetes API does not "
    "tell them: try again, see whether imagegate may read namespaces"
)


class Case(msgspec.Struct, frozen=True):
    """One image under one rule: to be looked up."""

    image: Image
    rule: Rule

    @property
    def looked_up(self) -> tuple[object, ...]:
        """The same for cases of which one look-up tells all."""
        image = self.image
        return (image.reference, image.always, image.question)


class Ruled(msgspec.Struct, frozen=True):
    """One image under one rule that needs no look-up, at least until `until` (ms)."""

    judgement: Judgement
    rule: Rule
    until: int = FOREVER


def shape_of(place: ImagePlace) -> Shape:
    """What of a place matters; a missing pull policy is read as the strict one."""
    return (place.image, place.pull_policy not in ASKING_NOBODY)


def shapes_of(places: Sequence[ImagePlace]) -> tuple[Shape, ...]:
    """Those of an object's places, in their order: every review asks for them."""
    return tuple([(place.image, place.pull_policy not in ASKING_NOBODY) for place in places])


def cases_of(
    shape: Shape, scope: Scope, rules: Rules, *, scanner: str, now: int
) -> Sequence[Case | Ruled]:
    """What has to be judged of an image: all of it must be good. `now` in milliseconds."""
    written, always = shape
    try:
        reference = parse_reference(written)
    except InvalidReference as error:
        return (_unreadable(written, rules, str(error)),)
    ruling = scope.ruling(reference)
    refused = _refused(written, reference, ruling, rules)
    if refused is not None:
        return (refused,)
    exception = exempts(reference, scope.exceptions, now=now)
    if exception is not None:
        return (_excepted(written, reference, ruling, exception),)
    return [
        _ruled(written, State.EXEMPT, rule, reference=reference)
        if rule.mode is Mode.ALLOW
        else Case(Image(written, reference, always, rule.question(scanner=scanner)), rule)
        for rule in ruling.rules
    ]


def refused_by_digest(judgement: Judgement, scope: Scope) -> Ruled | None:
    """What rules of mode deny say of what would run: a rule names a digest, and the pod may have
    written a tag in its place, or an index that holds it."""
    reference = judgement.reference
    if reference is None or not scope.denies_digests:
        return None
    manifests = [verdict.subject.digest for verdict in judgement.verdicts]
    for digest in dict.fromkeys([judgement.digest, *manifests]):
        if digest and digest != reference.digest:
            ruling = scope.ruling(msgspec.structs.replace(reference, digest=digest))
            what = f"{digest[:19]}…, which it stands for"
            refused = _refused_by_rule(judgement.image, reference, ruling, what=what)
            if refused is not None:
                return refused
    return None


def _unreadable(written: str, rules: Rules, why: str) -> Ruled:
    if written in rules.placeholders:
        return _ruled(written, State.REFUSED, STRICT, _not_replaced(written))
    return _ruled(written, State.INVALID, STRICT, why)


def _refused(written: str, reference: ImageReference, ruling: Ruling, rules: Rules) -> Ruled | None:
    """What no look-up can help: under the strictest of the rules, since all must be satisfied."""
    if written in rules.placeholders:
        why = _not_replaced(written)
    elif not rules.allows_registry(reference.host):
        why = (
            f"registry {reference.host} is not in allowRegistries of the rules: use an image of "
            "one that is, or have it added"
        )
    else:
        return _refused_by_rule(written, reference, ruling)
    return _ruled(written, State.REFUSED, ruling.strictest, why, reference=reference)


def _refused_by_rule(
    written: str, reference: ImageReference, ruling: Ruling, *, what: str = "it"
) -> Ruled | None:
    state, rule = State.REFUSED, ruling.strictest
    if rule.mode is Mode.DENY and rule in ruling.rules:
        why = f"rule {rule.name} denies {what}: use another image, or have the rule changed"
    elif ruling.decides is None:
        state, why = State.UNDECIDED, UNDECIDED
    else:
        return None
    return _ruled(written, state, rule, why, reference=reference)


def _not_replaced(written: str) -> str:
    return (
        f"the placeholder {written!r} was not replaced: see that the pod mutator whose it is "
        "(Istio's injector) was called for this pod"
    )


def _excepted(
    written: str, reference: ImageReference, ruling: Ruling, exception: ImageException
) -> Ruled:
    """What an exception lets run unseen, whatever the rules that ask would find."""
    judgement = Judgement(
        image=written,
        state=State.EXEMPT,
        reference=reference,
        exceptions=(exception,),
        allowed_until=exception.expires,
    )
    return Ruled(judgement, ruling.rules[0], exception.expires)


def _ruled(
    written: str,
    state: State,
    rule: Rule,
    message: str = "",
    *,
    reference: ImageReference | None = None,
) -> Ruled:
    return Ruled(Judgement(image=written, state=state, reference=reference, message=message), rule)
