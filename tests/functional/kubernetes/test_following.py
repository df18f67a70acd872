"""Lists and watches, and what becomes of them when the API server is not well."""

import json
import logging
from pathlib import Path

import pytest
from aiohttp import web

from shared.adapters.kubernetes import limits
from shared.adapters.kubernetes.limits import Pace
from shared.domain.pointer import SECOND
from shared.ports.namespaces import Followed
from tests.fakes.clock import FakeClock
from tests.fakes.kubernetes import (
    FakeKubernetes,
    Fault,
    answers,
    breaks_off,
    hang,
    silence,
    status,
)
from tests.functional.kubernetes.conftest import HURRIED, QUICK, followed
from tests.waiting import eventually


async def test_what_is_made_changed_and_deleted_is_followed_from_one_list(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    cluster.second = 1.0
    async with followed(cluster, token, pace=Pace()) as subject:
        await subject.knows("team", "test")
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
        cluster.put("team", {})
        await subject.knows("team", "-")
        cluster.put("new", {"tier": "prod"})
        await subject.knows("new", "prod")
        cluster.remove("team")
        await subject.knows("team", None)
    assert [asked.verb for asked in cluster.asked] == ["list", "watch"]


async def test_only_metadata_is_asked_for_and_a_watch_for_bookmarks_and_an_end(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.second = 1.0
    async with followed(cluster, token, pace=Pace()):
        await eventually(lambda: cluster.watching == 1)
    listing, watch = cluster.asked
    assert "as=PartialObjectMetadataList" in listing.headers["Accept"]
    assert "as=PartialObjectMetadata;" in watch.headers["Accept"]
    assert watch.query == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "100",
        "timeoutSeconds": "20",
    }


async def test_a_watch_that_ends_goes_on_where_it_ended_without_another_list(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["done"] >= 2)
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
        await eventually(lambda: subject.ends["done"] >= 4)
    assert cluster.listings == 1
    watches = [asked for asked in cluster.asked if asked.verb == "watch"]
    assert watches[0].query["resourceVersion"] == "101"
    assert watches[-1].query["resourceVersion"] == "102"


async def test_what_changed_between_two_watches_is_not_missed(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["done"] >= 1)
        cluster.faults["watch"] = answers(503, "not now")
        await eventually(lambda: subject.ends["lost"] >= 1)
        cluster.put("team", {"tier": "prod"})
        assert subject.tier("team") == "test"
        cluster.faults.clear()
        await subject.knows("team", "prod")


@pytest.mark.parametrize("said", ["in the watch", "as its status"])
async def test_a_version_that_is_compacted_has_all_listed_again_and_nobody_is_alarmed(
    said: str, cluster: FakeKubernetes, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def compacted(http: web.Request) -> web.StreamResponse:
        cluster.faults.clear()
        cluster.remove("team")
        cluster.put("other", {})
        cluster.compact()
        if said == "as its status":
            return status(410, "too old resource version: 101 (103)")
        return await cluster._watch(http)

    cluster.put("team", {"tier": "test"})
    async with followed(cluster, token) as subject:
        await eventually(lambda: cluster.watching == 1)
        cluster.faults["watch"] = compacted
        await subject.knows("other", "-")
        assert subject.tier("team") is None
        assert set(subject.ends) == {"done", "gone"}
        assert subject.ends["gone"] == 1
    assert cluster.listings == 2
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_version_that_is_compacted_behind_an_event_is_not_asked_for_again(
    cluster: FakeKubernetes, token: Path
) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    cluster.second = 1.0
    async with followed(cluster, token, pace=Pace()) as subject:
        await eventually(lambda: cluster.watching == 1)
        cluster.put("team", {"tier": "test"})
        await subject.knows("team", "test")
        cluster.say(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
        await eventually(lambda: subject.ends["gone"] == 1)
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
    assert [asked.verb for asked in cluster.asked][:3] == ["list", "watch", "list"]


async def test_where_nothing_changes_no_watch_says_a_word_and_labels_stay_believed(
    cluster: FakeKubernetes, token: Path
) -> None:
    """Each watch is most of what labels are believed for, by the clock of belief."""
    cluster.put("team", {"tier": "prod"})
    clock = FakeClock()
    async with followed(cluster, token, clock=clock) as subject:
        await subject.knows("team", "prod")
        for _ in range(10):
            subject.ends.pop("done", None)
            clock.advance(round(0.9 * QUICK.believed * SECOND))
            assert subject.tier("team") == "prod"
            await eventually(lambda: subject.ends["done"] > 0)
        assert set(subject.ends) == {"done"}
    assert cluster.listings == 1


@pytest.mark.parametrize("version", ["7a", "", "²"])
async def test_versions_that_cannot_be_compared_have_all_listed_again(
    version: str, cluster: FakeKubernetes, token: Path
) -> None:
    async def lists(http: web.Request) -> web.StreamResponse:
        if http.query["limit"] != "1":
            return await cluster._list(http)
        meta = {"resourceVersion": version}
        body = {"kind": "PartialObjectMetadataList", "metadata": meta, "items": []}
        return web.json_response(body)

    cluster.put("team", {"tier": "prod"})
    cluster.faults["list"] = lists
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["silent"] + subject.ends["lost"] >= 2)
        assert subject.tier("team") == "prod"
    assert cluster.listings >= 2


async def test_a_version_that_is_ahead_after_a_restore_is_found_out_by_silence(
    cluster: FakeKubernetes, token: Path
) -> None:
    for name in ("team", "other"):
        cluster.put(name, {"tier": "test"})
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["done"] >= 1)
        cluster.restore(50)
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
        assert subject.ends["silent"] >= 1
    assert cluster.listings == 2


@pytest.mark.parametrize("fault", [hang, silence])
async def test_a_watch_that_hangs_is_given_up_and_another_begun(
    fault: Fault, cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    async with followed(cluster, token, pace=HURRIED) as subject:
        await eventually(lambda: subject.ends["done"] >= 1)
        cluster.faults["watch"] = fault
        await eventually(lambda: subject.ends["silent"] + subject.ends["lost"] >= 1)
        cluster.faults.clear()
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"type":"ADDED","object":{"kind":"PartialObjectMeta',
        b'{"type":"ADDED"}\n',
        b"<html>\n",
        b'{"type":"ADDED","object":{"kind":"Namespace","metadata":{"name":"a"}}}\n',
        b'{"type":"NEWS","object":{"kind":"PartialObjectMetadata","metadata":'
        b'{"name":"a","resourceVersion":"7"}}}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
    ],
)
async def test_a_watch_that_breaks_off_or_cannot_be_read_is_begun_again(
    body: bytes, cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    cluster.faults["watch"] = breaks_off(body)
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["lost"] >= 2)
        assert subject.tier("team") == "test"
        cluster.faults.clear()
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")


async def test_an_event_without_end_is_not_kept_in_memory(
    cluster: FakeKubernetes, token: Path
) -> None:
    async with followed(cluster, token) as subject:
        await eventually(lambda: cluster.watching == 1)
        cluster.say(b" " * (limits.MAX_LINE_BYTES + 1_000))
        await eventually(lambda: subject.ends["lost"] >= 1)


async def test_an_event_that_is_too_large_does_not_come_again_and_again(
    cluster: FakeKubernetes, token: Path
) -> None:
    async with followed(cluster, token, pace=Pace()) as subject:
        await eventually(lambda: cluster.watching == 1)
        cluster.put("small", {"tier": "test"})
        await subject.knows("small", "test")
        cluster.put("large", {"tier": "test"}, {"note": "x" * (3 * limits.MAX_LINE_BYTES // 2)})
        await subject.knows("large", "test")
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
    assert cluster.listings == 2


async def test_labels_are_believed_for_a_while_when_the_api_server_is_away_and_no_longer(
    cluster: FakeKubernetes, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cluster.put("team", {"tier": "prod"})
    clock = FakeClock()
    async with followed(cluster, token, clock=clock) as subject:
        await subject.knows("team", "prod")
        await cluster.stop()
        await eventually(lambda: subject.ends["lost"] >= 1)
        clock.advance(round(QUICK.believed * SECOND) - 1)
        assert subject.tier("team") == "prod"
        clock.advance(1)
        assert subject.tier("team") is None
        await eventually(lambda: "not believed any more" in caplog.text)
        assert subject.namespaces.followed() == Followed(known=0, age=QUICK.believed)
        await cluster.__aenter__()
        await subject.knows("team", "prod")
        cluster.put("team", {})
        await eventually(lambda: "namespaces are followed again" in caplog.text)
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == [
        "namespaces are not followed",
        "labels of namespaces are not believed any more: reviews ask for each one that they need",
    ]


@pytest.mark.parametrize(
    ("verbs", "says"),
    [
        ({"get"}, "bind the ClusterRole imagegate-webhook"),
        ({"get", "list"}, "bind the ClusterRole imagegate-webhook"),
    ],
)
async def test_rights_that_are_missing_are_said_once_with_the_role_to_give(
    verbs: set[str],
    says: str,
    cluster: FakeKubernetes,
    token: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster.put("team", {"tier": "prod"})
    cluster.allowed = verbs
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["refused"] >= 3)
        assert await subject.namespaces.read("team") is not None
    (said,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.levelno == logging.ERROR
    assert says in said.__dict__["why"]
    assert 'User "us" cannot' in said.__dict__["why"]


async def test_who_may_list_and_not_watch_still_knows_them(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    cluster.allowed = {"get", "list"}
    async with followed(cluster, token) as subject:
        await subject.knows("team", "test")
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")


async def test_nothing_is_left_open_at_the_end(cluster: FakeKubernetes, token: Path) -> None:
    async with followed(cluster, token, pace=QUICK):
        await eventually(lambda: cluster.watching == 1)
    await eventually(lambda: cluster.watching == 0)
