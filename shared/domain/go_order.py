"""Reviews exactly as an API server writes them, told from all others at the cost of a copy.

Go's encoder writes the fields of a type in one order, each once and without white space. So what
was read of a review, written again in that order, is the body byte for byte, or the body holds
something twice, in another case, with escapes, or that no review of a Pod has. A field of a newer
Kubernetes that is missing here has the same effect: the body takes the long way.
"""

import functools
import operator
import types
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

UNREAD = msgspec.Raw | msgspec.UnsetType
"""Of a field that nothing is decided by."""

_ORDERS: Mapping[str, str] = {
    "ReviewOf": "kind apiVersion request",
    "RequestOf": """
        uid kind resource subResource requestKind requestResource requestSubResource name namespace
        operation userInfo object oldObject dryRun options""",
    "UserInfo": "username uid groups extra",
    "Pod": "kind apiVersion metadata spec status",
    "Metadata": """
        name generateName namespace selfLink uid resourceVersion generation creationTimestamp
        deletionTimestamp deletionGracePeriodSeconds labels annotations ownerReferences finalizers
        managedFields""",
    "PodSpec": """
        volumes initContainers containers ephemeralContainers restartPolicy
        terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy nodeSelector
        serviceAccountName serviceAccount automountServiceAccountToken nodeName hostNetwork hostPID
        hostIPC shareProcessNamespace securityContext imagePullSecrets hostname subdomain affinity
        schedulerName tolerations hostAliases priorityClassName priority dnsConfig readinessGates
        runtimeClassName enableServiceLinks preemptionPolicy overhead topologySpreadConstraints
        setHostnameAsFQDN os hostUsers schedulingGates resourceClaims resources hostnameOverride
        schedulingGroup evictionResponders""",
    "Container": """
        name image command args workingDir ports envFrom env resources resizePolicy restartPolicy
        restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe
        lifecycle terminationMessagePath terminationMessagePolicy imagePullPolicy securityContext
        stdin stdinOnce tty targetContainerName""",
    "Volume": """
        name hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs iscsi
        glusterfs persistentVolumeClaim rbd flexVolume cinder cephfs flocker downwardAPI fc
        azureFile configMap vsphereVolume quobyte azureDisk photonPersistentDisk projected
        portworxVolume scaleIO storageos csi ephemeral image""",
    "ImageVolumeSource": "reference pullPolicy",
}
"""By the type that we read them with, the JSON names of the fields in Kubernetes' API v0.36:
admission/v1, core/v1, and meta/v1 of apimachinery."""


def in_go_order(read: Any) -> Any:
    """The type `read` (a Struct, or an annotation made of some), reading the same fields, and
    beside them the other ones, unread, all in Go's order.

    What it decodes has every attribute of `read`, and is none of its instances.
    """
    origin = typing.get_origin(read)
    parts = [in_go_order(part) for part in typing.get_args(read)]
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, parts)
    if origin is list:
        return types.GenericAlias(list, tuple(parts))
    order = _ORDERS.get((origin or read).__name__)
    return _ordered(read, order.split()) if order else read


def _ordered(read: Any, order: list[str]) -> type[msgspec.Struct]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(read)}
    if not fields.keys() <= set(order):
        raise ValueError(f"{read}: the order of its fields is not known here")
    members = [
        _member(fields[name]) if name in fields else (name, UNREAD, msgspec.UNSET) for name in order
    ]
    written = {field.name: name for name, field in fields.items()}
    return msgspec.defstruct("Written", members, rename=written, omit_defaults=True)


def _member(field: msgspec.structs.FieldInfo) -> tuple[str, Any, Any]:
    default = field.default
    if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
        default = msgspec.field(default_factory=field.default_factory)
    return field.name, in_go_order(field.type), default
