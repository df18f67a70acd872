"""What stops in the cluster when a part of imagegate is away, and what does not."""

import time
from collections.abc import Iterator

import pytest

from services.webhook.entries import RECHECK
from tests.e2e.site import Site, persist, until
from tests.e2e.workloads import create, events, pods
from tests.servers.kubernetes import Ran
from tests.servers.kubernetes_processes import PERSON


def kubectl(site: Site, team: str, *arguments: str) -> Ran:
    return site.cluster.kubectl(*arguments, f"--namespace={team}", user=PERSON)


@pytest.fixture
def furnished(site: Site, team: str) -> str:
    """A namespace with a pod, a Deployment and a Job that run, before anything is stopped."""
    assert (made := site.run(site.good, team)).code == 0, made
    assert (made := create(site, team, "Deployment", site.good)).code == 0, made
    job = ("create", "job", "j", f"--image={site.good}")
    assert (made := kubectl(site, team, *job)).code == 0, made
    of_job = ("get", "pods", "--selector=job-name=j", "--output=name")
    assert until(lambda: bool(kubectl(site, team, *of_job).out)), events(site, team)
    assert until(lambda: len(pods(site, team)) == 1), events(site, team)
    return team


@pytest.fixture
def without_webhook(site: Site, furnished: str) -> Iterator[str]:
    site.webhook.kill()
    yield furnished
    site.start_webhook()


def test_without_a_webhook_nothing_is_created_and_no_image_changes(
    site: Site, without_webhook: str
) -> None:
    team = without_webhook
    created = site.run(site.good, team, name="new")
    changed = kubectl(site, team, "set", "image", "pod/p", f"p={site.bad}")
    debugged = kubectl(site, team, "debug", "p", f"--image={site.bad}", "--container=look")

    for ran in (created, changed, debugged):
        assert ran.code == 1, ran
        assert "failed calling webhook" in ran.err, ran
        assert "connection refused" in ran.err, ran


def test_without_a_webhook_everything_else_in_the_cluster_goes_on(
    site: Site, without_webhook: str
) -> None:
    team = without_webhook

    for command in (
        ("label", "pod", "p", "tier=gold"),
        ("annotate", "pod", "p", "note=kept"),
        ("patch", "pod", "p", "--patch", '{"metadata": {"finalizers": ["e2e.example/held"]}}'),
        ("patch", "pod", "p", "--patch", '{"metadata": {"finalizers": null}}'),
        ("delete", "pod", "p"),
        ("scale", "deployment", "w", "--replicas=0"),
    ):
        ran = kubectl(site, team, *command)
        assert ran.code == 0, ran
    assert until(lambda: pods(site, team) == []), events(site, team)


def test_without_a_webhook_a_job_completes(site: Site, without_webhook: str) -> None:
    team = without_webhook
    (pod,) = site.cluster.get("pods", "--selector=job-name=j", namespace=team)["items"]
    name = pod["metadata"]["name"]

    over = '{"status": {"phase": "Succeeded"}}'
    patch = ("patch", "pod", name, "--subresource=status", "--patch", over)
    assert (ran := site.cluster.kubectl(*patch, f"--namespace={team}")).code == 0, ran

    ran = kubectl(site, team, "wait", "job/j", "--for=condition=Complete", "--timeout=60s")
    assert ran.code == 0, (ran, events(site, team))
    (pod,) = site.cluster.get("pods", "--selector=job-name=j", namespace=team)["items"]
    assert "finalizers" not in pod["metadata"]


def test_a_workload_that_was_refused_while_no_webhook_answered_comes_by_itself(
    site: Site, team: str
) -> None:
    site.webhook.kill()
    try:
        # Advice on workloads is none that they wait for.
        assert (made := create(site, team, "Deployment", site.good)).code == 0, made
        assert until(lambda: "failed calling webhook" in events(site, team)), events(site, team)
        assert pods(site, team) == []
    finally:
        site.start_webhook()

    assert until(lambda: len(pods(site, team)) == 1), events(site, team)


def test_without_redis_and_rabbitmq_known_images_go_on_being_admitted(
    site: Site, team: str
) -> None:
    assert (before := site.run(site.good, team, name="before")).code == 0, before
    assert (before := site.run(site.bad, team, name="before-too")).code == 1, before
    unknown = site.image("team/of-an-outage:1")
    site.redis.kill()
    site.rabbit.kill()
    try:
        # Longer than what was read from Redis counts without being asked for again.
        time.sleep(1.5 * RECHECK)
        known = [site.run(site.good, team, name=f"known{n}") for n in range(5)]
        bad = site.run(site.bad, team, name="bad")
        new = site.run(unknown, team, name="new")
    finally:
        site.redis.start_again()
        site.rabbit.start_node()

    assert [ran.code for ran in known] == [0] * 5, known
    assert "refused by policy imagegate-default" in bad.err, bad
    assert new.code == 1, new
    assert "imagegate's verdict store (Redis) does not answer" in new.err, new
    after = persist(lambda: site.run(unknown, team, name="new"))
    assert after.code == 0, after


def test_without_rabbitmq_alone_an_unknown_image_is_refused_with_the_reason(
    site: Site, team: str
) -> None:
    unknown = site.image("team/of-a-broker-outage:1")
    site.rabbit.kill()
    try:
        known = site.run(site.good, team, name="known")
        new = site.run(unknown, team, name="new")
    finally:
        site.rabbit.start_node()

    assert known.code == 0, known
    assert new.code == 1, new
    assert "imagegate's queue (RabbitMQ) takes no request" in new.err, new
    after = persist(lambda: site.run(unknown, team, name="new"))
    assert after.code == 0, after
