"""Whether the API server asks imagegate about all that it should, and nobody can get past that.

What is wanted: docs/design/behaviour.md 1; why: docs/design/kube-facts.md 4.
"""

from collections.abc import Iterable, Iterator
from types import MappingProxyType

from services.cli.doctor.admission import Configuration, hooks_of
from services.cli.doctor.calls import PINS, address_remarks, judging_remarks, path_remarks
from services.cli.doctor.coverage import coverage_remarks
from services.cli.doctor.exemption import exemption_remarks
from services.cli.doctor.mending import AGAIN, PART
from services.cli.doctor.reach import PODS, Places, asking
from services.cli.doctor.remarks import Remark, bad, good, warn

NO_NAMESPACES: Places = MappingProxyType({})


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
            AGAIN,
        )
        return
    if len(ours) > 1:
        names = ", ".join(each.name for each in ours)
        yield warn(
            PART,
            f"{len(ours)} configurations name imagegate ({names}): each pod is asked about twice",
            "delete those of installations that are gone",
        )
    yield from coverage_remarks(hooks, namespaces)
    for hook in hooks:
        yield from judging_remarks(hook)
    yield from address_remarks(hooks)
    yield from exemption_remarks(hooks, namespaces)


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
                f"{AGAIN}; or set IMAGEGATE_PIN=none and let tags pass (docs/install.md)",
            )
        return
    hooks = hooks_of(ours)
    if pinning and not asking(hooks, *PODS):
        yield bad(
            PART, "nobody asks imagegate to pin new pods: each that names a tag is refused", AGAIN
        )
    for hook in hooks:
        yield from path_remarks(hook, PINS, "it pins nothing")
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
