"""What a pod of the chart may do: its rights at the API server, its user, what it sees."""

from collections.abc import Callable

import pytest

from shared.adapters.kubernetes.namespace_wire import ADVICE
from tests.deploy.chart import (
    ANCHORE,
    NAMESPACE,
    SCANNER,
    Object,
    Values,
    one,
    rendered,
    templates,
)
from tests.deploy.manifests import Manifests

Release = Callable[..., Manifests]

ON = {"enabled": True}
OFF = {"enabled": False}
TRIAL = ("values-trial.yaml",)
ASK_THE_API_SERVER = {"imagegate-webhook", "imagegate-worker", "imagegate-webhooks"}


def test_a_pod_can_do_no_more_than_it_must(everything: Manifests) -> None:
    accounts = {one["metadata"]["name"]: one for one in everything.all("ServiceAccount")}
    assert not any(one["automountServiceAccountToken"] for one in accounts.values())
    for _, pod in templates(everything.objects):
        spec = pod["spec"]
        context = spec["securityContext"]
        (container,) = spec["containers"]
        asks_the_api_server = spec["serviceAccountName"] in ASK_THE_API_SERVER
        assert spec["automountServiceAccountToken"] is asks_the_api_server
        accounts.pop(spec["serviceAccountName"], None)
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] == 65532
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]) == {"requests", "limits"}
        for volume in spec["volumes"]:
            # Root owns it, and only the group of the process may read it (signatures.md).
            # But for the CA's certificate, which is none.
            mode = 0o444 if volume["name"] == "webhook-ca" else 0o440
            assert "secret" not in volume or volume["secret"]["defaultMode"] == mode
    assert accounts == {}


READS_NAMESPACES = {
    "apiGroups": [""],
    "resources": ["namespaces"],
    "verbs": ["get", "list", "watch"],
}
LABELLED: Values = {
    "rules": {"rules": [{"name": "a", "match": {"namespaceLabels": {"tier": "prod"}}}]}
}


def rights(manifests: Manifests, account: str) -> list[Object]:
    """What roles of ours let an account of ours do."""
    found = []
    for scope in ("ClusterRole", "Role"):
        for binding in manifests.all(f"{scope}Binding"):
            (subject,) = binding["subjects"]
            assert subject["kind"] == "ServiceAccount"
            assert subject["namespace"] == NAMESPACE
            role = binding["roleRef"]
            assert role["kind"] == scope
            if subject["name"] == account:
                found += manifests.one(scope, role["name"])["rules"]
    return found


