"""What a person waits for whose pod has an image that nobody has judged yet."""

import time

import pytest

from tests.e2e.site import Site, in_background, until
from tests.servers.kubernetes_processes import PERSON

BEARABLE = 105.0
"""Seconds of silence that are a little more than a person's kubectl is let wait for."""


def test_kubectl_waits_silently_until_the_scan_has_passed(site: Site, team: str) -> None:
    image = site.held_image("team/waiting:1")

    with in_background(lambda: site.run(image, team)) as running:
        assert until(lambda: site.denied(image)), site.webhook.said()
        assert not running.done()
        site.late.release(image)
        ran = running.result(timeout=100)

    assert ran.code == 0, ran
    assert "denied" not in ran.err, ran
    assert site.images_of(team) == [site.pinned(image)]


def test_helm_install_waits_silently_until_the_scan_has_passed(site: Site, team: str) -> None:
    image = site.held_image("team/charted:1")
    chart = site.chart("tiny", image)
    install = ("install", "tiny", chart, f"--namespace={team}")

    with in_background(lambda: site.cluster.helm(*install, user=PERSON)) as running:
        assert until(lambda: site.denied(image)), site.webhook.said()
        site.late.release(image)
        ran = running.result(timeout=100)

    assert ran.code == 0, ran
    assert "STATUS: deployed" in ran.out, ran
    assert site.images_of(team, "tiny") == [site.pinned(image)]


@pytest.mark.timeout(600)
def test_a_scan_that_will_take_longer_is_said_at_once(site: Site, team: str) -> None:
    long = BEARABLE + site.slow_since - time.monotonic()
    # Some of it has gone by with the tests before this one.
    time.sleep(max(0.0, long))

    ran = site.run(site.slow, team)

    assert ran.code == 1, ran
    assert ran.err.startswith("Error from server (TooManyRequests): "), ran
    assert (
        f"image {site.pinned(site.slow)}: not judged yet, its scan is under way since" in ran.err
    ), ran
    assert until(lambda: _reviews(site, team) > 0), site.webhook.said()
    assert _reviews(site, team) == 1, "kubectl has asked again"


def _reviews(site: Site, namespace: str) -> int:
    """How many there were that found a scan under way: a Redis that is late is asked again."""
    ours = [
        each
        for each in site.decisions()
        if each["namespace"] == namespace and each["state"] == "pending"
    ]
    return sum(each.get("times", 1) for each in ours)
