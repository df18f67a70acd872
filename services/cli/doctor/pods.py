"""Whether somebody is there whom the API server can ask: the pods behind the webhooks' Service."""

from collections.abc import Collection, Iterator, Sequence

from services.cli.doctor.admission import Form, ServiceName, Strings
from services.cli.doctor.remarks import Remark, bad, good

PART = "webhooks"


class _Labelled(Form, frozen=True):
    name: str = ""
    labels: dict[str, str] | None = None
    deletion_timestamp: str = ""


class _Selector(Form, frozen=True):
    selector: dict[str, str] | None = None


class ServiceForm(Form, frozen=True):
    """A Service, as far as it chooses pods."""

    metadata: _Labelled = _Labelled()
    spec: _Selector = _Selector()


class _Condition(Form, frozen=True):
    type: str = ""
    status: str = ""


class _PodStatus(Form, frozen=True):
    conditions: tuple[_Condition, ...] | None = None


class PodForm(Form, frozen=True):
    """A pod, as far as it can be chosen and is ready."""

    metadata: _Labelled = _Labelled()
    status: _PodStatus = _PodStatus()

    @property
    def ready(self) -> bool:
        """Whether a Service leads to it."""
        conditions = self.status.conditions or ()
        return not self.metadata.deletion_timestamp and any(
            (each.type, each.status) == ("Ready", "True") for each in conditions
        )


def behind(
    named: ServiceName, services: Collection[ServiceForm], pods: Collection[PodForm]
) -> Sequence[PodForm] | None:
    """The pods of its namespace that it chooses; None: there is no such Service, or it chooses
    none itself."""
    for each in services:
        if each.metadata.name == named.name and each.spec.selector:
            chosen = each.spec.selector.items()
            return [pod for pod in pods if chosen <= (pod.metadata.labels or {}).items()]
    return None


def pods_remarks(named: ServiceName, chosen: Sequence[PodForm]) -> Iterator[Remark]:
    """Of one Service that chooses pods."""
    where = f"behind the Service {named.namespace}/{named.name}"
    ready = sum(each.ready for each in chosen)
    if ready:
        yield good(PART, f"{ready} of {len(chosen)} pods {where} are ready")
        return
    names: Strings = tuple(sorted(each.metadata.name for each in chosen))
    look = (
        f"`kubectl -n {named.namespace} describe pod {names[0]}`, then its log"
        if names
        else f"`kubectl -n {named.namespace} describe rs` says why none is made"
    )
    yield bad(
        PART,
        f"none of {len(chosen)} pods {where} is ready: nobody answers the API server",
        f"{look}; if it takes long and no pod starts: docs/operations.md, Stop enforcing",
    )
