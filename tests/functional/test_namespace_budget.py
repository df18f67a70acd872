"""A namespace with many new images at once: one cannot own what all of them share."""

import re
from pathlib import Path
from typing import Any

from shared.domain.rules import Mode
from shared.ports.claims import MAX_OF_A_TENANT
from tests.fakes.images import tiny_image
from tests.house import CONTROLLER, House, house, pod, review_of
from tests.waiting import eventually

OVER = re.compile(
    r"image \S+: not judged yet, and its scan not begun: 20 new images of namespace team are "
    r"being analysed, as many as one may have: try again"
)


def _new(home: House, name: str) -> str:
    return str(home.registry.put(tiny_image(config={"User": name}), f"team/{name}:1"))


def _of(namespace: str, image: str, *, user: str = CONTROLLER) -> dict[str, Any]:
    review = review_of(pod(image), user=user)
    review["request"]["namespace"] = namespace
    return review


async def _fill(home: House) -> list[str]:
    images = [_new(home, f"new{number}") for number in range(MAX_OF_A_TENANT)]
    for image in images:
        assert (await home.ask(_of("team", image))).code == 429
    await eventually(lambda: home.anchore.store.submits.total() == MAX_OF_A_TENANT)
    return images


async def test_one_image_too_many_is_pending_and_not_queued_until_there_is_room(
    tmp_path: Path,
) -> None:
    async with house(tmp_path, analysis_seconds=None) as home:
        images = await _fill(home)
        more = _new(home, "more")
        answer = await home.ask(_of("team", more, user="ada"))
        assert (answer.code, bool(OVER.fullmatch(answer.message))) == (429, True)
        assert 1 <= answer.response["status"]["details"]["retryAfterSeconds"] <= 10
        assert (await home.ask(_of("team", images[0]))).message.count("under way since") == 1
        home.anchore.store.finish(tiny_image(config={"User": "new0"}).digest)
        await home.asked_until(_of("team", images[0]), lambda answer: answer.allowed)
        home.anchore.store.settle_after(0.0)
        await home.asked_until(_of("team", more), lambda answer: answer.allowed)


async def test_another_namespace_asks_for_the_same_image(tmp_path: Path) -> None:
    async with house(tmp_path, analysis_seconds=None) as home:
        await _fill(home)
        home.anchore.store.settle_after(0.0)
        more = _new(home, "more")
        assert OVER.fullmatch((await home.ask(_of("team", more))).message)
        await home.asked_until(_of("other", more), lambda answer: answer.allowed)
        assert (await home.ask(_of("team", more))).allowed


async def test_what_a_rule_only_warns_of_counts_for_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, analysis_seconds=None, mode=Mode.WARN) as home:
        for number in range(MAX_OF_A_TENANT + 5):
            answer = await home.ask(_of("team", _new(home, f"new{number}")))
            assert answer.allowed
            assert "as many as one may have" not in str(answer.response["warnings"])
