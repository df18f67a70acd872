"""What platforms want of the chart that a plain cluster does not.

Restricted namespaces, GKE's quota, OpenShift's ranges, Argo CD's waves, registries of one's own.
"""

from collections.abc import Iterator

import pytest
import yaml

from tests.deploy.chart import (
    ANCHORE,
    NAMESPACE,
    REPOSITORY,
    SCANNER,
    Object,
    Values,
    rendered,
    templates,
)

ON = {"enabled": True}
ALL: Values = SCANNER | {"enforcement": "audit", "webhooks": {"keepInStep": ON}}
TRIAL = ("values-trial.yaml",)
DIGEST = f"sha256:{'a' * 64}"
OTHER_DIGEST = f"sha256:{'b' * 64}"
OF_TRIALS = {"redis", "rabbitmq"}


def specs(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Each pod's, with what makes it."""
    for name, template in templates(objects):
        yield name, template["spec"]


def asked(objects: list[Object]) -> list[Object]:
    """The webhook configurations, as a Job applies them or as they are."""
    own = [one for one in objects if one["kind"].endswith("WebhookConfiguration")]
    held = [
        one["data"]["webhooks.yaml"]
        for one in objects
        if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", "imagegate-webhooks")
    ]
    return own + [one for text in held for one in yaml.safe_load_all(text)]


@pytest.fixture(scope="module")
def every() -> list[tuple[str, Object]]:
    found = list(specs(rendered(ALL, *TRIAL)))
    kinds = {name.partition(" ")[0] for name, _ in found}
    assert kinds == {"Deployment", "StatefulSet", "Job", "CronJob"}
    return found


def test_every_pod_may_run_in_a_restricted_namespace(every: list[tuple[str, Object]]) -> None:
    """What Pod Security asks for by that name, and a root that nobody writes to."""
    kinds = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
    for name, spec in every:
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        assert all(set(volume) & kinds for volume in spec["volumes"]), name
        for container in [*spec["containers"], *spec.get("initContainers", ())]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_a_token_is_in_no_pod_that_asks_for_none(every: list[tuple[str, Object]]) -> None:
    holders = {name for name, spec in every if spec["automountServiceAccountToken"]}
    jobs = {f"Job imagegate-webhooks-{one}" for one in ("apply", "relax", "remove")}
    services = {"Deployment imagegate-webhook", "Deployment imagegate-worker"}
    assert holders == jobs | services | {"CronJob imagegate-webhooks"}


def test_where_a_platform_gives_users_no_pod_names_one() -> None:
    """OpenShift's restricted-v2 refuses any that is not in the project's range."""
    for name, spec in specs(rendered(ALL | {"platformUsers": True}, *TRIAL)):
        assert set(spec["securityContext"]) == {"runAsNonRoot", "seccompProfile"}, name


def quotas(values: Values, *, namespace: str = NAMESPACE) -> list[Object]:
    objects = rendered(values, namespace=namespace)
    return [one for one in objects if one["kind"] == "ResourceQuota"]


def test_a_class_of_the_system_comes_with_a_quota_that_admits_it() -> None:
    (quota,) = quotas(ANCHORE)
    (scope,) = quota["spec"]["scopeSelector"]["matchExpressions"]
    own = ["system-cluster-critical"]
    assert scope == {"scopeName": "PriorityClass", "operator": "In", "values": own}
    (webhook,) = (
        spec for name, spec in specs(rendered(ANCHORE)) if name == "Deployment imagegate-webhook"
    )
    assert [webhook["priorityClassName"]] == own
    assert quotas(ANCHORE | {"webhook": {"priorityClassName": "mine"}}) == []
    assert quotas(ANCHORE | {"webhook": {"priorityClassName": ""}}) == []
    assert quotas(ANCHORE, namespace="kube-system") == []


def test_a_webhook_that_answers_nobody_holds_up_no_drain() -> None:
    (budget,) = (one for one in rendered(ANCHORE) if one["kind"] == "PodDisruptionBudget")
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize("apply", ["job", "direct"])
def test_the_configurations_have_the_annotations_that_are_told(apply: str) -> None:
    wave = {"argocd.argoproj.io/sync-wave": "1"}
    values = {"webhooks": {"apply": apply, "annotations": wave}}
    values |= {"certificates": {"from": "cert-manager"}}
    found = asked(rendered(ANCHORE | values))
    assert len(found) == 2
    for one in found:
        assert wave.items() <= one["metadata"]["annotations"].items()
        assert "imagegate.dev/installation" in one["metadata"]["annotations"]


def test_with_argo_cd_there_are_no_hooks_and_nothing_is_made_up_anew() -> None:
    """The values of README.md, "GitOps"."""
    values: Values = {"webhooks": {"apply": "direct"}, "certificates": {"from": "cert-manager"}}
    objects = rendered(ANCHORE | values)
    assert not any("helm.sh/hook" in str(one["metadata"]) for one in objects)
    assert objects == rendered(ANCHORE | values, anew=True)
    assert {one["kind"] for one in objects}.isdisjoint({"Secret", "Job"})


def test_images_of_ones_own_registry_are_pulled_by_its_secret_and_digest() -> None:
    image = {"repository": REPOSITORY, "digest": DIGEST, "pullSecrets": ["own", "other"]}
    scanner = ON | {"image": {"digest": OTHER_DIGEST}}
    objects = rendered(ALL | {"image": image, "scanner": scanner}, *TRIAL)
    for name, spec in specs(objects):
        assert spec["imagePullSecrets"] == [{"name": "own"}, {"name": "other"}], name
        (container,) = spec["containers"]
        if container["name"] in OF_TRIALS:
            continue
        with_syft = container["name"] == "scanner"
        digest = OTHER_DIGEST if with_syft else DIGEST
        suffix = "-scanner" if with_syft else ""
        assert container["image"] == f"{REPOSITORY}{suffix}@{digest}", name


PLACED: Values = {
    "priorityClassName": "mine",
    "nodeSelector": {"pool": "infra"},
    "tolerations": [{"key": "infra", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
}
COMPONENTS = ("webhook", "worker", "intake", "console", "scanner", "webhooks")


def test_every_pod_goes_where_its_component_is_told_to() -> None:
    roles = {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn"}}}
    own = PLACED | roles
    more = {"webhooks": own | {"keepInStep": ON}, "scanner": own | ON}
    objects = rendered(ANCHORE | dict.fromkeys(COMPONENTS, own) | more)
    for name, spec in specs(objects):
        assert PLACED.items() <= spec.items(), name
    accounts = [one for one in objects if one["kind"] == "ServiceAccount"]
    assert len(accounts) == len(COMPONENTS)
    for account in accounts:
        assert account["metadata"]["annotations"] == roles["serviceAccount"]["annotations"]


def test_what_looks_like_a_template_in_a_rule_is_text() -> None:
    why = "ask {{ .Values.owner }} about `{{`"
    rules = {"rules": [{"name": why, "match": {"namespaces": ["a"]}}]}
    (held,) = (
        one
        for one in rendered(ANCHORE | {"rules": rules})
        if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "imagegate-rules"
    )
    (rule,) = yaml.safe_load(held["data"]["rules.yaml"])["rules"]
    assert rule["name"] == why


def test_the_longest_name_of_a_release_is_a_label() -> None:
    for one in rendered(ANCHORE, release="r" * 53):
        for label in (one["metadata"].get("labels") or {}).values():
            assert len(label) <= 63
