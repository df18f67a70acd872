"""One namespace at a time, for reviews that cannot wait."""

import asyncio
import logging
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from shared.adapters.kubernetes import limits
from shared.adapters.kubernetes.limits import Pace
from shared.domain.pointer import SECOND
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import FakeKubernetes, Fault, answers, breaks_off, hang, sends, silence
from tests.functional.kubernetes.conftest import HURRIED, QUICK, followed, opened
from tests.waiting import eventually

TEAM = b'{"kind":"PartialObjectMetadata","metadata":{"name":"team","labels":{}}}'
"""A namespace as the API server sends it."""

FOR_EVER = Pace(answer=60.0, read=60.0)
"""Whoever waits does not wait for these."""


async def test_the_first_pod_of_a_namespace_that_is_a_moment_old_finds_its_labels(
    cluster: FakeKubernetes, token: Path
) -> None:
    """Also where the watch is late with it."""
    async with followed(cluster, token) as subject:
        await eventually(lambda: cluster.watching == 1)
        cluster.faults["watch"] = silence
        await eventually(lambda: cluster.watching == 0)
        cluster.put("new", {"tier": "prod"})
        labels = await subject.namespaces.read("new")
        assert labels == {"kubernetes.io/metadata.name": "new", "tier": "prod"}
        assert subject.reads == {"found": 1}


async def test_one_that_is_followed_costs_no_question(cluster: FakeKubernetes, token: Path) -> None:
    cluster.put("team", {})
    async with followed(cluster, token) as subject:
        await subject.knows("team", "-")
        for _ in range(50):
            await subject.namespaces.read("team")
    assert cluster.count("get") == 0


async def test_all_who_wait_for_one_share_a_question(cluster: FakeKubernetes, token: Path) -> None:
    cluster.put("team", {"tier": "prod"})
    cluster.slow = 0.05
    async with opened(cluster, token) as subject:
        read = await asyncio.gather(*(subject.namespaces.read("team") for _ in range(500)))
        assert {labels["tier"] for labels in read if labels is not None} == {"prod"}
        assert None not in read
    assert cluster.count("get") == 1


@pytest.mark.parametrize("fault", [hang, silence])
async def test_a_review_does_not_wait_for_an_api_server_that_hangs(
    fault: Fault, cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {})
    cluster.faults["get"] = fault
    async with opened(cluster, token, pace=FOR_EVER) as subject:
        async with asyncio.timeout(5.0):
            read = await asyncio.gather(*(subject.namespaces.read("team") for _ in range(100)))
        assert read == [None] * 100
        async with asyncio.timeout(5.0):
            assert await subject.namespaces.read("team") is None
    assert cluster.count("get") == 1


async def test_an_answer_that_is_too_late_for_one_review_is_there_for_the_next(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "prod"})
    cluster.slow = 0.4
    async with opened(cluster, token, pace=Pace(read=30.0)) as subject:
        assert await subject.namespaces.read("team") is None
        await subject.knows("team", "prod")
    assert cluster.count("get") == 1


async def test_made_up_namespaces_cost_a_bounded_number_of_questions(
    cluster: FakeKubernetes, token: Path
) -> None:
    pace = msgspec.structs.replace(QUICK, review=1.0)
    async with followed(cluster, token, pace=pace) as subject:
        await eventually(lambda: cluster.watching == 1)
        began = asyncio.get_running_loop().time()
        read = await asyncio.gather(
            *(subject.namespaces.read(f"made-up-{number}") for number in range(3_000))
        )
        lasted = asyncio.get_running_loop().time() - began
        assert set(read) == {None}
        assert subject.reads.total() == 3_000
        assert subject.reads["over_budget"] > 2_900
        allowed = limits.READS_SAVED + limits.READS_A_SECOND * lasted
        assert cluster.count("get") <= allowed + 1
        await eventually(lambda: len(subject.namespaces._reads._waiting) == 0)


async def test_a_made_up_namespace_is_not_asked_for_again_at_once(
    cluster: FakeKubernetes, token: Path
) -> None:
    async with opened(cluster, token) as subject:
        for _ in range(50):
            assert await subject.namespaces.read("made-up") is None
        assert subject.reads == {"unknown": 1}
    assert cluster.count("get") == 1


async def test_it_is_asked_for_again_after_a_while(cluster: FakeKubernetes, token: Path) -> None:
    clock = FakeClock()
    async with opened(cluster, token, clock=clock) as subject:
        assert await subject.namespaces.read("team") is None
        cluster.put("team", {"tier": "prod"})
        clock.advance(round(QUICK.missing * SECOND))
        assert await subject.namespaces.read("team") is not None


async def test_a_namespace_is_known_the_moment_it_is_made_though_somebody_named_it_before(
    cluster: FakeKubernetes, token: Path
) -> None:
    """Who makes names up keeps no namespace out by naming it first."""
    async with followed(cluster, token) as subject:
        await eventually(lambda: cluster.watching == 1)
        assert await subject.namespaces.read("team") is None
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
    assert cluster.count("get") == 1


async def test_a_flood_of_made_up_namespaces_keeps_no_real_one_out(
    cluster: FakeKubernetes, token: Path
) -> None:
    """Where no time passes, so that no other question is earned."""
    long = msgspec.structs.replace(QUICK, watch=300)
    async with followed(cluster, token, pace=long, clock=FakeClock()) as subject:
        await eventually(lambda: cluster.watching == 1)
        flood = [
            asyncio.create_task(subject.namespaces.read(f"made-up-{number}"))
            for number in range(limits.READS_SAVED + 5)
        ]
        await asyncio.sleep(0)
        review = asyncio.create_task(subject.namespaces.read("team"))
        await asyncio.sleep(0)
        cluster.put("team", {"tier": "prod"})
        labels = await review
        assert labels is not None
        assert labels["tier"] == "prod"
        assert "team" not in {asked.name for asked in cluster.asked}
        for made_up in flood:
            made_up.cancel()
        await asyncio.wait(flood)


