"""Pod templates of workloads, and whom imagegate's webhooks are called for
(`shared.ports.workloads`)."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar, TypeVar

import msgspec

from shared.adapters.kubernetes.access import Server
from shared.adapters.kubernetes.limits import MAX_PODS_PAGE, Pace
from shared.adapters.kubernetes.listing import Listing, PageOf
from shared.adapters.kubernetes.over_wire import OverWire
from shared.domain.label_selector import LabelSelector
from shared.domain.workload import PodSpec, places_of
from shared.ports.webhook_configurations import OUR_WEBHOOKS
from shared.ports.workloads import Template

ADVICE = "whoever asks must be allowed to list it in the whole cluster (--context names another)"

Item = TypeVar("Item", bound=msgspec.Struct)

_OWNERS = ("apps/v1", "batch/v1", "v1")
"""Of what is listed here itself; whose owner is anything else (an operator's) is told."""


class _Owner(msgspec.Struct, rename="camel"):
    api_version: str = ""
    controller: bool | None = None


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None


class _PodTemplate(msgspec.Struct):
    metadata: _Meta | None = None
    spec: PodSpec = msgspec.field(default_factory=PodSpec)


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _Status(msgspec.Struct):
    conditions: list[_Condition] | None = None


class _Spec(msgspec.Struct):
    template: _PodTemplate | None = None


class _Workload(msgspec.Struct):
    """What has its template at `spec.template`."""

    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status | None = None

    @property
    def template(self) -> _PodTemplate | None:
        """None: it makes nothing."""
        return self.spec.template

    @property
    def over(self) -> bool:
        """A Job that makes no pods any more."""
        conditions = (self.status.conditions or ()) if self.status else ()
        return any(
            each.type in ("Complete", "Failed") and each.status == "True" for each in conditions
        )


class _JobTemplate(msgspec.Struct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


class _CronSpec(msgspec.Struct, rename="camel"):
    job_template: _JobTemplate = msgspec.field(default_factory=_JobTemplate)


class _CronJob(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _CronSpec = msgspec.field(default_factory=_CronSpec)
    over: ClassVar[bool] = False

    @property
    def template(self) -> _PodTemplate | None:
        """None: it makes nothing."""
        return self.spec.job_template.spec.template


class _Operation(msgspec.Struct):
    resources: list[str] | None = None
    operations: list[str] | None = None


class _Webhook(msgspec.Struct, rename="camel"):
    name: str = ""
    rules: list[_Operation] | None = None
    namespace_selector: LabelSelector | None = None

    @property
    def sees_new_pods(self) -> bool:
        """Whether pods come to it before they are."""
        return self.name.endswith(OUR_WEBHOOKS) and any(
            {"pods", "*", "*/*"} & set(rule.resources or ())
            and {"CREATE", "*"} & set(rule.operations or ())
            for rule in self.rules or ()
        )


class _Configuration(msgspec.Struct):
    webhooks: list[_Webhook] | None = None


_KINDS: dict[str, tuple[str, str]] = {
    "deployments": ("/apis/apps/v1/deployments", "Deployment"),
    "statefulsets": ("/apis/apps/v1/statefulsets", "StatefulSet"),
    "daemonsets": ("/apis/apps/v1/daemonsets", "DaemonSet"),
    "replicasets": ("/apis/apps/v1/replicasets", "ReplicaSet"),
    "cronjobs": ("/apis/batch/v1/cronjobs", "CronJob"),
    "jobs": ("/apis/batch/v1/jobs", "Job"),
    "replicationcontrollers": ("/api/v1/replicationcontrollers", "ReplicationController"),
}

_PLAIN = msgspec.json.Decoder(PageOf[_Workload])
_CRON = msgspec.json.Decoder(PageOf[_CronJob])
_CONFIGURATIONS = msgspec.json.Decoder(PageOf[_Configuration])
_VALIDATING = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class KubernetesWorkloads(OverWire):
    """`Workloads` of one cluster. An async context manager: nothing is opened before."""

    kinds: Sequence[str] = tuple(_KINDS)

    def __init__(self, *, server: Server, pace: Pace | None = None) -> None:
        super().__init__(server=server, pace=pace or Pace(), advice=ADVICE)

    async def templates(self, kind: str) -> AsyncGenerator[Sequence[Template], None]:
        path, name = _KINDS[kind]
        listing: Listing[_Workload] | Listing[_CronJob]
        if kind == "cronjobs":
            listing = self._listing(path, f"{name}List", kind, _CRON)
        else:
            listing = self._listing(path, f"{name}List", kind, _PLAIN)
        async with aclosing(listing.pages()) as pages:
            async for page in pages:
                yield [
                    _template(name, each.metadata, each.template)
                    for each in page
                    if each.template is not None and not each.over and not _owned(each.metadata)
                ]

    async def judged(self) -> Sequence[LabelSelector]:
        listing = self._listing(
            _VALIDATING,
            "ValidatingWebhookConfigurationList",
            "validatingwebhookconfigurations",
            _CONFIGURATIONS,
        )
        found = []
        async with aclosing(listing.pages()) as pages:
            async for page in pages:
                found += [
                    webhook.namespace_selector or LabelSelector()
                    for each in page
                    for webhook in each.webhooks or ()
                    if webhook.sees_new_pods
                ]
        return found

    def _listing(
        self, path: str, kind: str, what: str, decoder: msgspec.json.Decoder[PageOf[Item]]
    ) -> Listing[Item]:
        return Listing(
            wire=self._wire,
            path=path,
            kind=kind,
            doing=f"list {what}",
            decoder=decoder,
            limit=MAX_PODS_PAGE,
        )


def _owned(meta: _Meta) -> bool:
    return any(
        each.controller and each.api_version in _OWNERS for each in meta.owner_references or ()
    )


def _template(kind: str, meta: _Meta, template: _PodTemplate) -> Template:
    about = template.metadata or _Meta()
    images = dict.fromkeys(place.image for place in places_of(template.spec) if place.image)
    return Template(
        kind=kind,
        namespace=meta.namespace,
        name=meta.name,
        images=tuple(images),
        labels=about.labels or {},
        annotations=about.annotations or {},
    )
