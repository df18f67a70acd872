"""Whether the API server asks imagegate about all that it should, and nobody can get past that.

What is wanted: docs/design/behaviour.md 1; why: docs/design/kube-facts.md 4.
"""

from collections.abc import Iterable, Iterator

from services.cli.doctor.admission import NAME_LABEL, Configuration, Hook, exempt_from, hooks_of
from services.cli.doctor.remarks import Remark, bad, good, note, warn

PART = "webhook configuration"

ASKED = (
    ("CREATE", "pods", "new pods"),
    ("UPDATE", "pods", "pods whose image is changed"),
    ("UPDATE", "pods/ephemeralcontainers", "ephemeral containers"),
)

SHORTEST = 3
"""Seconds below which an answer that waits for a scan has no time."""

LONGEST = 10
"""Seconds above which a webhook that hangs holds everything up."""

_AGAIN = "install it again: helm upgrade, or the manifests of k8s/examples"


def validating_remarks(configurations: Iterable[Configuration]) -> Iterator[Remark]:
    """About the one that judges."""
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
    yield from _asked(hooks)
    for hook in hooks:
        yield from _hook(hook)
    yield from _exemption(hooks)


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
                "no MutatingWebhookConfiguration names imagegate: nothing pins, so that each pod "
                "that names a tag is refused",
                f"{_AGAIN}; or set IMAGEGATE_PIN=none and let tags pass (docs/install.md)",
            )
        return
    for hook in hooks_of(ours):
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


def _asked(hooks: tuple[Hook, ...]) -> Iterator[Remark]:
    for operation, resource, what in ASKED:
        asking = [hook for hook in hooks if hook.covers(operation, resource)]
        if not asking:
            yield bad(PART, f"nobody asks imagegate about {what}: they run unjudged", _AGAIN)
        elif all(hook.failure_policy == "Ignore" for hook in asking):
            yield warn(
                PART,
                f"{what} are let in while imagegate does not answer (failurePolicy Ignore)",
                "right for a time of audit; for enforcement failurePolicy must be Fail "
                "(docs/install.md)",
            )
        else:
            yield good(PART, f"imagegate is asked about {what}")
        for hook in asking:
            if operation == "CREATE" and hook.match_conditions:
                yield bad(
                    PART,
                    f"{hook.name} has matchConditions for new pods: where one is false the pod "
                    "runs unjudged",
                    "remove them; namespaces are exempted by the namespaceSelector",
                )


def _hook(hook: Hook) -> Iterator[Remark]:
    if not hook.object_selector.empty:
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


def _exemption(hooks: tuple[Hook, ...]) -> Iterator[Remark]:
    by_label = {
        key
        for hook in hooks
        for key in (
            *hook.namespace_selector.match_labels,
            *(each.key for each in hook.namespace_selector.match_expressions),
        )
        if key != NAME_LABEL
    }
    for key in sorted(by_label):
        yield warn(
            PART,
            f"the label {key} decides which namespaces are judged: whoever may label a namespace "
            "can exempt it",
            "exempt namespaces by their names, or let a policy guard that label (docs/security.md)",
        )
    exempt = exempt_from(hooks)
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
    yield note(PART, f"exempt by name: {', '.join(sorted(exempt)) or 'none'}")


def _own(hooks: tuple[Hook, ...]) -> set[str]:
    return {hook.client_config.service.namespace for hook in hooks if hook.client_config.service}
