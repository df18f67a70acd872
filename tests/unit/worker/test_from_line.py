"""FROM is judged only where Anchore has the image's own Dockerfile: else a finding says so."""

import base64
import json
from collections.abc import Mapping

import pytest

from shared.domain.from_line import TRIGGER
from shared.domain.verdict import Action, Outcome
from tests.fakes.anchore_wire import row
from tests.unit.worker.rig import CONTENT, Rig, rigged

FROM_RULE = {
    "action": "STOP",
    "gate": "dockerfile",
    "id": "from-uses-tag",
    "params": [{"name": "instruction", "value": "FROM"}],
    "trigger": "instruction",
}
WANTS_ONE = {
    "action": "WARN",
    "gate": "dockerfile",
    "id": "wants-one",
    "params": [],
    "trigger": "no_dockerfile_provided",
}


def _asks_from(rig: Rig, *more: Mapping[str, object]) -> None:
    store = rig.anchore.store
    bundle = store.policies["admin"]["fake-baseline"]["policybundle"]
    bundle["policies"][0]["rules"].extend([FROM_RULE, *more])


async def _judged(rig: Rig, *, dockerfile: bytes | None = None) -> tuple[Outcome, list[str]]:
    rig.anchore.store.know(CONTENT.digest, rig.reference.tagged)
    if dockerfile is not None:
        image = rig.anchore.store.find(CONTENT.digest, "admin")
        assert image is not None
        image.dockerfile = base64.b64encode(dockerfile).decode()
    await rig.scan.request(rig.step())
    verdict = await rig.verdict()
    assert verdict is not None
    ours = [finding for finding in verdict.findings if finding.trigger_id == TRIGGER]
    return verdict.outcome, [str(finding.action) for finding in ours]


async def test_a_guessed_dockerfile_proves_nothing_about_from_and_that_is_said(rig: Rig) -> None:
    _asks_from(rig)
    assert await _judged(rig) == (Outcome.PASS, ["warn"])


@pytest.mark.parametrize(
    ("action", "outcome"), [(Action.STOP, Outcome.FAIL), (Action.GO, Outcome.PASS)]
)
async def test_what_it_means_is_a_setting(action: Action, outcome: Outcome) -> None:
    async with rigged(from_unchecked=action) as rig:
        _asks_from(rig)
        assert await _judged(rig) == (outcome, [str(action)])


async def test_with_its_own_dockerfile_from_is_judged(rig: Rig) -> None:
    _asks_from(rig)
    assert await _judged(rig, dockerfile=b"FROM debian:12\n") == (Outcome.PASS, [])


async def test_a_policy_that_asks_nothing_about_from_has_no_such_finding(rig: Rig) -> None:
    assert await _judged(rig) == (Outcome.PASS, [])


@pytest.mark.parametrize(("allowed", "ours"), [(False, []), (True, ["warn"])])
async def test_a_policy_that_says_itself_that_the_dockerfile_is_missing_has_none(
    rig: Rig, allowed: bool, ours: list[str]
) -> None:
    _asks_from(rig, WANTS_ONE)
    missing = row(
        "dockerfile", "no_dockerfile_provided", "x", "warn", "not provided", allowed=allowed
    )
    rig.anchore.store.decide(CONTENT.digest, "go" if allowed else "warn", [missing])
    assert await _judged(rig) == (Outcome.PASS, ours)


async def test_a_scanner_that_does_not_say_whose_dockerfile_it_has_proves_nothing_either(
    rig: Rig,
) -> None:
    _asks_from(rig)
    tag = {"fulltag": rig.reference.tagged}
    record = {"imageDigest": CONTENT.digest, "analysis_status": "analyzed", "image_detail": [tag]}
    rig.anchore.store.fault("image_get", "json", value=json.dumps([record]))
    assert await _judged(rig) == (Outcome.PASS, ["warn"])


async def test_it_is_known_of_an_image_that_was_submitted_just_now_too(rig: Rig) -> None:
    _asks_from(rig)
    rig.anchore.store.settle_after(0.0)
    await rig.scan.request(rig.step())
    verdict = await rig.verdict()
    assert verdict is not None
    assert [finding.trigger_id for finding in verdict.warns] == [TRIGGER]
