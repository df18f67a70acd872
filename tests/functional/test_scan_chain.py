"""What befalls an analysis while somebody waits for it, told by what they read."""

from pathlib import Path
from typing import Any, Literal

import pytest

from shared.domain.step import Lane
from tests.fakes.images import tiny_image
from tests.house import House, house, pod, review_of
from tests.waiting import eventually


async def test_a_tag_that_moves_while_its_image_is_analysed_lets_run_what_was_analysed_alone(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, analysis_seconds=None) as home:
        first = tiny_image()
        tag = home.registry.put(first, "team/app:1")
        assert (await home.review(str(tag))).code == 429
        await eventually(lambda: home.anchore.store.submits.total() == 1)
        second = tiny_image(config={"User": "another"})
        home.registry.put(second, "team/app:1")
        home.anchore.store.finish(first.digest)
        assert (await home.settled(f"{tag}@{first.digest}")).allowed
        assert (await home.review(f"{tag}@{second.digest}")).code == 429


@pytest.mark.parametrize("api", ["v1", "v2"])
async def test_anchore_is_asked_about_digests_and_never_what_a_tag_names(
    tmp_path: Path, api: Literal["v1", "v2"]
) -> None:
    async with house(tmp_path, anchore_api=api) as home:
        assert (await home.settled(str(home.registry.put(tiny_image(), "team/app:1")))).allowed
        assert set(home.asked_of_anchore) == {"image_get", "image_add", "image_check"}
        assert "unknown" not in home.anchore.store.calls


async def test_why_an_analysis_failed_is_read_from_anchore_s_events(tmp_path: Path) -> None:
    async with house(tmp_path, analysis_seconds=None) as home:
        content = tiny_image()
        tag = str(home.registry.put(content, "team/app:1"))
        assert (await home.review(tag)).code == 429
        await eventually(lambda: home.anchore.store.submits.total() == 1)
        home.anchore.store.fail(content.digest, "no space left on device")
        answer = await home.settled(tag)
        assert answer.code == 403
        assert "the analysis failed: " in answer.message
        assert "no space left on device" in answer.message


async def test_a_pod_takes_over_what_a_workload_had_scanned_in_prewarm_s_lane(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, analysis_seconds=None) as home:
        content = tiny_image()
        tag = home.registry.put(content, "team/app:1")
        pinned = f"{tag}@{content.digest}"
        deployment = _deployment(pinned)
        assert (await home.ask(deployment)).allowed
        await eventually(lambda: home.anchore.store.submits.total() == 1)
        await eventually(lambda: _scans_in(home, Lane.CHECK_PREWARM))
        assert (await home.review(pinned)).code == 429
        await eventually(lambda: _scans_in(home, Lane.CHECK))
        home.anchore.store.finish(content.digest)
        assert (await home.settled(pinned)).allowed
        assert home.anchore.store.submits.total() == 1


async def _scans_in(home: House, lane: Lane) -> bool:
    return set(await home.backends.leases.oldest()) == {lane}


def _deployment(image: str) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "a"}}, "spec": pod(image)["spec"]}
    review = review_of(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d", "namespace": "team"},
            "spec": {"selector": {"matchLabels": {"app": "a"}}, "template": template},
        },
        kind="Deployment",
    )
    kind = {"group": "apps", "version": "v1"}
    review["request"]["kind"] = {**kind, "kind": "Deployment"}
    review["request"]["resource"] = {**kind, "resource": "deployments"}
    return review
