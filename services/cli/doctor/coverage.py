"""Wherever new pods are judged, whatever else brings an image must be judged, too."""

from collections.abc import Iterator, Mapping, Sequence

from services.cli.doctor.admission import Hook
from services.cli.doctor.conditions import condition_remarks
from services.cli.doctor.mending import AGAIN, PART, shown
from services.cli.doctor.reach import PODS, Labels, Places, asking, exempt_from, places_of, within
from services.cli.doctor.remarks import Remark, bad, good, warn

ASKED = (
    (*PODS, "new pods"),
    ("UPDATE", "pods", "pods whose image is changed"),
    ("UPDATE", "pods/ephemeralcontainers", "ephemeral containers"),
)


def coverage_remarks(hooks: Sequence[Hook], namespaces: Places) -> Iterator[Remark]:
    """Of each thing that brings an image: asked about wherever it must be, and waited for."""
    exempt = exempt_from(hooks, namespaces)
    places = places_of(hooks, namespaces)
    judged = {name: labels for name, labels in places.items() if name not in exempt}
    for operation, resource, what in ASKED:
        asked = asking(hooks, operation, resource)
        if not asked:
            yield bad(PART, f"nobody asks imagegate about {what}: they run unjudged", AGAIN)
            continue
        doubts = [
            *condition_remarks(asked, (operation, resource), what),
            *_gaps(asked, judged, what),
        ]
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
            f"nobody asks imagegate about {what} in {shown(unasked)}, where new pods are judged: "
            "they run unjudged there",
            f"give our webhooks the same namespaceSelector: {AGAIN}",
        )
    lax = [
        name
        for name, hooks in here.items()
        if hooks and all(hook.failure_policy == "Ignore" for hook in hooks)
    ]
    if lax:
        where = "" if len(lax) == len(here) else f" in {shown(lax)}"
        yield warn(
            PART,
            f"{what} are let in{where} while imagegate does not answer (failurePolicy Ignore)",
            "right for a time of audit; for enforcement failurePolicy must be Fail "
            "(docs/install.md)",
        )
