"""Whether the API server asks imagegate about all that it should, and nobody can get past that.

What is wanted: docs/design/behaviour.md 1; why: docs/design/kube-facts.md 4.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from services.cli.doctor.admission import Condition, Configuration, Hook, hooks_of
from services.cli.doctor.reach import (
    PODS,
    TOMORROW,
    Labels,
    Places,
    asking,
    exempt_from,
    labels_that_choose,
    places_of,
    within,
)
from services.cli.doctor.remarks import Remark, bad, good, note, warn

PART = "webhook configuration"

ASKED = (
    (*PODS, "new pods"),
    ("UPDATE", "pods", "pods whose image is changed"),
    ("UPDATE", "pods/ephemeralcontainers", "ephemeral containers"),
)

SHORTEST = 3
"""Seconds below which an answer that waits for a scan has no time."""

LONGEST = 10
"""Seconds above which a webhook that hangs holds everything up."""

JUDGES = "/validate"
PINS = "/mutate"
"""What a webhook must ask for: the other one refuses nothing, or changes nothing."""

AN_IMAGE_CHANGED = """
object.spec.containers.map(c, c.name + ' ' + c.?image.orValue(''))
  != oldObject.spec.containers.map(c, c.name + ' ' + c.?image.orValue(''))
|| object.spec.?initContainers.orValue([]).map(c, c.name + ' ' + c.?image.orValue(''))
  != oldObject.spec.?initContainers.orValue([]).map(c, c.name + ' ' + c.?image.orValue(''))
|| object.spec.?volumes.orValue([]).filter(v, has(v.image))
  .map(v, v.name + ' ' + v.image.?reference.orValue(''))
  != oldObject.spec.?volumes.orValue([]).filter(v, has(v.image))
  .map(v, v.name + ' ' + v.image.?reference.orValue(''))
"""
"""The one condition that is known to leave out nothing but what changes no image: the chart's."""

SHOWN = 8
"""Namespaces in one line; the others are counted."""

NO_NAMESPACES: Places = MappingProxyType({})

_AGAIN = "install it again: helm upgrade, or the manifests of k8s/examples"


def validating_remarks(
    configurations: Iterable[Configuration], *, namespaces: Places = NO_NAMESPACES
) -> Iterator[Remark]:
    """About the one that judges; `namespaces`: those that there are, as far as it is known."""
    ours = [each for each in configurations if each.ours]
    hooks = hooks_of(ours)
    if not hooks:
        yield bad(
            PART,
            "no ValidatingWebhookConfiguration names imagegate: nothing is judged",
            _AGAIN,
        )
        return
    if len(ours) > 1:
        names = ", ".join(each.name for each in ours)
        yield warn(
            PART,
            f"{len(ours)} configurations name imagegate ({names}): each pod is asked about twice",
            "delete those of installations that are gone",
        )
    yield from _asked(hooks, namespaces)
    for hook in hooks:
        yield from _hook(hook)
    yield from _addressed(hooks)
    yield from _exemption(hooks, namespaces)


def mutating_remarks(
    configurations: Iterable[Configuration], *, pinning: bool = True
) -> Iterator[Remark]:
    """About the one that pins, and those that come after it. `pinning`: pods are to be pinned."""
    every = sorted(configurations, key=lambda each: each.name)
    ours = [each for each in every if each.ours]
    if not ours:
        if pinning:
            yield bad(
                PART,
                "no MutatingWebhookConfiguration names imagegate: nothing pins, and where pods are "
                "judged each that names a tag is refused",
                f"{_AGAIN}; or set IMAGEGATE_PIN=none and let tags pass (docs/install.md)",
            )
        return
    hooks = hooks_of(ours)
    if pinning and not asking(hooks, *PODS):
        yield bad(
            PART, "nobody asks imagegate to pin new pods: each that names a tag is refused", _AGAIN
        )
    for hook in hooks:
        yield from _path(hook, PINS, "it pins nothing")
        if hook.failure_policy == "Fail":
            yield warn(
                PART,
                f"{hook.name} pins with failurePolicy Fail: a second thing that stops pods, which "
                "protects from nothing that /validate does not",
                "set its failurePolicy to Ignore",
            )
    later = [each.name for each in every if each.name > ours[-1].name and _of_pods(each)]
    if later:
        yield warn(
            PART,
            f"mutating configurations are called after {ours[-1].name} ({', '.join(later)}): an "
            "image that one of them writes is not pinned, and the pod is refused",
            "let ours come last by its name, or see that these write no images",
        )
    else:
        yield good(PART, f"{ours[-1].name} is the last that changes pods")


def _of_pods(configuration: Configuration) -> bool:
    return any(hook.covers("CREATE", "pods") for hook in configuration.webhooks)


def _asked(hooks: Sequence[Hook], namespaces: Places) -> Iterator[Remark]:
    """In every namespace in which new pods are judged, the others must be, too."""
    exempt = exempt_from(hooks, namespaces)
    places = places_of(hooks, namespaces)
    judged = {name: labels for name, labels in places.items() if name not in exempt}
    for operation, resource, what in ASKED:
        asked = asking(hooks, operation, resource)
        if not asked:
            yield bad(PART, f"nobody asks imagegate about {what}: they run unjudged", _AGAIN)
            continue
        doubts = [*_conditions(asked, (operation, resource), what), *_gaps(asked, judged, what)]
        yield from doubts
        if judged and not doubts:
            yield good(PART, f"imagegate is asked about {what}")


