"""Who gets past imagegate by right: who may create pods where nothing is judged, and who may edit
webhook configurations.

Read from RBAC alone (forms of `rbac.authorization.k8s.io/v1`): other authorizers, and the groups
that an identity provider gives people, are not seen.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from services.cli.doctor.admission import Form, Strings
from services.cli.doctor.remarks import Remark, note, warn

PART = "who gets past"

POD_MAKERS = (
    ("", "pods"),
    ("", "pods/ephemeralcontainers"),
    ("", "*/ephemeralcontainers"),
    ("", "replicationcontrollers"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("apps", "daemonsets"),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
)
CONFIGURATIONS = (
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
)
NAMESPACES = (
    ("", "namespaces"),
    ("", "namespaces/status"),
    ("", "namespaces/finalize"),
    ("", "*/status"),
    ("", "*/finalize"),
)
"""By each of which a label comes."""
MAKING = ("create", "update", "patch")
EDITING = ("create", "update", "patch", "delete", "deletecollection")

EVERYBODY = (
    "system:authenticated",
    "system:unauthenticated",
    "system:anonymous",
    "system:serviceaccounts",
)
"""Who is as good as everybody."""

ACCOUNTS_OF = ("system:serviceaccounts:", "system:serviceaccount:")
"""A namespace's service accounts as a group, and one of them as a user."""

SHOWN = 8
"""Subjects in one line; the others are counted."""


class PolicyRule(Form, frozen=True):
    """One rule of a role."""

    verbs: Strings = ()
    api_groups: Strings = ()
    resources: Strings = ()

    def allows(self, verbs: Strings, resources: Iterable[tuple[str, str]]) -> bool:
        """Whether it allows one of the verbs on one of these (group, resource)."""
        return not {"*", *verbs}.isdisjoint(self.verbs) and any(
            not {"*", group}.isdisjoint(self.api_groups)
            and not {"*", resource}.isdisjoint(self.resources)
            for group, resource in resources
        )


class Placed(Form, frozen=True):
    """Metadata, as far as it is looked at."""

    name: str = ""
    namespace: str = ""


class RoleForm(Form, frozen=True):
    """A Role or a ClusterRole."""

    metadata: Placed = Placed()
    rules: tuple[PolicyRule, ...] | None = None


class RoleRef(Form, frozen=True):
    """What a binding grants."""

    kind: str
    name: str


class RbacSubject(Form, frozen=True):
    """Whom it grants it."""

    kind: str
    name: str
    namespace: str = ""

    @property
    def shown(self) -> str:
        """`User alice`, `Group dev`, `ServiceAccount team/deployer`."""
        return f"{self.kind} {f'{self.namespace}/' if self.namespace else ''}{self.name}"

    @property
    def home(self) -> str:
        """The namespace of a service account, however it is named; empty of all others."""
        if self.kind == "ServiceAccount":
            return self.namespace
        of = next((each for each in ACCOUNTS_OF if self.name.startswith(each)), "")
        return self.name.removeprefix(of).partition(":")[0] if of else ""

    @property
    def of_the_system(self) -> bool:
        """Kubernetes' own controllers and nodes, and the group that may do all anyway."""
        if self.home:
            return self.home == "kube-system"
        return self.name.startswith("system:") and self.name not in EVERYBODY


class Binding(Form, frozen=True):
    """A RoleBinding or a ClusterRoleBinding."""

    role_ref: RoleRef
    metadata: Placed = Placed()
    subjects: tuple[RbacSubject, ...] | None = None


class Rights(msgspec.Struct, frozen=True):
    """All of a cluster's RBAC that is looked at."""

    cluster_roles: Mapping[str, RoleForm]
    roles: Mapping[tuple[str, str], RoleForm]
    """By namespace and name."""
    cluster_bindings: tuple[Binding, ...]
    bindings: tuple[Binding, ...]

    def everywhere(self, verbs: Strings, resources: Iterable[tuple[str, str]]) -> set[RbacSubject]:
        """Who may do it in every namespace."""
        return _subjects(
            binding
            for binding in self.cluster_bindings
            if _allows(self.cluster_roles.get(binding.role_ref.name), verbs, resources)
        )

    def within(
        self, namespace: str, verbs: Strings, resources: Iterable[tuple[str, str]]
    ) -> set[RbacSubject]:
        """Who may do it in that namespace by a binding there."""
        return _subjects(
            binding
            for binding in self.bindings
            if binding.metadata.namespace == namespace
            and _allows(self._granted(binding), verbs, resources)
        )

    def _granted(self, binding: Binding) -> RoleForm | None:
        if binding.role_ref.kind == "ClusterRole":
            return self.cluster_roles.get(binding.role_ref.name)
        return self.roles.get((binding.metadata.namespace, binding.role_ref.name))


def access_remarks(
    rights: Rights, exempt: Iterable[str], *, by_label: bool = False
) -> Iterator[Remark]:
    """About exempt namespaces, then about the configurations. `by_label`: a label can exempt a
    namespace."""
    anywhere = rights.everywhere(MAKING, POD_MAKERS)
    yield _remark(
        "may create pods in every namespace, so in exempt ones too", anywhere, exempt=exempt
    )
    for namespace in sorted(exempt):
        within = rights.within(namespace, MAKING, POD_MAKERS) - anywhere
        if within:
            yield _remark(
                f"may create pods in {namespace}, where nothing is judged", within, exempt=exempt
            )
    if by_label:
        yield _remark(
            "may label namespaces, so exempt them",
            rights.everywhere(MAKING, NAMESPACES),
            exempt=exempt,
        )
    yield _remark(
        "may edit webhook configurations, so switch imagegate off",
        rights.everywhere(EDITING, CONFIGURATIONS),
        exempt=exempt,
    )


def _remark(what: str, subjects: set[RbacSubject], *, exempt: Iterable[str]) -> Remark:
    if not subjects:
        return note(PART, f"nobody but Kubernetes itself {what}")
    names = sorted(each.shown for each in subjects)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    said = f"{', '.join(names[:SHOWN])}{more} {what}"
    inside = frozenset(exempt)
    wide = [
        each
        for each in subjects
        if each.name in EVERYBODY or (each.home and each.home not in inside)
    ]
    if not wide:
        return note(PART, said)
    return warn(
        PART,
        said,
        "see whether groups of everybody and service accounts of judged namespaces "
        f"({', '.join(sorted(each.shown for each in wide)[:SHOWN])}) need that right",
    )


def _allows(role: RoleForm | None, verbs: Strings, resources: Iterable[tuple[str, str]]) -> bool:
    return role is not None and any(rule.allows(verbs, resources) for rule in role.rules or ())


def _subjects(bindings: Iterable[Binding]) -> set[RbacSubject]:
    return {
        subject
        for binding in bindings
        for subject in binding.subjects or ()
        if not subject.of_the_system
    }
