"""The Jobs that bring the webhook configurations to the API server and take them away: when each
runs, what it is told, what a failure becomes (k8s/chart/README.md, "What Helm does when")."""

from typing import Any

import pytest
import yaml

from tests.deploy.chart import ANCHORE, Object, Values, one, rendered, templates

ON = {"enabled": True}
KEPT: Values = {"webhooks": {"keepInStep": ON | {"schedule": "5 * * * *"}}}

HOOKS = {
    "audit": {
        "apply": "post-install,post-upgrade,post-rollback",
        "relax": "pre-upgrade,pre-rollback",
        "remove": "pre-delete",
    },
    "enforce": {
        "apply": "post-install,post-upgrade,post-rollback",
        "remove": "pre-delete",
    },
    "none": {
        "none": "pre-upgrade,pre-rollback,post-upgrade,post-rollback",
        "remove": "pre-delete",
    },
}
enforcements = pytest.mark.parametrize("enforcement", HOOKS)


def jobs(objects: list[Object]) -> dict[str, Object]:
    """Those that Helm runs, by the last part of their names."""
    return {
        each["metadata"]["name"].removeprefix("imagegate-webhooks-"): each
        for each in objects
        if each["kind"] == "Job"
    }


def hourly(objects: list[Object]) -> Any:
    return one(objects, "CronJob", "imagegate-webhooks")["spec"]


def arguments(job: Object) -> list[str]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return list(container["args"])


@enforcements
def test_each_job_has_its_moment(enforcement: str) -> None:
    found = jobs(rendered(ANCHORE | {"enforcement": enforcement}))
    told = {name: job["metadata"]["annotations"] for name, job in found.items()}
    assert {name: each["helm.sh/hook"] for name, each in told.items()} == HOOKS[enforcement]
    for name, job in found.items():
        assert arguments(job)[:2] == ["webhooks", "remove" if name == "none" else name]


