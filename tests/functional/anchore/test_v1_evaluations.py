"""The v1 client's reading of evaluations: what the policy says, and answers that are none."""

import json

import pytest

from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_rows import NAMES
from shared.domain.errors import ErrorKind, StepFailure
from shared.domain.verdict import Action, Outcome, Question, Subject, judge
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_wire import NO_HEALTHCHECK, OPENSSH, row
from tests.fakes.clock import FakeClock
from tests.functional.anchore.subjects import APP, DIGEST, MINE, OTHER

STOPPED = {"final_action": "stop", "header": list(NAMES), "rows": []}


@pytest.fixture
def known(anchore: FakeAnchore) -> FakeAnchore:
    """A FakeAnchore that has analysed the image."""
    anchore.store.know(DIGEST, APP.scan_tag)
    return anchore


@pytest.mark.parametrize(
    ("final_action", "rows", "outcome"),
    [
        ("go", [], Outcome.PASS),
        ("warn", [NO_HEALTHCHECK], Outcome.PASS),
        ("stop", [NO_HEALTHCHECK, OPENSSH], Outcome.FAIL),
        ("go", [row("packages", "blacklist", "x", "stop", "sshd", allowed=True)], Outcome.PASS),
    ],
)
async def test_what_the_policy_says_becomes_the_verdict(
    known: FakeAnchore,
    scanner: AnchoreV1,
    final_action: str,
    rows: list[list[object]],
    outcome: Outcome,
) -> None:
    known.store.decide(DIGEST, final_action, rows)
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert (verdict.outcome, verdict.message) == (outcome, "")
    assert len(verdict.findings) == len(rows)
    assert [finding.action is Action.STOP for finding in verdict.findings].count(True) == (
        outcome is Outcome.FAIL
    )


async def test_another_policy_can_be_asked_for(known: FakeAnchore, scanner: AnchoreV1) -> None:
    question = Question(policy="fake-baseline")
    verdict = judge(APP, question, await scanner.evaluate(APP, question))
    assert verdict.outcome is Outcome.PASS


async def test_what_engine_keeps_of_an_evaluation_does_not_make_the_next_one_old(
    known: FakeAnchore, scanner: AnchoreV1, clock: FakeClock
) -> None:
    first = await scanner.evaluate(APP, MINE)
    for key in known.store.computed:
        known.store.computed[key] -= 8 * 86_400
    second = await scanner.evaluate(APP, MINE)
    assert second.evaluated_at >= first.evaluated_at
    assert second.evaluated_at <= clock.now()


