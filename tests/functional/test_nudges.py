"""A controller's pod is denied, and its owner is nudged once that is over: the whole of it, with a
fake API server that speaks the real wire."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.webhook.owners import OwnerPorts
from services.webhook.settings import WebhookSettings
from services.webhook.wiring import owner_ports_of
from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.events import KubernetesEvents
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.nudges import ADVICE, KubernetesNudging
from shared.adapters.kubernetes.wire import Wire
from shared.adapters.memory.nudge_claims import MemoryNudgeClaims
from shared.domain.owner import Owner
from shared.domain.pointer import DAY
from shared.domain.rules import Mode, Rule, Rules, Tags
from shared.runtime.clock import SystemClock
from tests.fakes.images import tiny_image
from tests.fakes.kubernetes import TOKEN, answers
from tests.fakes.kubernetes_owners import FakeOwners, reference_to
from tests.functional.test_turned import judge_anew
from tests.house import CONTROLLER, Answer, House, house, memory_backends, pod, review_of
from tests.waiting import eventually

RS = Owner(
    "apps/v1", "ReplicaSet", "team", "web-6c6b5b786d", "edb4837b-9034-4610-a974-439d7156cbd2"
)
WEB = Owner("apps/v1", "Deployment", "team", "web", "ac5ee09b-a6b2-4f05-b746-6998744d85e8")
IMAGE = tiny_image()


@pytest.fixture
async def cluster() -> AsyncIterator[FakeOwners]:
    async with FakeOwners() as fake:
        fake.put(RS, above=WEB)
        yield fake


@asynccontextmanager
async def nudging(cluster: FakeOwners, folder: Path, **options: Any) -> AsyncIterator[House]:
    """A whole imagegate in that cluster."""
    token = folder / "token"
    token.write_text(TOKEN)
    clock = SystemClock()
    async with Wire(server=ApiServer(cluster.url, token), pace=Pace(), advice=ADVICE) as wire:
        owners = OwnerPorts(
            nudging=KubernetesNudging(wire=wire, clock=clock),
            claims=MemoryNudgeClaims(clock=clock),
            events=KubernetesEvents(wire=wire, clock=clock, instance="webhook-1"),
        )
        backends = msgspec.structs.replace(memory_backends(), owners=owners)
        async with house(folder, backends=backends, **options) as running:
            yield running


async def tried(home: House, image: str, *, owner: Owner = RS, **more: Any) -> Answer:
    """Its controller makes a pod of the owner."""
    content = pod(image)
    content["metadata"]["ownerReferences"] = [reference_to(owner)]
    return await home.ask(review_of(content, **{"user": CONTROLLER, **more}))


async def test_a_pod_that_was_pending_is_tried_again_as_soon_as_it_may_run(
    cluster: FakeOwners, tmp_path: Path
) -> None:
    async with nudging(cluster, tmp_path, analysis_seconds=None) as home:
        image = str(home.registry.put(IMAGE, "team/app:1"))
        for _ in range(5):
            assert (await tried(home, image)).code == 429
        await asyncio.sleep(1)
        assert (cluster.nudges, cluster.events) == ([], {})
        home.anchore.store.finish(IMAGE.digest)
        await eventually(lambda: cluster.nudges == [RS])
        assert (await tried(home, image)).allowed
        await eventually(lambda: len(cluster.told("ImagePassed")) == 1)
        (event,) = cluster.told("ImagePassed")
        assert event["regarding"]["name"] == "web"
        assert event["note"].startswith(f"image {image}: may run now")
        text = await home.metrics()
        assert '\nimagegate_nudges_total{outcome="done"} 1.0\n' in text
        assert "\nimagegate_blocked_owners 1.0\n" in text
        assert '\nimagegate_owner_events_total{outcome="made",reason="ImagePassed"} 1.0\n' in text
        await asyncio.sleep(1)
        assert cluster.nudges == [RS]


async def test_a_pod_that_failed_is_tried_again_when_the_rules_let_it_run(
    cluster: FakeOwners, tmp_path: Path
) -> None:
    async with nudging(cluster, tmp_path) as home:
        image = str(home.registry.put(IMAGE, "team/app:1"))
        home.anchore.store.decide(IMAGE.digest, "stop")
        assert (await home.settled(image)).code == 403
        assert (await tried(home, image)).code == 403
        await asyncio.sleep(1)
        assert cluster.nudges == []
        laxer = msgspec.structs.replace(home.book.rules, default=Rule(mode=Mode.WARN))
        home.book.rules_changed(laxer)
        await eventually(lambda: cluster.nudges == [RS])
        assert (await tried(home, image)).allowed


async def test_a_scan_that_fails_is_told_at_once(cluster: FakeOwners, tmp_path: Path) -> None:
    async with nudging(cluster, tmp_path, analysis_seconds=None) as home:
        image = str(home.registry.put(IMAGE, "team/app:1"))
        home.anchore.store.decide(IMAGE.digest, "stop")
        assert (await tried(home, image)).code == 429
        home.anchore.store.finish(IMAGE.digest)
        await eventually(lambda: len(cluster.told("ImageRefused")) == 1)
        (event,) = cluster.told("ImageRefused")
        assert event["type"] == "Warning"
        assert "refused by policy" in event["note"]
        assert cluster.nudges == []


async def test_an_image_that_turned_is_told_to_the_workload_that_still_runs_it(
    cluster: FakeOwners, tmp_path: Path
) -> None:
    rules = Rules(default=Rule(turn_grace=DAY, tags=Tags.ALLOW))
    async with nudging(cluster, tmp_path, rules=rules) as home:
        image = str(home.registry.put(IMAGE, "team/app:1"))
        assert (await home.settled(image)).allowed
        assert cluster.asked == 0
        home.anchore.store.decide(IMAGE.digest, "stop")
        await judge_anew(home, image)

        async def is_told() -> bool:
            assert (await tried(home, image)).allowed
            return len(cluster.told("ImageTurned")) == 1

        await eventually(is_told)
        (event,) = cluster.told("ImageTurned")
        assert (event["type"], event["regarding"]["kind"]) == ("Warning", "Deployment")
        assert "allowed until" in event["note"]


async def test_a_strangers_review_of_a_made_up_owner_touches_nothing(
    cluster: FakeOwners, tmp_path: Path
) -> None:
    forged = msgspec.structs.replace(RS, uid="00000000-0000-0000-0000-000000000000")
    nowhere = msgspec.structs.replace(RS, name="nowhere")
    async with nudging(cluster, tmp_path, analysis_seconds=None) as home:
        image = str(home.registry.put(IMAGE, "team/app:1"))
        for owner in (forged, nowhere):
            assert (await tried(home, image, owner=owner)).code == 429
        home.anchore.store.finish(IMAGE.digest)
        await eventually(lambda: cluster.asked >= 2)
        assert (await home.settled(image)).allowed
        text = await home.metrics()
        assert '\nimagegate_nudges_total{outcome="gone"} 2.0\n' in text
        assert "\nimagegate_blocked_owners 0.0\n" in text
        assert (cluster.nudges, cluster.events) == ([], {})


async def test_reviews_are_answered_as_ever_while_the_kubernetes_api_refuses_everything(
    cluster: FakeOwners, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.fault = answers(403, "no")
    async with nudging(cluster, tmp_path, analysis_seconds=None) as home:
        image = str(home.registry.put(IMAGE, "team/app:1"))
        assert (await tried(home, image)).code == 429
        home.anchore.store.finish(IMAGE.digest)
        await eventually(lambda: cluster.asked > 0)
        assert (await tried(home, image)).allowed
        assert await home.ready() == 200
        said = [line for line in caplog.records if "not nudged" in line.message]
        assert ["imagegate-nudge" in line.__dict__["why"] for line in said] == [True]


async def ports_of(**told: Any) -> OwnerPorts | None:
    """What a webhook with these settings has."""
    settings = WebhookSettings(**told)
    claims = MemoryNudgeClaims(clock=SystemClock())
    async with owner_ports_of(settings, claims=claims) as ports:
        return ports


async def test_outside_of_a_cluster_nobody_is_nudged_and_nothing_is_said_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await ports_of() is None
    assert caplog.records == []


async def test_a_pod_without_a_token_says_once_that_it_nudges_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await ports_of(kubernetes_service_host="127.0.0.1") is None
    (said,) = caplog.records
    assert said.levelno == logging.WARNING
    assert "IMAGEGATE_NUDGE=false" in said.message
    assert "token" in said.__dict__["why"]


async def test_who_wants_no_nudges_or_no_events_has_none(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN)
    told = {
        "imagegate_kubernetes_url": "https://127.0.0.1:1",
        "imagegate_kubernetes_token_file": token,
    }
    assert await ports_of(**told, imagegate_nudge=False) is None
    quiet = await ports_of(**told, imagegate_events=False)
    assert quiet is not None
    assert quiet.events is None
    whole = await ports_of(**told)
    assert whole is not None
    assert whole.events is not None
