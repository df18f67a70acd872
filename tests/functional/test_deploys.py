"""Pods as an API server has them created: /mutate, its patch, /validate, over the real wire and
with the default of refusing tags that nobody pinned (docs/design/behaviour.md 1 to 3)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.worker.ledger import Ledger
from shared.domain.image_pattern import ImagePattern
from shared.domain.pointer import Pointer
from shared.domain.reference import ImageReference
from shared.domain.rules import Match, PinWhat, Rule, Rules, Tags
from shared.runtime.clock import SystemClock
from tests.fakes.images import Content, tiny_image
from tests.fakes.json_patch import apply_patch
from tests.fakes.registry import answer as registry_answers
from tests.fakes.sealing import PlainSealer
from tests.fakes.workloads import KINDS, Kind, review_of_workload, workload
from tests.functional.test_main_job import image, known_since
from tests.house import CONTROLLER, Deployed, House, house, pod, review_of
from tests.unit.domain.test_workload import images_in
from tests.waiting import eventually

UNPINNED = "it is named by a tag alone"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, tags=Tags.PINNED) as running:
        yield running


async def known(home: House, name: str = "team/app:1", *, seconds: int = 0) -> ImageReference:
    """An image that was judged good, and whose registry was asked so long ago."""
    content = tiny_image(config={"Labels": {"name": name}})
    reference = home.registry.put(content, name)
    await known_since(home, reference, content.digest, seconds=seconds)
    return reference


def ledger(home: House) -> Ledger:
    sealer = PlainSealer()
    store = home.backends.store
    return Ledger(store=store, sealer=sealer, unsealer=sealer, clock=SystemClock())


# What is pinned passes.


@pytest.mark.parametrize("policy", ["Always", "IfNotPresent", "Never"])
async def test_a_new_image_is_resolved_judged_and_runs_as_the_digest_that_was_judged(
    home: House, policy: str
) -> None:
    content = tiny_image()
    tag = str(home.registry.put(content, "team/app:1"))
    made = await home.deployed(pod(tag, policy=policy))
    assert made.answer.allowed
    assert made.images == [f"{tag}@{content.digest}"]
    assert made.warnings == []
    again = await home.deploy(pod(tag, policy=policy), user=CONTROLLER)
    assert (again.answer.allowed, again.images) == (True, made.images)


async def test_every_place_of_an_image_is_pinned_before_it_is_judged(home: House) -> None:
    tags = [image(home, f"team/app:{number}") for number in range(3)]
    content = pod(
        tags[0],
        more={
            "initContainers": [{"name": "i", "image": tags[1], "restartPolicy": "Always"}],
            "volumes": [{"name": "v", "image": {"reference": tags[2]}}],
        },
    )
    made = await home.deployed(content)
    assert made.answer.allowed
    assert all("@sha256:" in each for each in images_in(made.content["spec"]))


async def test_a_debug_container_is_pinned_and_what_ran_before_imagegate_is_left_alone(
    home: House,
) -> None:
    old = pod("docker.io/library/from-before-imagegate:1")
    debug = {"name": "debug", "image": image(home)}
    new = pod(old["spec"]["containers"][0]["image"], more={"ephemeralContainers": [debug]})
    made = await home.deployed(new, operation="UPDATE", old=old, sub_resource="ephemeralcontainers")
    assert made.answer.allowed
    assert made.images == images_in(old["spec"])
    assert "@sha256:" in made.content["spec"]["ephemeralContainers"][0]["image"]


async def test_a_tag_beside_a_digest_that_it_does_not_name_is_neither_replaced_nor_believed(
    home: House,
) -> None:
    good, other = tiny_image(), tiny_image(config={"Labels": {"other": "1"}})
    home.registry.put(good, "trusted/app:1")
    home.registry.put(other, "trusted/app:2")
    lying = f"{home.registry.host}/trusted/app:1@{other.digest}"
    made = await home.deployed(pod(lying))
    assert (made.answer.allowed, made.images) == (True, [lying])
    (record,) = home.anchore.store.images.values()
    assert "imagegate-sha256-" in record.tags[0]


# What is not pinned does not pass.


@pytest.mark.parametrize("policy", ["Always", "IfNotPresent"])
@pytest.mark.parametrize("seconds", [1, 120])
async def test_where_mutate_is_not_called_a_tag_that_is_known_is_refused_at_once_and_always(
    home: House, policy: str, seconds: int
) -> None:
    reference = await known(home, seconds=seconds)
    for _ in range(12):
        answer = await home.ask(review_of(pod(str(reference), policy=policy)))
        assert answer.code == 403
        assert UNPINNED in answer.message
        assert "details" not in answer.response["status"]


async def test_where_mutate_is_not_called_a_new_tag_is_pending_and_never_allowed(
    home: House,
) -> None:
    review = review_of(pod(image(home)))
    answer = await home.asked_until(review, lambda answer: "not pinned" in answer.message)
    assert answer.code == 429
    assert answer.response["status"]["details"]["retryAfterSeconds"] > 0
    assert "its tag is not pinned to a digest yet: try again" in answer.message


async def test_a_registry_that_is_slower_than_mutate_waits_costs_a_second_try(home: House) -> None:
    content = tiny_image()
    tag = str(home.registry.put(content, "team/app:1"))

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.8)
        digest = {"Docker-Content-Digest": content.digest}
        return web.Response(
            body=content.manifest, headers={"Content-Type": content.media_type, **digest}
        )

    home.registry.fault("1", slow)
    first = await home.deploy(pod(tag))
    assert first.images == [tag]
    assert first.answer.code == 429
    made = await home.deployed(pod(tag))
    assert (made.answer.allowed, made.images) == (True, [f"{tag}@{content.digest}"])


async def test_a_registry_that_is_away_is_told_of_a_tag_that_nobody_ever_asked_about(
    home: House,
) -> None:
    content = pod(image(home))
    home.registry.fault("manifests", registry_answers(503))
    made = await home.deployed(content)
    assert made.answer.code == 403
    assert "its registry has not said for" in made.answer.message
    assert "503" in made.answer.message.split("\n")[0]
    home.registry.heal()

    async def heals() -> bool:
        return (await home.deploy(content)).answer.allowed

    await eventually(heals, within=40)


async def test_a_registry_that_is_away_keeps_no_pod_of_a_known_tag_away(home: House) -> None:
    reference = await known(home, seconds=120)
    home.registry.fault("manifests", registry_answers(503))
    made = await home.deploy(pod(str(reference), policy="Always"))
    assert made.answer.allowed
    (warning,) = made.warnings
    assert "the registry cannot be asked what the tag names now" in warning


async def test_a_tag_of_which_nothing_was_judged_is_pinned_while_its_registry_is_away(
    home: House,
) -> None:
    content = tiny_image()
    reference = home.registry.put(content, "team/app:1")
    asked_at = SystemClock().now() - 120_000
    await ledger(home).write_pointer(Pointer(reference.tagged, asked_at, content.digest))
    home.registry.fault("1", registry_answers(503))
    made = await home.deploy(pod(str(reference), policy="Always"))
    assert made.images == [f"{reference}@{content.digest}"]
    assert made.answer.code in (200, 429)


@pytest.mark.parametrize("seconds", [0, 120])
async def test_a_dry_run_pins_what_is_known_and_leaves_the_rest_with_a_warning(
    home: House, seconds: int
) -> None:
    reference, unknown = await known(home, seconds=seconds), image(home, "team/unknown:1")
    made = await home.deploy(pod(str(reference), unknown), dry_run=True)
    assert made.answer.allowed
    assert [("@" in each) for each in made.images] == [True, False]
    (warning,) = [text for text in made.warnings if "not judged yet" in text]
    assert unknown in warning
    alone = await home.review(str(reference), dry_run=True)
    assert alone.allowed
    assert UNPINNED in alone.response["warnings"][0]


# Other webhooks.


async def with_another(
    home: House, content: dict[str, Any], written: str, *, reinvoked: bool
) -> Deployed:
    """Another webhook writes an image after ours, which is perhaps called again for it."""
    mutated = await home.mutate(review_of(content))
    changed = apply_patch(mutated.response, content)
    changed["spec"]["containers"][0]["image"] = written
    if reinvoked:
        return await home.deploy(changed)
    return Deployed(await home.ask(review_of(changed)), changed, mutated)


async def test_an_image_that_another_webhook_writes_after_ours_is_judged_as_it_stands(
    home: House,
) -> None:
    first, second = await known(home), await known(home, "mirror/app:1")
    content = pod(str(first))
    left = await with_another(home, content, str(second), reinvoked=False)
    assert left.answer.code == 403
    assert UNPINNED in left.answer.message
    assert str(second) in left.answer.message
    again = await with_another(home, content, str(second), reinvoked=True)
    assert again.answer.allowed
    assert again.images[0].startswith(f"{second}@sha256:")


async def test_being_called_again_for_a_pod_that_another_webhook_changed_elsewhere_is_free(
    home: House,
) -> None:
    made = await home.deploy(pod(str(await known(home))))
    sidecar = {"name": "proxy", "image": str(await known(home, "mesh/proxy:1"))}
    made.content["spec"]["containers"].append(sidecar)
    again = await home.deploy(made.content)
    assert again.answer.allowed
    assert again.images[0] == made.images[0]
    assert again.images[1].startswith(f"{sidecar['image']}@sha256:")


# A tag that moves.


async def test_a_tag_that_moves_between_the_calls_runs_as_it_was_pinned(home: House) -> None:
    reference = await known(home)
    content = pod(str(reference))
    pinned = apply_patch((await home.mutate(review_of(content))).response, content)
    moved = tiny_image(config={"Labels": {"moved": "1"}})
    home.anchore.store.decide(moved.digest, "stop")
    home.registry.put(moved, "team/app:1")
    assert (await home.ask(review_of(pinned))).allowed


async def move(home: House, reference: ImageReference) -> Content:
    """The tag names something else now, as far as its registry knows."""
    moved = tiny_image(config={"Labels": {"moved": "1"}})
    home.registry.put(moved, reference.tagged.partition("/")[2])
    return moved


async def pods_until(home: House, content: dict[str, Any], digest: str) -> list[Deployed]:
    """Pods made one after the other, as nodes are drained, until one runs `digest`."""
    made: list[Deployed] = []

    async def runs() -> bool:
        made.append(await home.deploy(content, user=CONTROLLER))
        return made[-1].images[0].endswith(digest)

    await eventually(runs, within=30)
    return made


@pytest.mark.parametrize("outcome", ["go", "stop"])
async def test_pods_that_need_not_have_the_newest_run_the_digest_before_until_the_new_one_is_judged(
    tmp_path: Path, outcome: str
) -> None:
    async with house(tmp_path, tags=Tags.PINNED, analysis_seconds=None) as home:
        reference = await known(home, seconds=120)
        before = (await home.deploy(pod(str(reference)), dry_run=True)).images
        moved = await move(home, reference)
        home.anchore.store.decide(moved.digest, outcome)
        submits = home.anchore.store.submits

        async def asked_for() -> bool:
            made = await home.deploy(pod(str(reference)), user=CONTROLLER)
            assert (made.answer.allowed, made.images) == (True, before)
            return moved.digest in submits

        await eventually(asked_for, within=30)
        made = await home.deploy(pod(str(reference)))
        (warning,) = made.warnings
        assert warning == (
            f"image {reference}: what the tag names now is not judged yet: pinned to the digest "
            "before, which it named when it was judged good"
        )
        assert "\nimagegate_earlier_pins_total " in await home.metrics()
        home.anchore.store.finish(moved.digest)
        *old, new = await pods_until(home, pod(str(reference)), moved.digest)
        assert all(each.answer.allowed and each.images == before for each in old)
        assert new.answer.code == (200 if outcome == "go" else 403)
        assert submits[moved.digest] == 1


async def test_a_digest_before_that_the_registry_dropped_is_never_pinned(tmp_path: Path) -> None:
    async with house(tmp_path, tags=Tags.PINNED, analysis_seconds=None) as home:
        content = tiny_image()
        reference = home.registry.put(content, "team/app:1")
        await known_since(home, reference, content.digest, seconds=120)
        moved = await move(home, reference)
        home.registry.drop(content)
        made = await pods_until(home, pod(str(reference)), moved.digest)
        assert made[-1].answer.code == 429
        assert not made[-1].warnings


async def test_pods_that_always_ask_the_registry_wait_for_the_new_digest(tmp_path: Path) -> None:
    async with house(tmp_path, tags=Tags.PINNED, analysis_seconds=None) as home:
        reference = await known(home, seconds=120)
        moved = await move(home, reference)
        made = await home.deploy(pod(str(reference), policy="Always"))
        assert made.images == [f"{reference}@{moved.digest}"]
        assert made.answer.code == 429


# What rules say of it.


def operator(home_host: str) -> Rules:
    """An operator that compares its pods' images with what it wrote (docs/rules.md)."""
    about = Match(images=(ImagePattern(f"{home_host}/operator/**"),))
    rule = Rule(name="operator", match=about, pin=PinWhat.NONE, tags=Tags.ALLOW)
    return Rules(default=Rule(), rules=(rule,))


