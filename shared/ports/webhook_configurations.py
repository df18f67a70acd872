"""What the API server is told to ask imagegate: its two webhook configurations, by their names."""

from enum import Enum
from typing import Any, Protocol

import msgspec

OUR_WEBHOOKS = ".imagegate.dev"
"""How the names of imagegate's webhooks end (k8s/chart/templates/_webhooks.tpl)."""


class Which(Enum):
    """The two that are ours; one cluster has one of each."""

    VALIDATING = ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "imagegate")
    MUTATING = ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "zz-imagegate")

    def __init__(self, kind: str, resource: str, called: str) -> None:
        self.kind = kind
        self.resource = resource
        self.called = called

    def __str__(self) -> str:
        return f"{self.kind} {self.called}"


class Live(msgspec.Struct, frozen=True):
    """One as the cluster has it."""

    installation: str
    """`NAMESPACE/RELEASE` whose it is; empty where it does not say."""
    policies: dict[str, str]
    """Of each webhook by its name, in their order: its failurePolicy."""
    uid: str = ""
    """One that is made again has another."""


class Rollout(msgspec.Struct, frozen=True):
    """How far the webhook's Deployment is with what it was told last."""

    wanted: int
    updated: int
    available: int
    replicas: int
    """Of all versions."""
    seen: bool
    """Whether the controller has looked at what it was told last."""

    @property
    def complete(self) -> bool:
        """All pods are of the last version, and ready."""
        return (
            self.seen
            and 0 < self.wanted <= min(self.updated, self.available)
            and self.replicas <= self.updated
        )


class WebhookConfigurations(Protocol):
    """Errors: ClusterUnreachable; ClusterMisconfigured where a person must correct something."""

    async def get(self, which: Which) -> Live | None:
        """None: there is none."""

    async def apply(
        self, which: Which, document: dict[str, Any], *, only: Live | None = None
    ) -> None:
        """Have the cluster have it so, whether or not it was there. What others wrote into it is
        written over; what an earlier apply named and this one does not is taken out.

        `only`: where this very one is there still; else nothing is made or changed, and
        ClusterUnreachable raised.
        """

    async def relax(self, which: Which, live: Live) -> None:
        """Let pass what no webhook answers for (failurePolicy Ignore), in each webhook of it.

        Nothing is changed, and ClusterUnreachable raised, where it is not as `live` any more.
        """

    async def delete(self, which: Which) -> None:
        """It is gone afterwards, whether or not it was there."""

    async def rollout(self, namespace: str, deployment: str) -> Rollout:
        """Of a Deployment; one that is not there wants no pods."""
