"""Webhook configurations, and how far a Deployment is (`shared.ports.webhook_configurations`)."""

from typing import Any, TypeVar

import msgspec

from shared.adapters.kubernetes.access import Server
from shared.adapters.kubernetes.failures import NotThere
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.objects import Unreadable
from shared.adapters.kubernetes.over_wire import OverWire
from shared.ports.webhook_configurations import Live, Rollout, Which

APPLY = "application/apply-patch+yaml"
"""Of a server-side apply; JSON is YAML."""
JSON_PATCH = "application/json-patch+json"
MANAGER = "imagegate-webhooks"
INSTALLATION = "imagegate.dev/installation"
"""The annotation that says whose a configuration is."""

ADVICE = (
    "bind the ClusterRole imagegate-webhooks (get, create, patch and delete of the two "
    "configurations) and the Role of that name (get of the Deployment) to whom this runs as, or "
    "use a kubeconfig whose user may"
)

Form = TypeVar("Form", bound=msgspec.Struct)


class _Meta(msgspec.Struct, rename="camel"):
    annotations: dict[str, str] | None = None
    uid: str = ""
    generation: int = 0


class _Webhook(msgspec.Struct, rename="camel"):
    name: str
    failure_policy: str = "Fail"


class _Configuration(msgspec.Struct):
    metadata: _Meta
    webhooks: list[_Webhook] | None = None


class _Spec(msgspec.Struct):
    replicas: int = 1


class _Status(msgspec.Struct, rename="camel"):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0


class _Deployment(msgspec.Struct):
    metadata: _Meta
    spec: _Spec
    status: _Status = msgspec.field(default_factory=_Status)


class KubernetesWebhookConfigurations(OverWire):
    """Those of one cluster. An async context manager: nothing is opened before."""

    def __init__(self, *, server: Server, pace: Pace | None = None) -> None:
        super().__init__(server=server, pace=pace or Pace(), advice=ADVICE)

    async def get(self, which: Which) -> Live | None:
        doing = f"get {which}"
        try:
            body = await self._wire.get(_path(which), doing=doing)
        except NotThere:
            return None
        found = await self._wire.decoded(body, doing, lambda text: _read(text, _Configuration))
        annotations = found.metadata.annotations or {}
        return Live(
            installation=annotations.get(INSTALLATION, ""),
            policies={each.name: each.failure_policy for each in found.webhooks or ()},
            uid=found.metadata.uid,
        )

    async def apply(
        self, which: Which, document: dict[str, Any], *, only: Live | None = None
    ) -> None:
        if only is not None:
            # With another uid, or where there is none, the API server answers 409.
            document = {**document, "metadata": {**document["metadata"], "uid": only.uid}}
        await self._wire.send(
            "PATCH",
            _path(which),
            msgspec.json.encode(document),
            {"fieldManager": MANAGER, "force": "true"},
            doing=f"apply {which}",
            form=APPLY,
        )

    async def relax(self, which: Which, live: Live) -> None:
        patch = [
            operation
            for place, name in enumerate(live.policies)
            for operation in (
                # Else somebody has put another webhook there in the meantime.
                {"op": "test", "path": f"/webhooks/{place}/name", "value": name},
                {"op": "replace", "path": f"/webhooks/{place}/failurePolicy", "value": "Ignore"},
            )
        ]
        await self._wire.send(
            "PATCH",
            _path(which),
            msgspec.json.encode(patch),
            {"fieldManager": MANAGER},
            doing=f"relax {which}",
            form=JSON_PATCH,
        )

    async def delete(self, which: Which) -> None:
        try:
            await self._wire.send("DELETE", _path(which), b"", doing=f"delete {which}")
        except NotThere:
            return

    async def rollout(self, namespace: str, deployment: str) -> Rollout:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        doing = f"get the Deployment {namespace}/{deployment}"
        try:
            body = await self._wire.get(path, doing=doing)
        except NotThere:
            return Rollout(wanted=0, updated=0, available=0, replicas=0, seen=True)
        found = await self._wire.decoded(body, doing, lambda text: _read(text, _Deployment))
        status = found.status
        return Rollout(
            wanted=found.spec.replicas,
            updated=status.updated_replicas,
            available=status.available_replicas,
            replicas=status.replicas,
            seen=status.observed_generation >= found.metadata.generation,
        )


def _path(which: Which) -> str:
    return f"/apis/admissionregistration.k8s.io/v1/{which.resource}/{which.called}"


def _read(text: bytes, form: type[Form]) -> Form:
    try:
        return msgspec.json.decode(text, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("what is no object of the kind that was asked for") from error
