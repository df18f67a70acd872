"""Workloads: early advice over the real wire, and never a way around the pods' own reviews."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.domain.rules import Mode
from shared.runtime.clock import SystemClock
from tests.fakes.images import tiny_image
from tests.fakes.workloads import DEPLOYMENT, KINDS, Kind, review_of_workload, workload
from tests.house import (
    LONG,
    PATIENT_SERVER,
    SHORT,
    Answer,
    House,
    house,
    memory_backends,
    pod,
    review_of,
)
from tests.servers.ports import free_ports

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


def push(home: House, name: str = "team/app:1", *, bad: bool = False) -> str:
    content = tiny_image(config={"Labels": {"name": name}})
    if bad:
        home.anchore.store.decide(content.digest, "stop")
    return str(home.registry.put(content, name))


def of(image: str, kind: Kind = DEPLOYMENT, **changes: Any) -> dict[str, Any]:
    return review_of_workload(kind, workload(kind, pod(image)["spec"]), **changes)


async def lanes(home: House) -> dict[str, int]:
    depths = await home.backends.queue.depths()
    return {lane.lane.value: lane.ready for lane in depths.lanes if lane.ready}


def warnings(answer: Answer) -> list[str]:
    return list(answer.response.get("warnings", []))


@kinds
async def test_a_failed_image_denies_the_workload_before_its_pods(home: House, kind: Kind) -> None:
    bad = push(home, bad=True)
    assert (await home.settled(bad)).code == 403
    answer = await home.ask(of(bad, kind))
    assert answer.code == 403
    assert answer.message.startswith(f"image {bad}: refused by policy ")


@kinds
async def test_a_good_image_passes_without_a_word(home: House, kind: Kind) -> None:
    good = push(home)
    assert (await home.settled(good)).allowed
    answer = await home.ask(of(good, kind))
    assert (answer.allowed, warnings(answer)) == (True, [])
    assert "patch" not in answer.response


async def test_what_is_kept_of_a_pods_answer_is_no_answer_about_a_workload_nor_the_reverse(
    home: House,
) -> None:
    good = push(home)
    assert (await home.settled(good)).allowed
    await asyncio.sleep(1.1)  # what is kept of an answer is kept for a second
    for _ in range(3):
        assert warnings(await home.ask(of(good))) == []
        (warning,) = warnings(await home.review(good))
        assert warning.startswith("not pinned to a digest")


async def test_an_unknown_image_passes_at_once_with_a_warning_and_is_scanned_behind(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, worker=False, wait=LONG) as home:
        image = push(home)
        async with asyncio.timeout(SHORT):
            answer = await home.ask(of(image), timeout=PATIENT_SERVER)
        assert answer.allowed
        assert warnings(answer) == [
            f"image {image}: not judged yet: pods with it are denied, and made again by "
            "themselves, until its scan has passed"
        ]
        assert await lanes(home) == {"prewarm": 1}


async def test_advice_warms_the_pods_that_come(home: House) -> None:
    image = push(home)
    assert (await home.ask(of(image))).allowed
    await home.asked_until(of(image), lambda answer: not warnings(answer))
    calls = home.asked_of_anchore
    assert (await home.review(image)).allowed
    assert home.asked_of_anchore == calls


async def test_an_image_that_nobody_pushed_is_a_warning_on_a_workload_and_a_denial_of_its_pods(
    home: House,
) -> None:
    nobody = f"{home.registry.host}/team/nobody:1"
    assert (await home.settled(nobody)).code == 403
    answer = await home.ask(of(nobody))
    assert answer.allowed
    (warning,) = warnings(answer)
    assert "could not be judged, pods with it are denied: " in warning
    assert "404: it has no such image" in warning


async def test_what_is_no_reference_is_denied_early(home: House) -> None:
    assert (await home.ask(of("NOT/A:reference"))).code == 403


async def test_a_dry_run_of_a_workload_leaves_no_trace(home: House) -> None:
    image = push(home)
    answer = await home.ask(of(image, dryRun=True))
    assert answer.allowed
    assert len(warnings(answer)) == 1
    await asyncio.sleep(0.2)
    assert not home.registry.requests
    assert not home.asked_of_anchore
    assert await home.backends.claims.oldest() == {}


async def test_an_update_is_advised_on_where_it_changes_an_image(home: House) -> None:
    bad, good = push(home, bad=True), push(home, "team/good:1")
    assert (await home.settled(bad)).code == 403
    assert (await home.settled(good)).allowed

    def update(new: str, old: str) -> dict[str, Any]:
        before = workload(DEPLOYMENT, pod(old)["spec"])
        return of(new, operation="UPDATE", oldObject=before)

    assert (await home.ask(update(bad, bad))).allowed
    assert (await home.ask(update(good, bad))).allowed
    assert (await home.ask(update(bad, good))).code == 403


async def test_a_queue_that_takes_nothing_is_a_warning(tmp_path: Path) -> None:
    clock = SystemClock()
    backends = msgspec.structs.replace(
        memory_backends(), queue=MemoryQueue(clock=clock, max_ready=0)
    )
    async with house(tmp_path, backends=backends, worker=False) as home:
        image = push(home)
        answer = await home.ask(of(image))
        assert answer.allowed
        assert "queue (RabbitMQ) takes no request: pods with it are denied" in warnings(answer)[0]
        assert (await home.review(image)).code == 503


async def test_a_store_that_is_away_is_a_warning(tmp_path: Path) -> None:
    async with RedisLinks(url=f"redis://127.0.0.1:{free_ports('nobody')['nobody']}") as links:
        backends = msgspec.structs.replace(
            memory_backends(),
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
        )
        async with house(tmp_path, backends=backends, worker=False) as home:
            image = push(home)
            answer = await home.ask(of(image))
            assert answer.allowed
            assert "store (Redis) does not answer: pods with it are denied" in warnings(answer)[0]
            assert (await home.review(image)).code == 503


async def test_a_placeholder_is_not_advised_on_and_is_denied_in_a_pod(home: House) -> None:
    bad = push(home, bad=True)
    assert (await home.settled(bad)).code == 403
    both = workload(DEPLOYMENT, pod("auto", bad)["spec"])
    assert (await home.ask(of("auto"))).allowed
    assert warnings(await home.ask(of("auto"))) == []
    assert (await home.ask(review_of_workload(DEPLOYMENT, both))).code == 403
    denied = await home.review("auto")
    assert denied.code == 403
    assert denied.message.startswith("image auto: the placeholder 'auto' was not replaced")
    assert await lanes(home) == {}


@kinds
async def test_a_pod_is_never_taken_for_a_workload_by_whatever_its_request_says(
    home: House, kind: Kind
) -> None:
    unknown = push(home)
    pods_request = review_of(pod(unknown))
    lie = review_of_workload(kind, pod(unknown))["request"]
    for field in ("kind", "resource"):
        review = json.loads(json.dumps(pods_request))
        review["request"][field] = lie[field]
        answer = await home.ask(review)
        assert answer.code == 403, field
    for original in ("requestKind", "requestResource"):
        review = json.loads(json.dumps(pods_request))
        review["request"][original] = lie[original.removeprefix("request").lower()]
        review["request"]["dryRun"] = False
        assert (await home.ask(review)).code in (200, 429)


@pytest.mark.parametrize("sub_resource", ["scale", "status"])
async def test_a_subresource_of_a_workload_is_denied_with_what_to_do(
    home: House, sub_resource: str
) -> None:
    answer = await home.ask(of(push(home), subResource=sub_resource, operation="UPDATE"))
    assert answer.code == 403
    assert "take it out of the webhook's rules" in answer.message


@pytest.mark.parametrize(("mode", "said"), [(Mode.WARN, 1), (Mode.AUDIT, 0)])
async def test_modes_that_deny_nothing_deny_no_workload(
    tmp_path: Path, mode: Mode, said: int
) -> None:
    async with house(tmp_path, mode=mode) as home:
        bad = push(home, bad=True)
        await home.ask(of(bad))

        async def judged() -> Answer:
            return await home.asked_until(
                of(bad), lambda answer: answer.response["auditAnnotations"]["decision"] == "fail"
            )

        answer = await judged()
        assert answer.allowed
        assert len(warnings(answer)) == said


async def test_a_rule_that_denies_every_image_denies_it_in_workloads_too(tmp_path: Path) -> None:
    async with house(tmp_path, mode=Mode.DENY) as home:
        assert (await home.ask(of(push(home)))).code == 403
        assert (await home.ask(of("auto"))).allowed
