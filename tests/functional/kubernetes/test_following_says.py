"""What is said of namespaces that are followed: once for as long as it is so."""

import json
import logging
from pathlib import Path

import pytest

from services.webhook.namespace_metrics import NamespaceMetrics
from shared.adapters.kubernetes.limits import MAX_LABEL_BYTES_OF_ONE
from shared.domain.pointer import MINUTE, SECOND
from shared.ports.namespaces import Followed
from shared.runtime.metrics import Metrics
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, answers
from tests.fakes.prometheus import FakePrometheus
from tests.functional.kubernetes.conftest import Subject, followed, following, opened
from tests.unit.docs.operations import alerts
from tests.waiting import eventually

NOT_FOLLOWED = "namespaces are not followed"
NOT_BELIEVED = "labels of namespaces are not believed any more"
NOT_KEPT = "labels of some namespaces are not kept"


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "shared.adapters.kubernetes")
    return caplog


def levels(said: pytest.LogCaptureFixture, message: str) -> list[int]:
    return [record.levelno for record in said.records if record.message.startswith(message)]


async def listed_again(cluster: FakeKubernetes) -> None:
    """Because the API server has forgotten where a watch was."""
    before = cluster.listings
    await eventually(lambda: cluster.watching == 1)
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    cluster.say(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
    await eventually(lambda: cluster.listings > before)
    await eventually(lambda: cluster.watching == 1)


async def away(cluster: FakeKubernetes, subject: Subject, code: int) -> None:
    """For three watches."""
    cluster.faults = {"watch": answers(code, "no"), "list": answers(code, "no")}
    before = subject.ends.total()
    await eventually(lambda: subject.ends.total() >= before + 3)


async def back(cluster: FakeKubernetes, subject: Subject) -> None:
    cluster.faults = {}
    before = subject.ends["done"]
    await eventually(lambda: subject.ends["done"] > before)


async def test_that_they_are_followed_is_said_once_however_often_they_are_listed(
    cluster: FakeKubernetes, token: Path, said: pytest.LogCaptureFixture
) -> None:
    async with followed(cluster, token):
        for _ in range(2):
            await listed_again(cluster)
    assert levels(said, "namespaces are followed") == [logging.INFO]


async def test_labels_that_are_not_kept_are_said_once_until_all_were_kept_again(
    cluster: FakeKubernetes, token: Path, said: pytest.LogCaptureFixture
) -> None:
    many = {"tier": "x" * MAX_LABEL_BYTES_OF_ONE}
    cluster.put("team", many)
    async with followed(cluster, token):
        for _ in range(2):
            await listed_again(cluster)
        assert levels(said, NOT_KEPT) == [logging.ERROR]
        cluster.remove("team")
        await listed_again(cluster)
        cluster.put("team", many)
        await listed_again(cluster)
    assert levels(said, NOT_KEPT) == [logging.ERROR, logging.ERROR]


async def test_each_outage_is_said_once_and_once_more_where_a_person_must_do_something(
    cluster: FakeKubernetes, token: Path, said: pytest.LogCaptureFixture
) -> None:
    async with followed(cluster, token) as subject:
        for _ in range(2):
            await back(cluster, subject)
            await away(cluster, subject, 503)
            await away(cluster, subject, 403)
        await back(cluster, subject)
    assert levels(said, NOT_FOLLOWED) == 2 * [logging.WARNING, logging.ERROR]
    assert levels(said, "namespaces are followed again") == 2 * [logging.INFO]


async def test_that_labels_are_not_believed_any_more_is_said_once_an_outage(
    cluster: FakeKubernetes, token: Path, said: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    async with followed(cluster, token, clock=clock) as subject:
        for outages in range(2):
            await back(cluster, subject)
            await away(cluster, subject, 503)
            assert len(levels(said, NOT_BELIEVED)) == outages
            clock.advance(MINUTE)
            for _ in range(2):
                await away(cluster, subject, 503)
    assert levels(said, NOT_BELIEVED) == 2 * [logging.ERROR]


# What is told to Prometheus


async def test_namespaces_that_were_never_known_are_so_since_following_them_began(
    cluster: FakeKubernetes, token: Path
) -> None:
    clock = FakeClock()
    cluster.allowed = set()
    async with opened(cluster, token, clock=clock) as subject:
        for _ in range(2):
            clock.advance(MINUTE)
            assert subject.namespaces.followed() is None
            async with following(subject):
                await eventually(lambda: subject.ends["refused"] >= 2)
                subject.ends.clear()
                clock.advance(MINUTE)
                assert subject.namespaces.followed() == Followed(known=0, age=60.0)
        cluster.allowed = {"list", "watch"}
        async with following(subject):
            await eventually(lambda: subject.ends["done"] >= 1)
            assert subject.namespaces.followed() == Followed(known=0, age=0.0)


@pytest.mark.parametrize("known_before", [True, False])
async def test_there_is_an_alert_where_they_may_not_be_followed(
    known_before: bool, cluster: FakeKubernetes, token: Path
) -> None:
    """Whether the right was taken away, or was never given."""
    (rule,) = (rule for rule in alerts() if rule["alert"] == "ImagegateNamespacesUnknown")
    metrics, clock, prometheus = Metrics(), FakeClock(), FakePrometheus()
    cluster.put("team", {"tier": "prod"})
    if not known_before:
        cluster.allowed = set()
    async with followed(cluster, token, clock=clock) as subject:
        NamespaceMetrics(metrics).watch(subject.namespaces.followed)
        if known_before:
            await subject.knows("team", "prod")
            prometheus.scrape(clock.now() / SECOND, metrics.render())
            assert not prometheus.fires(rule)
            cluster.allowed = set()
        await eventually(lambda: subject.ends["refused"] >= 2)
        for _ in range(10):
            prometheus.scrape(clock.now() / SECOND, metrics.render())
            clock.advance(MINUTE)
    assert prometheus.fires(rule) == {frozenset()}
