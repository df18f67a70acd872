"""A fail that replaces a pass, through the whole of it: what it takes that the image runs on for a
time, and who is told (docs/design/behaviour.md 2)."""

import logging
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.domain.pointer import DAY
from shared.domain.rules import Rule, Rules, Tags
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.domain.why import Why
from tests.fakes.images import index_of, tiny_image
from tests.house import House, house
from tests.waiting import eventually

RULES = Rules(default=Rule(turn_grace=DAY, tags=Tags.ALLOW))
ONE, OTHER = (tiny_image(config={"Labels": {"which": which}}) for which in ("one", "other"))


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, rules=RULES) as running:
        yield running


async def judge_anew(home: House, image: str) -> None:
    """As a policy that changed, a feed or an operator has it done."""
    await home.backends.queue.publish(
        Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.ADMISSION,
            reference=image,
            question=Question(),
            first_seen=1,
            why=Why.OPERATOR,
        )
    )


async def turned(home: House, image: str) -> list[str]:
    """The warnings on the image, once it runs though it fails."""
    warnings: list[str] = []

    async def allowed_for_a_time() -> bool:
        nonlocal warnings
        answer = await home.review(image)
        assert answer.allowed
        warnings = answer.response.get("warnings", [])
        return any("allowed until" in warning for warning in warnings)

    await eventually(allowed_for_a_time)
    return warnings


async def test_an_image_that_turned_runs_with_a_warning_a_count_a_record_and_one_line_an_hour(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    image = str(home.registry.put(ONE, "team/app:1"))
    assert (await home.settled(image)).allowed
    home.anchore.store.decide(ONE.digest, "stop")
    await judge_anew(home, image)
    warnings = await turned(home, image)
    assert warnings[0].startswith(f"image {image}: allowed until ")
    assert "only, then refused by policy" in warnings[0]
    for _ in range(5):
        assert (await home.review(image)).allowed
    text = await home.metrics()
    assert '\nimagegate_reviews_total{allowed="true",state="turned"} 6.0\n' in text
    lines = [line for line in caplog.records if line.message == "allowed for a time"]
    assert [(line.levelno, line.__dict__["reason"]) for line in lines] == [
        (logging.WARNING, warnings[0])
    ]

    async def recorded() -> bool:
        decisions = await home.backends.decisions.recent(limit=100)
        records = [each.decision for each in decisions if each.decision.state == "turned"]
        assert {(each.allowed, each.reason) for each in records} <= {(True, warnings[0])}
        return sum(each.times for each in records) == 6

    await eventually(recorded)


async def test_an_image_that_failed_from_the_start_has_no_grace(home: House) -> None:
    home.anchore.store.decide(ONE.digest, "stop")
    image = str(home.registry.put(ONE, "team/app:1"))
    assert (await home.settled(image)).code == 403
    await judge_anew(home, image)
    assert (await home.settled(image)).code == 403


async def test_an_index_whose_manifest_turned_runs_and_one_with_another_that_failed_does_not(
    home: House,
) -> None:
    index = index_of((ONE, "linux/amd64"), (OTHER, "linux/amd64/v3"))
    image = str(home.registry.put(index, "team/many:1"))
    assert (await home.settled(image)).allowed
    home.anchore.store.decide(ONE.digest, "stop")
    await judge_anew(home, image)
    await turned(home, image)
    home.anchore.store.decide(OTHER.digest, "stop")
    second = str(home.registry.put(index, "team/second:1"))
    assert (await home.settled(second)).code == 403
