"""/mutate over the real wire: what it pins is what /validate judges, and what it cannot stays."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.memory.queue import MemoryQueue
from shared.domain.step import StepKind
from tests.fakes.images import index_of, tiny_image
from tests.fakes.json_patch import apply_patch
from tests.fakes.registry import answer as registry_answers
from tests.fakes.registry import hang
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.functional.test_main_job import image, known_since
from tests.house import Answer, House, house, in_time, pod, review_of
from tests.unit.domain.test_workload import images_in
from tests.waiting import eventually


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


async def pinned(home: House, content: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The pod as the API server would pass it on."""
    answer = await home.mutate(review_of(content, **more))
    assert answer.http == 200
    assert answer.allowed
    return apply_patch(answer.response, content)


def first_image(content: dict[str, Any]) -> str:
    return str(images_in(content["spec"])[0])


async def test_an_unknown_tag_is_resolved_pinned_and_then_judged_by_its_digest(
    home: House,
) -> None:
    content = tiny_image()
    tag = str(home.registry.put(content, "team/app:1"))
    after = await pinned(home, pod(tag))
    assert first_image(after) == f"{tag}@{content.digest}"
    assert not home.asked_of_anchore
    answer = await home.asked_until(review_of(after), lambda answer: answer.code != 429)
    assert answer.allowed
    assert "warnings" not in answer.response
    assert set(home.anchore.store.submits) == {content.digest}


async def test_a_tag_that_moves_between_mutate_and_validate_is_judged_as_it_was_pinned(
    home: House,
) -> None:
    good = image(home)
    after = await pinned(home, pod(good))
    moved = tiny_image(config={"Labels": {"moved": "1"}})
    home.anchore.store.decide(moved.digest, "stop")
    home.registry.put(moved, "team/app:1")
    answer = await home.asked_until(review_of(after), lambda answer: answer.code != 429)
    assert answer.allowed
    assert moved.digest not in home.anchore.store.submits


async def test_validate_patches_nothing_that_it_allows(home: House) -> None:
    good = image(home)
    content = pod(good)
    assert (await home.settled(good)).allowed
    assert first_image(await pinned(home, content)) != good
    spoken = (review_of(content), review_of(content, dry_run=True))
    for review in (*spoken, review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, content["spec"]))):
        answer = await home.ask(review)
        assert answer.allowed
        assert not {"patch", "patchType"} & set(answer.response)


async def test_a_bad_image_is_pinned_and_denied(home: House) -> None:
    content = tiny_image()
    home.anchore.store.decide(content.digest, "stop")
    tag = str(home.registry.put(content, "team/bad:1"))
    after = await pinned(home, pod(tag))
    answer = await home.asked_until(review_of(after), lambda answer: answer.code != 429)
    assert (answer.code, f"{tag}@{content.digest}" in answer.message) == (403, True)


async def test_a_multi_arch_tag_is_pinned_to_its_index_and_judged_by_its_manifests(
    home: House,
) -> None:
    amd64, arm64 = (
        tiny_image(config={"Labels": {"n": n}}, platform=p)
        for n, p in (("a", "linux/amd64"), ("b", "linux/arm64"))
    )
    index = index_of((amd64, "linux/amd64"), (arm64, "linux/arm64"))
    tag = str(home.registry.put(index, "team/multi:1"))
    after = await pinned(home, pod(tag))
    assert first_image(after) == f"{tag}@{index.digest}"
    answer = await home.asked_until(review_of(after), lambda answer: answer.code != 429)
    assert answer.allowed
    assert set(home.anchore.store.submits) == {amd64.digest}


async def test_every_place_is_pinned_and_nothing_else_changes(home: House) -> None:
    tags = [image(home, f"team/app:{number}") for number in range(4)]
    content = pod(
        tags[0],
        more={
            "initContainers": [{"name": "i", "image": tags[1], "args": ["--image", tags[1]]}],
            "ephemeralContainers": [{"name": "e", "image": tags[2]}],
            "volumes": [
                {"name": "none", "emptyDir": {}},
                {"name": "v", "image": {"reference": tags[3], "pullPolicy": "Always"}},
            ],
        },
    )
    after = await pinned(home, content)
    text = json.dumps(after)
    for tag, written in zip(images_in(content["spec"]), images_in(after["spec"]), strict=True):
        assert written.startswith(f"{tag}@sha256:")
        text = text.replace(f'"{written}"', f'"{tag}"')
    assert json.loads(text) == content
    again = await home.mutate(review_of(after))
    assert "patch" not in again.response


