from typing import Any

import msgspec
import pytest

from services.cli.doctor.access import Binding, Rights, RoleForm, access_remarks
from services.cli.doctor.remarks import Level, Remark

EXEMPT = ("kube-system", "imagegate")


def role(name: str, verbs: list[str], resources: list[str], group: str = "", ns: str = "") -> Any:
    """A Role or ClusterRole of one rule."""
    rule = {"verbs": verbs, "resources": resources, "apiGroups": [group]}
    return {"metadata": {"name": name, "namespace": ns}, "rules": [rule]}


def binding(to: str, kind: str, name: str, *, of: str = "ClusterRole", ns: str = "") -> Any:
    """Grants a role; a service account as `NAMESPACE/NAME`."""
    within, _, own = name.rpartition("/")
    subject = {"kind": kind, "name": own, "namespace": within}
    return {
        "metadata": {"name": "b", "namespace": ns},
        "roleRef": {"kind": of, "name": to},
        "subjects": [subject],
    }


def told(
    *,
    roles: list[Any],
    cluster: tuple[Any, ...] = (),
    within: tuple[Any, ...] = (),
    by_label: bool = False,
) -> list[Remark]:
    """What is said of these rights."""
    forms = [msgspec.convert(each, RoleForm) for each in roles]
    rights = Rights(
        cluster_roles={each.metadata.name: each for each in forms if not each.metadata.namespace},
        roles={
            (each.metadata.namespace, each.metadata.name): each
            for each in forms
            if each.metadata.namespace
        },
        cluster_bindings=tuple(msgspec.convert(each, Binding) for each in cluster),
        bindings=tuple(msgspec.convert(each, Binding) for each in within),
    )
    return list(access_remarks(rights, EXEMPT, by_label=by_label))


def test_who_may_do_all_is_told_of_pods_and_of_configurations() -> None:
    everywhere, editors = told(
        roles=[role("admin", ["*"], ["*"], "*")], cluster=(binding("admin", "User", "ada"),)
    )

    assert everywhere.said.startswith("User ada may create pods in every namespace")
    assert editors.said.startswith("User ada may edit webhook configurations")
    assert everywhere.level is Level.NOTE


def test_who_may_do_something_else_is_told_of_nothing() -> None:
    roles = [
        role("other", ["*"], ["configmaps", "pods/log"]),
        role("group", ["*"], ["pods", "validatingwebhookconfigurations"], "metrics.k8s.io"),
        role("look", ["get", "list", "watch"], ["*"], "*"),
    ]
    grants = tuple(binding(each, "User", each) for each in ("other", "group", "look"))

    remarks = told(roles=roles, cluster=grants, by_label=True)

    assert all(each.said.startswith("nobody but Kubernetes itself") for each in remarks)
    assert len(remarks) == 3


