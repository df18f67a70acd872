"""Workloads: where each kind keeps the template that its pods are made from.

A template is read as a Pod: it has the same parts. Kinds are told by group, version and name
together; anything else is no workload.
"""

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from shared.domain.duplicates import Shape, refuse_duplicates, shape_of
from shared.domain.errors import InvalidObject
from shared.domain.review import GroupVersionKind
from shared.domain.workload import UNREADABLE, Pod


class _TemplateSpec(msgspec.Struct):
    template: Pod | None = None


class _Controller(msgspec.Struct):
    """`spec.template`; a ReplicationController and a ReplicaSet may lack it."""

    at: ClassVar[str] = "/spec/template"
    spec: _TemplateSpec = msgspec.field(default_factory=_TemplateSpec)

    @property
    def pod(self) -> Pod:
        return self.spec.template or Pod()


class _JobTemplateSpec(msgspec.Struct, rename="camel"):
    job_template: _Controller = msgspec.field(default_factory=_Controller)


class _CronJob(msgspec.Struct):
    """`spec.jobTemplate.spec.template`."""

    at: ClassVar[str] = "/spec/jobTemplate/spec/template"
    spec: _JobTemplateSpec = msgspec.field(default_factory=_JobTemplateSpec)

    @property
    def pod(self) -> Pod:
        return self.spec.job_template.pod


class _PodTemplate(msgspec.Struct):
    """`template`, beside `metadata`."""

    at: ClassVar[str] = "/template"
    template: Pod = msgspec.field(default_factory=Pod)

    @property
    def pod(self) -> Pod:
        return self.template


_Holder = _Controller | _CronJob | _PodTemplate


class Workload(msgspec.Struct, frozen=True):
    """One kind of workload: its resource's name, and how its objects are read."""

    resource: str
    at: str
    """Where the pods' template stands in an object, as a JSON Pointer (RFC 6901)."""
    _decoder: msgspec.json.Decoder[_Holder]
    _shape: Shape

    def template(self, raw: bytes | msgspec.Raw) -> Pod:
        """The pods that the object would make; raises InvalidObject."""
        try:
            holder = self._decoder.decode(raw)
            refuse_duplicates(raw, self._shape)
        except UNREADABLE as error:
            raise InvalidObject(
                f"the object cannot be read as one of {self.resource}: {error}"
            ) from error
        return holder.pod


def _workload(resource: str, read: type[_Holder] = _Controller) -> Workload:
    return Workload(resource, read.at, msgspec.json.Decoder(read), shape_of(read))


WORKLOADS: Mapping[tuple[str, str, str], Workload] = {
    ("apps", "v1", "Deployment"): _workload("deployments"),
    ("apps", "v1", "ReplicaSet"): _workload("replicasets"),
    ("apps", "v1", "StatefulSet"): _workload("statefulsets"),
    ("apps", "v1", "DaemonSet"): _workload("daemonsets"),
    ("", "v1", "ReplicationController"): _workload("replicationcontrollers"),
    ("batch", "v1", "Job"): _workload("jobs"),
    ("batch", "v1", "CronJob"): _workload("cronjobs", _CronJob),
    ("", "v1", "PodTemplate"): _workload("podtemplates", _PodTemplate),
}
"""By group, version and kind."""


def workload_of(kind: GroupVersionKind) -> Workload | None:
    """The workload of that kind, or None for what makes no pods or is not known."""
    return WORKLOADS.get((kind.group, kind.version, kind.kind))