@enforcements
def test_one_that_failed_stays_until_the_next_for_its_log(enforcement: str) -> None:
    for job in jobs(rendered(ANCHORE | {"enforcement": enforcement})).values():
        policy = job["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded"


@enforcements
def test_what_jobs_need_is_no_hook_and_there_as_long_as_the_release(enforcement: str) -> None:
    """Else the account that takes the configurations away were gone before it could."""
    objects = rendered(ANCHORE | {"enforcement": enforcement} | KEPT)
    hooks = [each for each in objects if "helm.sh/hook" in str(each["metadata"])]
    assert {each["kind"] for each in hooks} == {"Job"}
    for kind in ("ServiceAccount", "ConfigMap", "ClusterRole", "ClusterRoleBinding", "Role"):
        assert one(objects, kind, "imagegate-webhooks")


@enforcements
def test_a_failure_that_would_be_the_same_again_ends_a_job_and_a_node_that_went_does_not(
    enforcement: str,
) -> None:
    objects = rendered(ANCHORE | {"enforcement": enforcement})
    specs = [job["spec"] for job in jobs(objects).values()]
    if enforcement != "none":
        specs.append(
            hourly(rendered(ANCHORE | {"enforcement": enforcement} | KEPT))["jobTemplate"]["spec"]
        )
    for spec in specs:
        (container,) = spec["template"]["spec"]["containers"]
        ends, passes_over = spec["podFailurePolicy"]["rules"]
        exits = {"containerName": container["name"], "operator": "In", "values": [2]}
        assert ends == {"action": "FailJob", "onExitCodes": exits}
        gone = {"type": "DisruptionTarget", "status": "True"}
        assert passes_over == {"action": "Ignore", "onPodConditions": [gone]}
        assert spec["template"]["spec"]["restartPolicy"] == "Never"
        assert spec["backoffLimit"] >= 1


@enforcements
def test_a_job_ends_by_itself_before_it_is_ended(enforcement: str) -> None:
    values = {"enforcement": enforcement, "webhooks": {"waitSeconds": 99}}
    for name, job in jobs(rendered(ANCHORE | values)).items():
        assert job["spec"]["activeDeadlineSeconds"] == 129
        assert ("--within=99" in arguments(job)) is (name == "apply")


@enforcements
def test_a_job_touches_what_says_that_it_is_of_this_release(enforcement: str) -> None:
    values = ANCHORE | {"enforcement": enforcement}
    objects = rendered(values, namespace="gate", release="second")
    text = one(objects, "ConfigMap", "imagegate-webhooks")["data"]["webhooks.yaml"]
    named = {
        each["metadata"]["annotations"]["imagegate.dev/installation"]
        for each in yaml.safe_load_all(text)
    }
    assert named == {"gate/second"}
    for name, job in jobs(objects).items():
        # What is applied says so itself.
        expected = [] if name == "apply" else ["--installation=gate/second"]
        assert [each for each in arguments(job) if "installation" in each] == expected


def test_what_is_kept_in_step_is_applied_as_by_an_upgrade_but_only_what_is_there() -> None:
    """What somebody took away stays away: while the release goes, nothing must come back. And it
    does not wait: what it was told may be over when the webhooks answer."""
    objects = rendered(ANCHORE | KEPT)
    applied = arguments(jobs(objects)["apply"])
    at_once = ["--within=0" if each == "--within=240" else each for each in applied]
    assert at_once != applied
    assert arguments(hourly(objects)["jobTemplate"]) == [*at_once, "--present"]
    assert "--present" not in applied
    off = rendered(ANCHORE | KEPT | {"enforcement": "none"})
    assert not [each for each in off if each["kind"] == "CronJob"]
    assert not [each for each in rendered(ANCHORE) if each["kind"] == "CronJob"]


def test_it_is_kept_in_step_when_it_is_told_and_by_one_job_at_a_time() -> None:
    found = hourly(rendered(ANCHORE | KEPT))
    assert found["schedule"] == "5 * * * *"
    assert found["concurrencyPolicy"] == "Forbid"


def test_a_job_waits_for_the_webhooks_of_the_release_where_it_has_any() -> None:
    objects = rendered(ANCHORE, namespace="gate")
    webhook = one(objects, "Deployment", "imagegate-webhook")["metadata"]
    waited = f"--deployment={webhook['namespace']}/{webhook['name']}"
    assert waited in arguments(jobs(objects)["apply"])
    outside: Values = {"webhook": {"enabled": False}, "webhooks": {"url": "https://gate:1"}}
    elsewhere = jobs(rendered(ANCHORE | outside | {"certificates": {"from": "secret"}}))["apply"]
    assert not [each for each in arguments(elsewhere) if each.startswith("--deployment")]


def test_the_job_is_given_the_key_that_holds_the_ca() -> None:
    own = {"from": "secret", "caKey": "tls.crt", "secretName": "mine"}
    job = jobs(rendered(ANCHORE | {"certificates": own}))["apply"]
    spec = job["spec"]["template"]["spec"]
    (volume,) = (each for each in spec["volumes"] if each["name"] == "webhook-ca")
    assert volume["secret"]["secretName"] == "mine"
    assert volume["secret"]["items"] == [{"key": "tls.crt", "path": "tls.crt"}]
    assert "--ca=/etc/imagegate/webhook-ca/tls.crt" in arguments(job)


@enforcements
def test_a_job_finds_the_files_that_it_is_told_of_and_has_no_others(enforcement: str) -> None:
    for name, job in jobs(rendered(ANCHORE | {"enforcement": enforcement})).items():
        (container,) = job["spec"]["template"]["spec"]["containers"]
        named = {
            each.partition("=")[2].rpartition("/")[0]
            for each in arguments(job)
            if each.startswith(("--file=", "--ca="))
        }
        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounted == named | {"/tmp"}
        assert bool(named) is (name == "apply")


@enforcements
def test_a_job_runs_as_the_account_that_may_and_shows_its_token(enforcement: str) -> None:
    objects = rendered(ANCHORE | {"enforcement": enforcement} | KEPT)
    found = [template["spec"] for name, template in templates(objects) if "Job" in name]
    assert len(found) == len(HOOKS[enforcement]) + (enforcement != "none")
    for spec in found:
        assert spec["serviceAccountName"] == "imagegate-webhooks"
        assert spec["automountServiceAccountToken"] is True
