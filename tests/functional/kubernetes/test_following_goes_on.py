"""How following goes on when a watch has ended: at once, after a pause, or all over again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from shared.adapters.kubernetes import watching
from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.kept import Labels
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.namespace_wire import NamespaceWire
from shared.adapters.kubernetes.objects import Page
from shared.adapters.kubernetes.view import NamespaceView
from shared.adapters.kubernetes.watching import NamespaceWatch
from tests.fakes.kubernetes import FakeKubernetes, breaks_off
from tests.functional.kubernetes.conftest import CLOCK, QUICK, followed, following, opened
from tests.waiting import eventually


async def test_who_follows_again_after_a_time_without_knows_all_of_them(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    cluster.second = 1.0
    async with opened(cluster, token, pace=Pace()) as subject:
        async with following(subject):
            await subject.knows("team", "test")
            cluster.put("other", {"tier": "prod"})
            await subject.knows("other", "prod")
        assert subject.tier("team") is None
        async with following(subject):
            await subject.knows("team", "test")
            await subject.knows("other", "prod")
    assert cluster.listings == 2


async def test_behind_a_watch_that_ended_well_the_next_begins_at_once(
    cluster: FakeKubernetes, token: Path
) -> None:
    # A little later than it was asked to, as API servers are.
    cluster.end_after = 1.2
    pace = Pace(watch=1, grace=30, answer=30, shortest=0.05, first_pause=3600, last_pause=3600)
    async with followed(cluster, token, pace=pace) as subject:
        await eventually(lambda: subject.ends["done"] >= 3)
    assert set(subject.ends) == {"done"}


async def test_a_bookmark_says_where_the_next_watch_goes_on(
    cluster: FakeKubernetes, token: Path
) -> None:
    bookmark = {"kind": "PartialObjectMetadata", "metadata": {"resourceVersion": "101"}}
    cluster.end_after = 0.5
    async with followed(cluster, token) as subject:
        await eventually(lambda: cluster.watching == 1)
        cluster.say(json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n")
        await eventually(lambda: cluster.count("watch") >= 2)
    assert set(subject.ends) == {"done"}
    watches = [asked.query["resourceVersion"] for asked in cluster.asked if asked.verb == "watch"]
    assert watches[:2] == ["100", "101"]


async def test_pauses_begin_short_again_behind_a_watch_that_ended_well(
    cluster: FakeKubernetes, token: Path
) -> None:
    pace = Pace(watch=1, grace=30, answer=30, shortest=0.05, first_pause=0.05, last_pause=3600)
    cluster.faults["watch"] = breaks_off(b"")
    async with followed(cluster, token, pace=pace) as subject:
        await eventually(lambda: subject.ends["lost"] >= 7)
        cluster.faults.clear()
        await eventually(lambda: subject.ends["done"] >= 1)
        cluster.faults["watch"] = breaks_off(b"")
        before = subject.ends["lost"]
        # Else at least 1.6, 3.2 and 6.4 s.
        await eventually(lambda: subject.ends["lost"] >= before + 4, within=10)


async def test_behind_a_watch_that_broke_off_there_is_a_pause_however_long_it_went_on(
    cluster: FakeKubernetes, token: Path
) -> None:
    async def breaks_late(http: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.1)
        return await breaks_off(b"")(http)

    cluster.faults["watch"] = breaks_late
    pace = Pace(answer=30.0, shortest=0.05, first_pause=3600.0, last_pause=3600.0)
    async with followed(cluster, token, pace=pace) as subject:
        await eventually(lambda: subject.ends["lost"] >= 1)
        await asyncio.sleep(0.5)
    assert cluster.count("watch") == 1


async def test_an_api_server_that_ends_every_watch_at_once_is_not_asked_without_a_pause(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.end_after = 0.0
    pace = Pace(answer=30.0, shortest=60.0, first_pause=3600.0, last_pause=3600.0)
    async with followed(cluster, token, pace=pace) as subject:
        await eventually(lambda: subject.ends["done"] >= 1)
        await asyncio.sleep(0.5)
    assert cluster.count("watch") == 1


async def test_pauses_grow_to_a_bound_and_differ(cluster: FakeKubernetes, token: Path) -> None:
    async with followed(cluster, token, pace=Pace()) as subject:
        watch = subject.namespaces._watch
        pauses = [watch._longer_pause() for _ in range(40)]
    assert 0.1 <= pauses[0] <= 0.2
    assert max(pauses) <= 10.0
    assert min(pauses[10:]) >= 5.0
    assert len(set(pauses)) == 40


class Mistaken(NamespaceWire):
    """As it would be with a mistake in it."""

    mended = False

    async def page(self, *, limit: int, more: str = "") -> Page:
        if not self.mended:
            raise TypeError("a mistake")
        return await super().page(limit=limit, more=more)


async def test_a_mistake_of_ours_does_not_end_the_following(
    cluster: FakeKubernetes, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    view = NamespaceView(clock=CLOCK, pace=QUICK)
    cluster.put("team", {"tier": "prod"})
    wire = Mistaken(server=ApiServer(cluster.url, token, None), pace=QUICK)
    async with running(wire, view):
        await eventually(lambda: caplog.messages.count("following namespaces failed") >= 2)
        wire.mended = True
        await eventually(lambda: (view.labels("team") or {}).get("tier") == "prod")
    assert watching.log.name in {record.name for record in caplog.records}


class Choosy(NamespaceView):
    """As it would be with a mistake about one namespace."""

    def changed(self, name: str, labels: Labels) -> None:
        if name == "strange":
            raise TypeError("a mistake")
        super().changed(name, labels)


async def test_a_mistake_about_one_namespace_does_not_keep_the_others_from_being_known(
    cluster: FakeKubernetes, token: Path
) -> None:
    view = Choosy(clock=CLOCK, pace=QUICK)
    cluster.put("team", {"tier": "test"})
    wire = NamespaceWire(server=ApiServer(cluster.url, token, None), pace=QUICK)
    async with running(wire, view):
        await eventually(lambda: cluster.watching == 1)
        cluster.put("team", {"tier": "next"})
        cluster.put("strange", {})
        cluster.put("team", {"tier": "prod"})
        await eventually(lambda: (view.labels("team") or {}).get("tier") == "prod")


@asynccontextmanager
async def running(wire: NamespaceWire, view: NamespaceView) -> AsyncIterator[None]:
    async with wire:
        watch = NamespaceWatch(wire=wire, view=view, clock=CLOCK, pace=QUICK)
        task = asyncio.create_task(watch.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