@pytest.mark.parametrize(
    ("group", "resource"),
    [
        ("", "pods"),
        ("", "replicationcontrollers"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("apps", "daemonsets"),
        ("batch", "jobs"),
        ("batch", "cronjobs"),
    ],
)
@pytest.mark.parametrize("verb", ["create", "update", "patch"])
def test_a_workload_makes_pods_too(group: str, resource: str, verb: str) -> None:
    everywhere, _ = told(
        roles=[role("deployer", [verb], [resource], group)],
        cluster=(binding("deployer", "Group", "dev"),),
    )

    assert "Group dev may create pods" in everywhere.said


@pytest.mark.parametrize(
    "resource", ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"]
)
@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete", "deletecollection"])
def test_whoever_may_change_one_configuration_or_take_it_away_is_told(
    resource: str, verb: str
) -> None:
    _, editors = told(
        roles=[role("hooks", [verb], [resource], "admissionregistration.k8s.io")],
        cluster=(binding("hooks", "User", "eve"),),
    )

    assert editors.said.startswith("User eve may edit webhook configurations")


def test_a_resource_of_that_name_in_another_group_is_another() -> None:
    everywhere, _ = told(
        roles=[role("knative", ["create"], ["pods", "jobs"], "example.com")],
        cluster=(binding("knative", "User", "eve"),),
    )

    assert everywhere.said.startswith("nobody but Kubernetes itself")


def test_a_role_of_a_namespace_is_not_the_cluster_role_of_its_name() -> None:
    roles = [
        role("same", ["get"], ["pods"]),
        role("same", ["create"], ["pods"], ns="imagegate"),
    ]

    _, inside, _ = told(
        roles=roles, within=(binding("same", "User", "bob", of="Role", ns="imagegate"),)
    )

    assert "User bob may create pods in imagegate" in inside.said


def test_who_may_everywhere_is_not_told_again_of_each_namespace() -> None:
    roles = [role("edit", ["create"], ["pods"])]

    remarks = told(
        roles=roles,
        cluster=(binding("edit", "User", "ada"),),
        within=(binding("edit", "User", "ada", ns="imagegate"),),
    )

    assert len(remarks) == 2


@pytest.mark.parametrize("resource", ["pods/ephemeralcontainers", "*/ephemeralcontainers"])
def test_who_may_add_ephemeral_containers_may_run_images(resource: str) -> None:
    everywhere, _ = told(
        roles=[role("debug", ["patch"], [resource])], cluster=(binding("debug", "User", "eve"),)
    )

    assert "User eve may create pods" in everywhere.said


def test_who_only_reads_is_not_told_of() -> None:
    everywhere, editors = told(
        roles=[role("view", ["get", "list"], ["*"], "*")], cluster=(binding("view", "User", "eve"),)
    )

    assert everywhere.said.startswith("nobody but Kubernetes itself")
    assert editors.said.startswith("nobody but Kubernetes itself")


def test_a_binding_in_an_exempt_namespace_is_told_with_it() -> None:
    _, inside, _ = told(
        roles=[role("edit", ["create"], ["pods"])],
        within=(
            binding("edit", "User", "bob", ns="imagegate"),
            binding("edit", "User", "eve", ns="team"),
        ),
    )

    assert inside.said == "User bob may create pods in imagegate, where nothing is judged"


def test_a_role_of_the_namespace_itself_counts_there_alone() -> None:
    roles = [role("own", ["create"], ["pods"], ns="team")]

    remarks = told(roles=roles, within=(binding("own", "User", "bob", of="Role", ns="imagegate"),))

    assert len(remarks) == 2


def test_everybody_and_service_accounts_of_judged_namespaces_are_a_warning() -> None:
    for kind, name in (
        ("Group", "system:authenticated"),
        ("User", "system:anonymous"),
        ("Group", "system:unauthenticated"),
        ("Group", "system:serviceaccounts"),
        ("ServiceAccount", "ci/deployer"),
        ("Group", "system:serviceaccounts:ci"),
        ("User", "system:serviceaccount:ci:deployer"),
    ):
        everywhere, _ = told(
            roles=[role("edit", ["create"], ["pods"])], cluster=(binding("edit", kind, name),)
        )
        assert everywhere.level is Level.WARN, name
        assert name in everywhere.said


def test_kubernetes_own_accounts_are_left_out() -> None:
    everywhere, _ = told(
        roles=[role("edit", ["create"], ["pods"])],
        cluster=(
            binding("edit", "ServiceAccount", "kube-system/job-controller"),
            binding("edit", "Group", "system:masters"),
            binding("edit", "Group", "system:serviceaccounts:kube-system"),
            binding("edit", "User", "system:kube-controller-manager"),
            binding("edit", "ServiceAccount", "imagegate/own"),
        ),
    )

    assert everywhere.said.startswith("ServiceAccount imagegate/own may create pods")
    assert everywhere.level is Level.NOTE


def test_many_are_counted() -> None:
    everywhere, _ = told(
        roles=[role("edit", ["create"], ["pods"])],
        cluster=tuple(binding("edit", "User", f"u{at:02}") for at in range(20)),
    )

    assert "User u07 and 12 more may create pods" in everywhere.said


@pytest.mark.parametrize(
    "resource",
    ["namespaces", "namespaces/status", "namespaces/finalize", "*/status", "*/finalize", "*"],
)
def test_who_may_label_namespaces_is_told_where_a_label_exempts(resource: str) -> None:
    roles = [role("labels", ["patch"], [resource])]
    told_of: dict[str, Any] = {"roles": roles, "cluster": (binding("labels", "User", "eve"),)}

    _, labels, _ = told(**told_of, by_label=True)

    assert labels.said == "User eve may label namespaces, so exempt them"
    assert len(told(**told_of)) == 2