async def test_a_tag_that_is_not_the_digests_cannot_be_told_from_the_answer(
    known: FakeAnchore, scanner: AnchoreV1
) -> None:
    # Engine takes tag and digest on our word: that they belong together is the worker's proof.
    stranger = Subject(repository="docker.io/library/stranger", digest=DIGEST, tag="9")
    verdict = judge(stranger, MINE, await scanner.evaluate(stranger, MINE))
    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("wrong-digest", OTHER, f"about {OTHER}, {DIGEST} instead of {DIGEST}"),
        ("wrong-inner-digest", OTHER, f"about {DIGEST}, {OTHER} instead of {DIGEST}"),
        ("wrong-tag", "", "about the tag docker.io/library/other:1 instead of"),
        ("no-mapping", "", "no mapping of policy fake-baseline matches registry.corp:5000/team"),
        ("problems", "", "AttributeError: 'NoneType' object has no attribute 'digest'"),
        ("two-images", "", "holds 2 evaluations instead of one"),
        ("two-tags", "", "holds 2 evaluations instead of one"),
        ("two-evaluations", "", "holds 2 evaluations instead of one"),
        ("no-detail", "", "no detail.result"),
        ("without", "detail.result", "no detail.result"),
        ("without", "status", "names two for status"),
        ("without", "policyId", "names two for policy"),
        ("without", "last_evaluation", "does not say when"),
        ("without", "detail.result.final_action", "unknown final action"),
        ("without", "detail.result.evaluation_problems", "whether there were evaluation problems"),
        ("without", "detail.result.image_digest", "names no image_digest"),
        ("without", "detail.result.matched_mapping_rule", "no mapping of policy"),
        ("without", "detail.result.bundle", "names two for policy"),
        ("without", "detail.result.tag", "names two for tag"),
        ("without", "detail.result.result", "has no rows part"),
        ("with", 'status="fail"', "names two for status"),
        ("with", 'last_evaluation="2026-01-01T00:00:00"', "does not say when"),
        ("with", 'last_evaluation="soon"', "does not say when"),
        ("with", 'last_evaluation="1969-12-31T23:59:59Z"', "does not say when"),
        ("with", "last_evaluation=5", "does not say when"),
        ("with", 'detail.result.final_action="perhaps"', "unknown final action 'perhaps'"),
        ("with", 'detail.result.final_action="stop"', "stop and no row says so"),
        ("with", "detail.result.matched_mapping_rule=true", "no mapping of policy"),
        ("with", "detail.result.matched_mapping_rule={}", "no mapping of policy"),
        ("with", 'detail.result.evaluation_problems="none"', "whether there were evaluation"),
        ("with", 'detail.result.evaluation_problems=["odd"]', "problem: odd"),
        ("without", "detail.result.final_action_reason", "reason is None, and by the policy's"),
        ("without", "detail.result.matched_blacklisted_images_rule", "image is blacklisted"),
        ("without", "detail.result.matched_whitelisted_images_rule", "image is whitelisted"),
        ("with", "detail.result.matched_blacklisted_images_rule=true", "image is blacklisted"),
        ("with", 'detail.result.final_action_reason="blacklisted"', "reason is 'blacklisted'"),
        ("with", 'detail.result.final_action_reason="whitelisted"', "reason is 'whitelisted'"),
        (
            "with",
            f'detail.result.result={{"x": {{"result": {json.dumps(STOPPED)}}}}}',
            "that of the rows stop",
        ),
        ("with", 'detail.policy={"id": "fake-baseline"}', "was changed while Anchore evaluated"),
        ("with", 'detail.result.result={"x": {"result": {"rows": []}}}', "have no header"),
        (
            "with",
            'detail.result.result={"x": {"result": {"header": ["Gate"], "rows": []}}}',
            "do not name all of Gate, Trigger",
        ),
    ],
)
async def test_an_answer_that_is_not_what_was_asked_for_is_an_error(
    known: FakeAnchore, scanner: AnchoreV1, kind: str, value: str, words: str
) -> None:
    known.store.fault("image_check", kind, value=value)
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert verdict.outcome is Outcome.ERROR
    assert verdict.error is ErrorKind.UNTRUSTED
    assert words in verdict.message
    assert verdict.message.isprintable()


@pytest.mark.parametrize(
    "rows",
    [
        [OPENSSH[:-1]],
        [["id", "gate", "trigger", "text", "maybe", False, "policy"]],
    ],
)
async def test_a_row_that_cannot_be_read_makes_the_evaluation_an_error(
    known: FakeAnchore, scanner: AnchoreV1, rows: list[list[object]]
) -> None:
    known.store.decide(DIGEST, "go", rows)
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert verdict.outcome is Outcome.ERROR
    assert "cannot be read" in verdict.message


async def test_a_pass_with_a_row_that_stops_is_an_error(
    known: FakeAnchore, scanner: AnchoreV1
) -> None:
    known.store.decide(DIGEST, "go", [OPENSSH])
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert verdict.outcome is Outcome.ERROR
    assert "the final action is go although a row says stop" in verdict.message


async def test_rows_that_were_left_out_are_noticed(known: FakeAnchore, scanner: AnchoreV1) -> None:
    table = {"header": [], "rows": [], "row_count": 3}
    table["header"] = ["Gate", "Trigger", "Trigger_Id", "Gate_Action", "Check_Output"]
    value = f"detail.result.result={json.dumps({'x': {'result': table}})}"
    known.store.fault("image_check", "with", value=value)
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert "has 0 rows and says 3" in verdict.message


