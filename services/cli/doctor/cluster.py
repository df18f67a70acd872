"""What a cluster says of itself and of imagegate."""

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from services.cli.doctor.access import Binding, RbacSubject, Rights, RoleForm, access_remarks
from services.cli.doctor.admission import Configuration, Form, Hook, hooks_of
from services.cli.doctor.alike import alike_remarks, workers
from services.cli.doctor.asking import heard
from services.cli.doctor.certificates import bundle_remarks
from services.cli.doctor.configurations import mutating_remarks, validating_remarks
from services.cli.doctor.nudging import PART as NUDGES
from services.cli.doctor.nudging import Policy, PolicyBinding, nudgers, nudging_remarks
from services.cli.doctor.own import told_clusters
from services.cli.doctor.pods import PART as WEBHOOKS
from services.cli.doctor.pods import PodForm, ServiceForm, behind, pods_remarks
from services.cli.doctor.reach import Labels, exempt_from, labels_that_choose
from services.cli.doctor.remarks import Remark, bad, good, warn
from services.cli.doctor.trial import trial_pod, trial_remark
from shared.domain.platform import platform_of
from shared.ports.inspection import Inspection

OLDEST = (1, 30)
SKEW = 5.0
"""Seconds: an evaluation that is further ahead is refused (docs/design/protocol.md)."""

_REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"


class _Labelled(Form, frozen=True):
    name: str = ""
    labels: dict[str, str] | None = None


class _Namespace(Form, frozen=True):
    metadata: _Labelled = _Labelled()


class _NodeInfo(Form, frozen=True):
    operating_system: str = ""
    architecture: str = ""


class _NodeStatus(Form, frozen=True):
    node_info: _NodeInfo = _NodeInfo()


class _Node(Form, frozen=True):
    status: _NodeStatus = _NodeStatus()

    @property
    def platform(self) -> str:
        """Empty where the kubelet has told nothing yet."""
        info = self.status.node_info
        return platform_of(info.operating_system, info.architecture)


class Seen(msgspec.Struct):
    """What the cluster told, for other checks."""

    hooks: tuple[Hook, ...] = ()
    exempt: frozenset[str] = frozenset()
    namespaces: dict[str, Labels] = {}
    """Their labels, by their names."""
    platforms: tuple[str, ...] = ()
    webhooks: int | None = None
    """Pods that are ready to be asked; None: it is not known."""
    clusters: frozenset[str] | None = None
    """What they are told that the cluster is called; None: it is not known."""


async def look_at_cluster(
    cluster: Inspection, seen: Seen, *, namespace: str, pinning: bool
) -> AsyncIterator[Remark]:
    """All remarks about it; into `seen` goes what other checks need. `namespace`: where a pod is
    tried; `pinning`: pods are to be pinned."""
    version = await heard("kubernetes", cluster.version)
    if isinstance(version, Remark):
        yield version
        return
    yield _version_remark(version)
    behind = await heard("clock", cluster.behind)
    yield behind if isinstance(behind, Remark) else _clock_remark(behind)
    looks: Sequence[Callable[[], AsyncIterator[Remark]]] = (
        lambda: _places(cluster, seen),
        lambda: _configurations(cluster, seen, pinning=pinning),
        lambda: _webhooks(cluster, seen),
        lambda: _rights(cluster, seen),
        lambda: _trial(cluster, seen, namespace),
    )
    for look in looks:
        async for remark in look():
            yield remark


async def _configurations(
    cluster: Inspection, seen: Seen, *, pinning: bool
) -> AsyncIterator[Remark]:
    async def read() -> tuple[list[Configuration], list[Configuration]]:
        return (
            await cluster.all(
                f"{_REGISTRATION}/validatingwebhookconfigurations",
                "ValidatingWebhookConfiguration",
                Configuration,
            ),
            await cluster.all(
                f"{_REGISTRATION}/mutatingwebhookconfigurations",
                "MutatingWebhookConfiguration",
                Configuration,
            ),
        )

    found = await heard("webhook configuration", read)
    if isinstance(found, Remark):
        yield found
        return
    validating, mutating = found
    seen.hooks = hooks_of(validating)
    seen.exempt = exempt_from(seen.hooks, seen.namespaces)
    for remark in validating_remarks(validating, namespaces=seen.namespaces):
        yield remark
    for remark in mutating_remarks(mutating, pinning=pinning):
        yield remark
    for remark in bundle_remarks((*seen.hooks, *hooks_of(mutating))):
        yield remark


