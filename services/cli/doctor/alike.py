"""Whether webhooks and workers are told the same of their cluster (docs/design/inventory.md).

A worker writes the platforms of the nodes down under the name that it knows, and webhooks count
what stands under theirs. Where these differ, webhooks count others: of an image for several
platforms a manifest runs that was not asked about.
"""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from services.cli.doctor.pods import PodForm
from services.cli.doctor.remarks import Remark, warn

PART = "settings"

UNSET = "not set"

ALIKE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"IMAGEGATE_CLUSTER": (UNSET, "cluster"), "IMAGEGATE_INVENTORY": ("auto", "inventory.enabled")}
)
"""What it is where nothing sets it, and the value of the chart that says it."""

WORKER = {"app.kubernetes.io/name": "imagegate", "app.kubernetes.io/component": "worker"}
"""By which the chart's pods of workers are known."""


def workers(pods: Collection[PodForm]) -> list[PodForm]:
    """Those of a namespace that are."""
    return [each for each in pods if WORKER.items() <= (each.metadata.labels or {}).items()]


def alike_remarks(webhooks: Collection[PodForm], others: Collection[PodForm]) -> Iterator[Remark]:
    """`others`: the workers. Of what stands in a ConfigMap or a Secret nothing is known."""
    for name, (default, value) in ALIKE.items():
        asked, asking = (_told(pods, name, default) for pods in (webhooks, others))
        if not (asked and asking) or len({*asked, *asking}) == 1:
            continue
        yield warn(
            PART,
            f"{name} of webhooks is {' and '.join(asked)}, of workers "
            f"{'it is ' if asking == [UNSET] else ''}{' and '.join(asking)}: webhooks count other "
            "platforms than workers see on the nodes, and on those may run what nobody judged",
            f"give all of them the same (`{value}` of the chart); it does not matter where the "
            "rules name platforms, nor for the moment of an upgrade",
        )


def _told(pods: Collection[PodForm], name: str, default: str) -> list[str]:
    told = (each.told(name) for each in pods if each.stays)
    return sorted({each or default for each in told if each is not None})