@pytest.mark.parametrize(
    ("kind", "expected", "words"),
    [
        ("404-image", ErrorKind.TRANSIENT, "image not found in DB"),
        ("404-not-analyzed", ErrorKind.TRANSIENT, "not_analyzed"),
        ("404-failed", ErrorKind.TRANSIENT, "analysis_failed"),
        ("404-policy", ErrorKind.MISCONFIGURED, "push it there"),
        ("404-no-active-policy", ErrorKind.MISCONFIGURED, "activate one"),
        ("404-no-evaluations", ErrorKind.TRANSIENT, "could not find any evaluations"),
        ("404-path", ErrorKind.TRANSIENT, "no Anchore API of this version behind ANCHORE_URL"),
        ("401", ErrorKind.MISCONFIGURED, "check ANCHORE_USER and ANCHORE_PASSWORD"),
        ("403", ErrorKind.MISCONFIGURED, "Requires permissions"),
        ("500", ErrorKind.TRANSIENT, "answered 500"),
        ("500-problem", ErrorKind.TRANSIENT, "Server Error"),
        ("429", ErrorKind.TRANSIENT, "answered 429"),
        ("html", ErrorKind.TRANSIENT, "not JSON but begins with '<!DOCTYPE html>"),
        ("redirect", ErrorKind.TRANSIENT, "set ANCHORE_URL"),
        ("cut", ErrorKind.TRANSIENT, "not JSON"),
        ("deep", ErrorKind.TRANSIENT, "not JSON"),
        ("huge", ErrorKind.TRANSIENT, "longer than"),
        ("packed", ErrorKind.TRANSIENT, "packed"),
        ("broken", ErrorKind.TRANSIENT, "cannot be asked"),
        ("close", ErrorKind.TRANSIENT, "cannot be asked"),
    ],
)
async def test_whatever_goes_wrong_with_a_check_is_a_failure_and_never_an_evaluation(
    known: FakeAnchore, scanner: AnchoreV1, kind: str, expected: ErrorKind, words: str
) -> None:
    known.store.fault("image_check", kind)
    with pytest.raises(StepFailure) as failure:
        await scanner.evaluate(APP, Question(policy="nosuch"))
    assert failure.value.kind is expected
    assert words in str(failure.value)


async def test_a_policy_that_asks_about_from_is_known_as_such(
    known: FakeAnchore, scanner: AnchoreV1
) -> None:
    assert not (await scanner.evaluate(APP, MINE)).asks_from
    rules = known.store.policies["admin"]["fake-baseline"]["policybundle"]["policies"][0]["rules"]
    rules.append(
        {
            "action": "STOP",
            "gate": "dockerfile",
            "id": "from-uses-tag",
            "params": [{"name": "instruction", "value": "FROM"}],
            "trigger": "instruction",
        }
    )
    assert (await scanner.evaluate(APP, MINE)).asks_from


@pytest.mark.parametrize(
    ("severity", "kind", "outcome"),
    [
        ("warn", "DeprecationWarning", Outcome.PASS),
        ("warn", "TriggerNotAvailableError", Outcome.ERROR),
        ("error", "DeprecationWarning", Outcome.ERROR),
    ],
)
async def test_a_deprecated_rule_is_a_warning_and_every_other_problem_an_error(
    known: FakeAnchore, scanner: AnchoreV1, severity: str, kind: str, outcome: Outcome
) -> None:
    said = json.dumps([{"severity": severity, "problem_type": kind, "details": "gate x is old"}])
    known.store.fault("image_check", "with", value=f"detail.result.evaluation_problems={said}")
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert verdict.outcome is outcome
    if outcome is Outcome.PASS:
        assert [finding.message for finding in verdict.warns] == ["gate x is old"]