async def test_a_tag_of_which_nobody_knows_is_left_within_half_a_second(tmp_path: Path) -> None:
    async with house(tmp_path, worker=False) as home:
        asked = 0

        async def mutated(*tags: str, timeout: str) -> Answer:
            nonlocal asked
            asked += 1
            body = json.dumps(review_of(pod(*tags))).encode()
            answer = await home.post(body, path="/mutate", query=f"timeout={timeout}")
            assert answer.allowed
            assert "patch" not in answer.response
            return answer

        async def of_several(number: int) -> Answer:
            tags = [image(home, f"team/app-{number}:{place}") for place in range(5)]
            return await mutated(*tags, timeout="5s")

        async def in_a_hurry(number: int) -> Answer:
            return await mutated(image(home, f"team/other:{number}"), timeout="350ms")

        began = asyncio.get_running_loop().time()
        await in_time(of_several, within=2.0)
        assert asyncio.get_running_loop().time() - began > 0.4
        await in_time(in_a_hurry, within=0.45)
        text = await home.metrics()
        assert f'\nimagegate_mutations_total{{result="left"}} {asked}.0\n' in text
        queue = home.backends.queue
        assert isinstance(queue, MemoryQueue)
        assert {each.kind for each in queue.carried.steps()} == {StepKind.RESOLVE}


async def test_a_tag_that_nobody_pushed_is_left_to_validate(home: House) -> None:
    nobody = f"{home.registry.host}/team/nobody:1"
    answer = await home.mutate(review_of(pod(nobody)))
    assert answer.allowed
    assert "patch" not in answer.response
    assert (await home.settled(nobody)).code == 403


@pytest.mark.parametrize("fault", [hang, registry_answers(503)])
async def test_while_a_registry_is_away_a_pod_is_pinned_to_what_the_tag_named_last(
    home: House, fault: Any
) -> None:
    content = tiny_image()
    reference = home.registry.put(content, "team/app:1")
    await known_since(home, reference, content.digest, seconds=120)
    home.registry.fault("manifests", fault)
    before = pod(str(reference), policy="Always")
    answer = await home.mutate(review_of(before))
    after = apply_patch(answer.response, before)
    assert first_image(after) == f"{reference}@{content.digest}"
    (warning,) = answer.response["warnings"]
    assert "pinned to what it named 12" in warning
    assert (await home.ask(review_of(after))).allowed


async def test_a_pull_policy_that_asks_nobody_pins_at_once_and_has_the_tag_asked_behind(
    home: House,
) -> None:
    old, new = tiny_image(), tiny_image(config={"Labels": {"moved": "1"}})
    reference = home.registry.put(new, "team/app:1")
    await known_since(home, reference, old.digest, seconds=120)
    assert first_image(await pinned(home, pod(str(reference)))) == f"{reference}@{old.digest}"

    async def renewed() -> bool:
        return first_image(await pinned(home, pod(str(reference)))) == f"{reference}@{new.digest}"

    await eventually(renewed)


async def test_a_dry_run_gets_the_same_patch_and_leaves_no_trace(home: House) -> None:
    content = tiny_image()
    reference = home.registry.put(content, "team/app:1")
    await known_since(home, reference, content.digest, seconds=120)
    before = pod(str(reference), image(home, "team/unknown:1"), policy="Always")
    after = await pinned(home, before, dry_run=True)
    assert images_in(after["spec"]) == [
        f"{reference}@{content.digest}",
        before["spec"]["containers"][1]["image"],
    ]
    await asyncio.sleep(0.2)
    assert not home.registry.requests
    assert await home.backends.claims.oldest() == {}


async def test_a_workload_is_not_pinned(home: House) -> None:
    tag = image(home)
    await pinned(home, pod(tag))
    review = review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, pod(tag)["spec"]))
    answer = await home.mutate(review)
    assert answer.allowed
    assert "patch" not in answer.response


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"hello", None, 400),
        (b"", None, 400),
        (json.dumps(review_of(pod("a:1"))).encode(), {"Content-Type": "text/plain"}, 415),
        (b" " * (8 * 2**20), None, 413),
    ],
)
async def test_a_body_that_is_no_review_gets_the_error_that_validate_gives(
    home: House, body: bytes, headers: dict[str, str] | None, status: int
) -> None:
    answer = await home.post(body, headers=headers, path="/mutate")
    assert answer.http == status
    assert answer.body["error"]


async def test_whatever_a_review_holds_mutate_allows_it(home: House) -> None:
    odd: list[dict[str, Any]] = [
        {"kind": {"group": "", "version": "v1", "kind": "Dragon"}},
        {"operation": "CONNECT"},
        {"object": None},
        {"object": {"spec": {"containers": [{"name": 1}]}}},
    ]
    for change in odd:
        review = review_of(pod("app:1"))
        review["request"] |= change
        answer = await home.mutate(review)
        assert answer.allowed
        assert "patch" not in answer.response
    many = await home.mutate(review_of(pod(*(f"app:{number}" for number in range(513)))))
    assert many.allowed


async def test_calls_are_counted(home: House) -> None:
    await pinned(home, pod(image(home)))
    await home.mutate(review_of(pod("NOT/A:reference")))
    text = await home.metrics()
    assert '\nimagegate_mutations_total{result="pinned"} 1.0\n' in text
    assert '\nimagegate_mutations_total{result="nothing"} 1.0\n' in text
    assert "\nimagegate_mutation_seconds_count 2.0\n" in text
    assert '\nimagegate_asks_total{need="resolve",outcome="first"} 1.0\n' in text
    assert '\nimagegate_reviews_total{allowed="true",state="pass"} 0.0\n' in text