def _gaps(asked: Sequence[Hook], judged: Mapping[str, Labels], what: str) -> Iterator[Remark]:
    """Where nobody asks, and where nobody waits for the answer."""
    here = {name: within(asked, labels) for name, labels in judged.items()}
    unasked = [name for name, hooks in here.items() if not hooks]
    if unasked:
        yield bad(
            PART,
            f"nobody asks imagegate about {what} in {_shown(unasked)}, where new pods are judged: "
            "they run unjudged there",
            f"give our webhooks the same namespaceSelector: {_AGAIN}",
        )
    lax = [
        name
        for name, hooks in here.items()
        if hooks and all(hook.failure_policy == "Ignore" for hook in hooks)
    ]
    if lax:
        where = "" if len(lax) == len(here) else f" in {_shown(lax)}"
        yield warn(
            PART,
            f"{what} are let in{where} while imagegate does not answer (failurePolicy Ignore)",
            "right for a time of audit; for enforcement failurePolicy must be Fail "
            "(docs/install.md)",
        )


def _conditions(asked: Sequence[Hook], about: tuple[str, str], what: str) -> Iterator[Remark]:
    """Where a condition is false nobody is asked."""
    for hook in asked:
        if not hook.match_conditions:
            continue
        if about != ("UPDATE", "pods"):
            yield bad(
                PART,
                f"{hook.name} has matchConditions for {what}: where one is false the pod runs "
                "unjudged",
                "remove them; namespaces are exempted by the namespaceSelector",
            )
        elif not all(map(_is_known, hook.match_conditions)):
            yield warn(
                PART,
                f"{hook.name} has matchConditions that are not the chart's: where one is false "
                f"{what} run unjudged, and where one fails every change of a pod is refused",
                f"see that they are false only where no image changes, or {_AGAIN}",
            )


def _is_known(condition: Condition) -> bool:
    return _bare(condition.expression) == _bare(AN_IMAGE_CHANGED)


def _bare(expression: str) -> str:
    """Without what means nothing; nothing in ours means something by its spaces but `' '`."""
    return "".join(expression.replace("' '", "BLANK").split())


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _hook(hook: Hook) -> Iterator[Remark]:
    yield from _path(hook, JUDGES, "it lets everything in")
    if hook.object_selector.match_labels or hook.object_selector.match_expressions:
        yield bad(
            PART,
            f"{hook.name} has an objectSelector: whoever writes a pod chooses by its labels "
            "whether it is judged",
            "remove the objectSelector",
        )
    if hook.match_policy != "Equivalent":
        yield bad(
            PART,
            f"{hook.name} has matchPolicy {hook.match_policy}: what comes by another version of "
            "the API is not judged",
            "set matchPolicy to Equivalent",
        )
    if hook.side_effects not in ("None", "NoneOnDryRun"):
        yield bad(
            PART,
            f"{hook.name} says sideEffects {hook.side_effects or 'nothing'}: dry runs are refused",
            "set sideEffects to NoneOnDryRun",
        )
    if not SHORTEST <= hook.timeout_seconds <= LONGEST:
        yield warn(
            PART,
            f"{hook.name} gives an answer {hook.timeout_seconds} s",
            f"set timeoutSeconds between {SHORTEST} and {LONGEST}, and IMAGEGATE_BUDGET half a "
            "second below",
        )


def _path(hook: Hook, wanted: str, otherwise: str) -> Iterator[Remark]:
    """A URL may have something before it, where a proxy stands."""
    path = hook.client_config.path
    if path != wanted and (hook.client_config.service or not path.endswith(wanted)):
        yield bad(
            PART,
            f"{hook.name} asks {path or 'no path'} and not {wanted}: {otherwise}",
            f"set the path of its clientConfig to {wanted}",
        )


def _addressed(hooks: Sequence[Hook]) -> Iterator[Remark]:
    """The pod on trial shows whom one of them asks; that must be true of all."""
    where = sorted({hook.client_config.where for hook in hooks})
    if len(where) > 1:
        yield bad(
            PART,
            f"our webhooks ask different servers ({_shown(where)}): what is not imagegate may let "
            "everything in",
            _AGAIN,
        )


def _exemption(hooks: Sequence[Hook], namespaces: Places) -> Iterator[Remark]:
    for key in sorted(labels_that_choose(hooks)):
        yield warn(
            PART,
            f"the label {key} decides which namespaces are judged: whoever may label a namespace "
            "can exempt it",
            "exempt namespaces by their names, or let a policy guard that label (docs/security.md)",
        )
    exempt = exempt_from(hooks, namespaces)
    if exempt and exempt == places_of(hooks, namespaces).keys():
        yield bad(
            PART, "our namespaceSelectors leave out every namespace: nothing is judged", _AGAIN
        )
    elif TOMORROW in exempt:
        yield warn(
            PART,
            "a namespace that somebody makes is not judged: the namespaceSelector tells which are, "
            "and not which are left out",
            "name what is exempt with operator NotIn (docs/install.md)",
        )
    if "kube-system" not in exempt:
        yield warn(
            PART,
            "kube-system is not exempt: while imagegate is down nothing there starts, which "
            "imagegate itself may need",
            "exempt it in each namespaceSelector",
        )
    for namespace in sorted(_own(hooks) - exempt):
        yield bad(
            PART,
            f"imagegate's own namespace {namespace} is not exempt: once all webhooks are down none "
            "can start again",
            "exempt it in each namespaceSelector",
        )
    yield note(PART, f"exempt, nothing there is judged: {', '.join(sorted(exempt)) or 'none'}")


def _own(hooks: Iterable[Hook]) -> set[str]:
    return {hook.client_config.service.namespace for hook in hooks if hook.client_config.service}
