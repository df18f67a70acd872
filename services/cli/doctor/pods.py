"""Whether somebody is there whom the API server can ask: the pods behind the webhooks' Service."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from services.cli.doctor.admission import Form, ServiceName, Strings
from services.cli.doctor.remarks import Remark, bad, good

PART = "webhooks"

_OURS = "IMAGEGATE_"
"""How the name of a variable begins that only a container of ours is told."""
_ENDED = ("Failed", "Succeeded")


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
    phase: str = ""


class _Variable(Form, frozen=True):
    name: str
    value: str = ""
    value_from: dict[str, Any] | None = None


class _Container(Form, frozen=True):
    env: tuple[_Variable, ...] | None = None
    env_from: tuple[dict[str, Any], ...] | None = None


class _PodSpec(Form, frozen=True):
    containers: tuple[_Container, ...] = ()


class PodForm(Form, frozen=True):
    """A pod, as far as it can be chosen, is ready, and tells its process something."""

    metadata: _Labelled = _Labelled()
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()

    @property
    def stays(self) -> bool:
        """Whether it neither ended nor is about to."""
        return not self.metadata.deletion_timestamp and self.status.phase not in _ENDED

    def told(self, name: str) -> str | None:
        """What a variable of our container is; empty where nothing sets it. None: that stands
        elsewhere, in a ConfigMap or a Secret."""
        for each in self.spec.containers:
            variables = each.env or ()
            if any(variable.name.startswith(_OURS) for variable in variables):
                # Of two of one name the last counts.
                for variable in reversed(variables):
                    if variable.name == name:
                        return None if variable.value_from else variable.value
                return None if each.env_from else ""
        return None

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
