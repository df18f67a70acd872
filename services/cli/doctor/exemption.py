"""Which namespaces our webhooks leave out: those that must be, and none that anybody chooses."""

from collections.abc import Iterable, Iterator, Sequence

from services.cli.doctor.admission import Hook
from services.cli.doctor.mending import AGAIN, PART
from services.cli.doctor.reach import TOMORROW, Places, exempt_from, labels_that_choose, places_of
from services.cli.doctor.remarks import Remark, bad, note, warn


def exemption_remarks(hooks: Sequence[Hook], namespaces: Places) -> Iterator[Remark]:
    """The last one tells all that are exempt."""
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
            PART, "our namespaceSelectors leave out every namespace: nothing is judged", AGAIN
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