async def test_a_rule_that_leaves_its_images_alone_lets_their_tags_pass_with_a_warning(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, rules=operator("127.0.0.1:*")) as home:
        database, app = image(home, "operator/db:1"), image(home)
        made = await home.deployed(pod(database, app))
        assert made.answer.allowed
        assert made.images[0] == database
        assert made.images[1].startswith(f"{app}@sha256:")
        assert made.warnings == [
            f"not pinned to a digest, the tag can move before it is pulled: {database}"
        ]
        assert "\nimagegate_unpinned_pods_total 1.0\n" in await home.metrics()


async def test_an_installation_that_only_validates_warns_and_counts(tmp_path: Path) -> None:
    async with house(tmp_path, rules=Rules(), pin="none") as home:
        tag = image(home)
        made = await home.deployed(pod(tag))
        assert (made.answer.allowed, made.images) == (True, [tag])
        assert "not pinned to a digest" in made.warnings[0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
async def test_where_workloads_are_pinned_too_their_pods_come_pinned(
    tmp_path: Path, kind: Kind
) -> None:
    async with house(tmp_path, rules=Rules(), pin="all") as home:
        tag = image(home)
        made = await home.deployed(pod(tag))
        content = workload(kind, pod(tag)["spec"])
        mutated = await home.mutate(review_of_workload(kind, content))
        patched = apply_patch(mutated.response, content)
        assert patched == workload(kind, made.content["spec"])
        assert (await home.ask(review_of_workload(kind, patched))).allowed
        assert "patch" not in (await home.mutate(review_of_workload(kind, patched))).response