async def _places(cluster: Inspection, seen: Seen) -> AsyncIterator[Remark]:
    namespaces = await heard(
        "namespaces", lambda: cluster.all("/api/v1/namespaces", "Namespace", _Namespace)
    )
    if isinstance(namespaces, Remark):
        yield namespaces
    else:
        seen.namespaces = {each.metadata.name: each.metadata.labels or {} for each in namespaces}
    nodes = await heard("nodes", lambda: cluster.all("/api/v1/nodes", "Node", _Node))
    if isinstance(nodes, Remark):
        yield nodes
    else:
        seen.platforms = tuple(sorted({each.platform for each in nodes} - {""}))
        yield good("nodes", f"{len(nodes)} nodes, {', '.join(seen.platforms) or 'no platform'}")


async def _webhooks(cluster: Inspection, seen: Seen) -> AsyncIterator[Remark]:
    """Of a webhook that is named by URL nothing is known here: the pod on trial tells."""
    asked: list[PodForm] = []
    for named in {hook.client_config.service for hook in seen.hooks} - {None}:
        assert named is not None
        home = f"/api/v1/namespaces/{named.namespace}"

        async def read(home: str = home) -> tuple[list[ServiceForm], list[PodForm]]:
            return (
                await cluster.all(f"{home}/services", "Service", ServiceForm),
                await cluster.all(f"{home}/pods", "Pod", PodForm),
            )

        found = await heard(WEBHOOKS, read)
        if isinstance(found, Remark):
            yield found
            continue
        chosen = behind(named, *found)
        if chosen is not None:
            seen.webhooks = (seen.webhooks or 0) + sum(each.ready for each in chosen)
            asked += chosen
            seen.clusters = told_clusters(asked)
            for remark in pods_remarks(named, chosen):
                yield remark
            for remark in alike_remarks(chosen, workers(found[1])):
                yield remark


async def _rights(cluster: Inspection, seen: Seen) -> AsyncIterator[Remark]:
    async def read() -> Rights:
        cluster_roles = await cluster.all(f"{_RBAC}/clusterroles", "ClusterRole", RoleForm)
        roles = await cluster.all(f"{_RBAC}/roles", "Role", RoleForm)
        everywhere = await cluster.all(
            f"{_RBAC}/clusterrolebindings", "ClusterRoleBinding", Binding
        )
        bindings = await cluster.all(f"{_RBAC}/rolebindings", "RoleBinding", Binding)
        return Rights(
            cluster_roles={each.metadata.name: each for each in cluster_roles},
            roles={(each.metadata.namespace, each.metadata.name): each for each in roles},
            cluster_bindings=tuple(everywhere),
            bindings=tuple(bindings),
        )

    rights = await heard("who gets past", read)
    if isinstance(rights, Remark):
        yield rights
        return
    for remark in access_remarks(
        rights, seen.exempt, by_label=bool(labels_that_choose(seen.hooks))
    ):
        yield remark
    async for remark in _nudging(cluster, nudgers((*rights.cluster_bindings, *rights.bindings))):
        yield remark


async def _nudging(cluster: Inspection, may: frozenset[RbacSubject]) -> AsyncIterator[Remark]:
    """Where nobody has the right there is nothing to hold."""
    if not may:
        return
    kind = "ValidatingAdmissionPolicy"

    async def read() -> tuple[list[Policy], list[PolicyBinding]]:
        return (
            await cluster.all(f"{_REGISTRATION}/validatingadmissionpolicies", kind, Policy),
            await cluster.all(
                f"{_REGISTRATION}/validatingadmissionpolicybindings",
                f"{kind}Binding",
                PolicyBinding,
            ),
        )

    found = await heard(NUDGES, read)
    if isinstance(found, Remark):
        yield found
        return
    for remark in nudging_remarks(may, *found):
        yield remark


async def _trial(cluster: Inspection, seen: Seen, namespace: str) -> AsyncIterator[Remark]:
    result = await heard("a pod on trial", lambda: cluster.try_pod(namespace, trial_pod(namespace)))
    if isinstance(result, Remark):
        yield result
    else:
        yield trial_remark(result, namespace=namespace, hooks=seen.hooks, exempt=seen.exempt)


def _version_remark(version: str) -> Remark:
    numbers = version.lstrip("v").split("+")[0].split(".")
    try:
        known = (int(numbers[0]), int(numbers[1].split("-")[0]))
    except (ValueError, IndexError):
        return warn("kubernetes", f"it calls itself {version}", "see that this is Kubernetes")
    if known < OLDEST:
        return bad(
            "kubernetes",
            f"{version} has no matchConditions that imagegate relies on",
            "upgrade to 1.30 or newer",
        )
    return good("kubernetes", version)


def _clock_remark(behind: float) -> Remark:
    if abs(behind) <= SKEW:
        return good("clock", "the API server's and ours agree")
    return warn(
        "clock",
        f"the API server's clock is {abs(behind):.0f} s {'behind' if behind > 0 else 'ahead of'} "
        "ours",
        "have both follow the same time: what was judged in the future is not believed",
    )