async def test_what_the_watch_says_counts_more_than_an_older_answer(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    async with opened(cluster, token, pace=Pace()) as subject:
        following = asyncio.create_task(subject.namespaces.follow())
        await subject.knows("team", "test")
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
        subject.namespaces._view.was_read("team", {"tier": "test"})
        assert subject.tier("team") == "prod"
        following.cancel()
        await asyncio.wait([following])


async def test_a_review_that_is_given_up_takes_the_question_from_no_other(
    cluster: FakeKubernetes, token: Path
) -> None:
    first_is_gone = asyncio.Event()

    async def waits(http: web.Request) -> web.StreamResponse:
        await first_is_gone.wait()
        return await cluster._get(http)

    cluster.put("team", {"tier": "prod"})
    cluster.faults["get"] = waits
    async with opened(cluster, token) as subject:
        first = asyncio.create_task(subject.namespaces.read("team"))
        second = asyncio.create_task(subject.namespaces.read("team"))
        await eventually(lambda: cluster.count("get") == 1)
        first.cancel()
        await asyncio.wait([first])
        first_is_gone.set()
        assert await second is not None
        assert first.cancelled()


@pytest.mark.parametrize(
    "fault",
    [
        answers(429, "too many requests"),
        answers(500, "etcdserver: leader changed\n\x1b[31m"),
        answers(503),
        breaks_off(b'{"kind":"Partial'),
        sends(b""),
        sends(b"<html>"),
        sends(b'{"kind":"PartialObjectMetadata","metadata":{"name":"other","labels":{}}}'),
        sends(b'{"kind":"Namespace","metadata":{"name":"team","labels":{}}}'),
        sends(b'{"kind":"PartialObjectMetadata","metadata":{"name":"team","labels":{"tier":1}}}'),
        sends(TEAM.replace(b"{}", b'{"tier":"prod"}') + b" " * limits.MAX_BODY_BYTES),
    ],
)
async def test_an_answer_that_is_none_makes_it_unknown_and_the_next_question_is_asked(
    fault: Fault, cluster: FakeKubernetes, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.put("team", {"tier": "prod"})
    cluster.faults["get"] = fault
    async with opened(cluster, token) as subject:
        for _ in range(3):
            assert await subject.namespaces.read("team") is None
            await eventually(lambda: not subject.namespaces._reads._asking)
        assert subject.reads == {"failed": 3}
        cluster.faults.clear()
        assert await subject.namespaces.read("team") is not None
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.message == "a namespace cannot be read"
    assert said.__dict__["why"].isprintable()


@pytest.mark.parametrize("labels", [b"{}", b"null", b'{},"annotations":null'])
async def test_one_without_labels_has_none_however_that_is_said(
    labels: bytes, cluster: FakeKubernetes, token: Path
) -> None:
    cluster.faults["get"] = sends(TEAM.replace(b"{}", labels))
    async with opened(cluster, token) as subject:
        assert await subject.namespaces.read("team") == {}


@pytest.mark.parametrize("name", ["", "..", "a/b", "Team", "a" * 64, "-a", "a?limit=1"])
async def test_what_is_no_name_is_not_asked_for(
    name: str, cluster: FakeKubernetes, token: Path
) -> None:
    async with opened(cluster, token) as subject:
        assert await subject.namespaces.read(name) is None
        assert subject.reads == {}
    assert cluster.asked == []


async def test_rights_that_are_missing_are_an_error_said_once(
    cluster: FakeKubernetes, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.allowed = set()
    async with opened(cluster, token) as subject:
        for number in range(5):
            assert await subject.namespaces.read(f"team-{number}") is None
        assert subject.reads == {"refused": 5}
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.levelno == logging.ERROR
    assert "ClusterRole imagegate-webhook" in said.__dict__["why"]


async def test_labels_that_were_read_are_believed_no_longer_than_others(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    clock = FakeClock()
    async with opened(cluster, token, clock=clock) as subject:
        assert await subject.namespaces.read("team") is not None
        cluster.put("team", {"tier": "prod"})
        clock.advance(round(QUICK.believed * SECOND))
        labels = await subject.namespaces.read("team")
        assert labels is not None
        assert labels["tier"] == "prod"


async def test_while_they_cannot_be_followed_each_is_read_once_a_while(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "prod"})
    cluster.allowed = {"get"}
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["refused"] >= 1)
        for _ in range(20):
            assert await subject.namespaces.read("team") is not None
    assert cluster.count("get") == 1


async def test_questions_under_way_end_with_the_process(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.faults["get"] = hang
    async with opened(cluster, token, pace=FOR_EVER) as subject:
        waiting = asyncio.create_task(subject.namespaces.read("team"))
        await eventually(lambda: cluster.count("get") == 1)
    assert await waiting is None


async def test_who_still_asks_when_all_is_closed_is_told_nothing_and_nothing_is_raised(
    cluster: FakeKubernetes, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that fails at its start closes what it has before it ends what runs."""
    cluster.put("team", {})
    async with opened(cluster, token, pace=HURRIED) as subject:
        following = asyncio.create_task(subject.namespaces.follow())
        await subject.knows("team", "-")
    assert await subject.namespaces.read("other") is None
    await eventually(lambda: subject.ends["lost"] >= 2)
    following.cancel()
    await asyncio.wait([following])
    # The fake is hung up on, and says so by itself.
    ours = [record for record in caplog.records if not record.name.startswith("aiohttp")]
    assert [record for record in ours if record.exc_info] == []