def test_an_account_has_no_other_rights_than_it_needs(everything: Manifests) -> None:
    status = ["replicasets/status", "statefulsets/status", "daemonsets/status"]
    assert rights(everything, "imagegate-webhook") == [
        {"apiGroups": ["apps"], "resources": status, "verbs": ["patch"]},
        {"apiGroups": ["batch"], "resources": ["jobs/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["replicationcontrollers/status"], "verbs": ["patch"]},
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
    ]
    assert rights(everything, "imagegate-worker") == [
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"]},
    ]
    for account in ("imagegate-intake", "imagegate-console", "imagegate-scanner"):
        assert rights(everything, account) == []
    verbs = ["get", "create", "patch", "delete"]
    assert rights(everything, "imagegate-webhooks") == [
        {
            "apiGroups": ["admissionregistration.k8s.io"],
            "resources": [f"{kind}webhookconfigurations"],
            "resourceNames": [name],
            "verbs": verbs,
        }
        for kind, name in (("validating", "imagegate"), ("mutating", "zz-imagegate"))
    ] + [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "resourceNames": ["imagegate-webhook"],
            "verbs": ["get"],
        }
    ]


@pytest.mark.parametrize(
    ("values", "reads"),
    [
        (LABELLED, True),
        ({"rulesConfigMap": "my-rules"}, True),
        ({"webhook": {"readNamespaces": True}}, True),
        ({}, False),
        (LABELLED | {"webhook": {"readNamespaces": False}}, False),
    ],
)
@pytest.mark.parametrize("nudge", [ON, OFF])
def test_who_reads_labels_of_namespaces_has_the_right_and_a_token_whatever_else_it_does(
    values: Values, reads: bool, nudge: Values
) -> None:
    objects = rendered(ANCHORE | values | {"nudge": nudge})
    found = Manifests(objects, {})
    spec = found.one("Deployment", "imagegate-webhook")["spec"]["template"]["spec"]
    assert (READS_NAMESPACES in rights(found, "imagegate-webhook")) is reads
    assert spec["automountServiceAccountToken"] is (reads or nudge["enabled"])


def test_the_role_is_the_one_that_a_refused_webhook_asks_for(release: Release) -> None:
    role = release(ANCHORE | LABELLED).one("ClusterRole", "imagegate-webhook")
    assert f"ClusterRole {role['metadata']['name']} " in ADVICE
    assert all(verb in ADVICE for verb in role["rules"][0]["verbs"])


def test_who_wants_nothing_of_the_api_server_gets_no_token(release: Release) -> None:
    off = {"enabled": False}
    nothing = {"nudge": off, "inventory": off, "enforcement": "none"}
    nothing |= {"rules": {"platforms": ["linux/amd64"]}}
    plain = release(ANCHORE | nothing | {"webhooks": {"apply": "direct"}})
    assert not any(
        pod["spec"]["automountServiceAccountToken"] for _, pod in templates(plain.objects)
    )
    assert plain.all("ClusterRole") == plain.all("Role") == []


def test_the_right_to_nudge_comes_with_the_policy_that_bounds_it_and_goes_with_it() -> None:
    for values, there in (
        ({}, True),
        ({"nudge": OFF}, False),
        ({"webhook": OFF, "enforcement": "none"}, False),
        ({"nudge": ON, "enforcement": "none"}, True),
    ):
        objects = rendered(ANCHORE | values)
        kinds = {each["kind"] for each in objects if each["metadata"]["name"] == "imagegate-nudge"}
        role = {"ClusterRole", "ClusterRoleBinding"}
        policy = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
        assert kinds == (role | policy if there else set()), values


def test_the_policy_of_the_nudge_is_about_the_account_that_has_the_right() -> None:
    objects = rendered(ANCHORE, namespace="gate")
    policy = one(objects, "ValidatingAdmissionPolicy", "imagegate-nudge")["spec"]
    (subject,) = one(objects, "ClusterRoleBinding", "imagegate-nudge")["subjects"]
    (condition,) = policy["matchConditions"]
    user = f"system:serviceaccount:{subject['namespace']}:{subject['name']}"
    assert condition["expression"] == f"request.userInfo.username == '{user}'"
    spec = one(objects, "Deployment", "imagegate-webhook")["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == subject["name"]


NAMED: Values = {
    "secrets": {"webhook": "of-webhook", "worker": "of-worker", "intake": "of-intake"}
    | {"console": "of-console", "workerKeys": "of-keys", "publicKeys": "of-public"},
    "certificates": {"from": "secret", "secretName": "of-tls"},
    "webhook": {"clientCA": {"configMap": "of-clients"}},
    "rulesConfigMap": "of-rules",
    "registrySecrets": {"ghcr": "of-ghcr"},
    "redis": {"caSecret": "of-redis"},
    "rabbitmq": {"caSecret": "of-rabbitmq"},
    "anchore": {"caSecret": "of-anchore"},
}
SERVERS = {"of-redis", "of-rabbitmq"}
SEEN = {
    "webhook": SERVERS
    | {"of-webhook", "of-tls", "of-public", "of-clients", "of-rules", "imagegate-exceptions"},
    "worker": SERVERS | {"of-worker", "of-keys", "of-rules", "of-ghcr", "of-anchore"},
    "intake": SERVERS | {"of-intake", "of-rules"},
    "console": SERVERS | {"of-console", "of-public", "of-anchore"},
    "scanner": {"of-worker", "of-intake", "of-rules", "of-ghcr"},
}


def seen(spec: Object) -> set[str]:
    """The Secrets and ConfigMaps that a pod mounts."""
    return {
        volume["secret"]["secretName"] if "secret" in volume else volume["configMap"]["name"]
        for volume in spec["volumes"]
        if {"secret", "configMap"} & set(volume)
    }


def test_each_pod_sees_what_values_name_for_it_and_nothing_of_others() -> None:
    objects = rendered(SCANNER | NAMED)
    for service, expected in SEEN.items():
        spec = one(objects, "Deployment", f"imagegate-{service}")["spec"]["template"]["spec"]
        assert seen(spec) == expected, service


def test_of_the_secrets_of_others_the_scanner_sees_two_passwords_alone() -> None:
    """It unpacks images of strangers."""
    spec = one(rendered(SCANNER), "Deployment", "imagegate-scanner")["spec"]["template"]["spec"]
    held = {
        each["secret"]["secretName"]: [item["key"] for item in each["secret"].get("items", ())]
        for each in spec["volumes"]
        if "secret" in each
    }
    assert held == {
        "imagegate-worker": ["anchore-password"],
        "imagegate-intake": ["events-password"],
    }


def test_no_pod_sees_a_key_that_makes_exceptions_or_certificates() -> None:
    objects = rendered(SCANNER, *TRIAL)
    mounted = set[str]().union(*(seen(pod["spec"]) for _, pod in templates(objects)))
    hidden = {"imagegate-trial", "imagegate-operator", "imagegate-webhook-ca"}
    held = {each["metadata"]["name"]: each["data"] for each in objects if each["kind"] == "Secret"}
    assert hidden <= set(held)
    assert mounted.isdisjoint(hidden)
    assert not [name for name in mounted if "operator.key" in held.get(name, ())]
