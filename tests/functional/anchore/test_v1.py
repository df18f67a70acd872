"""The v1 client against a FakeAnchore: states, submissions, evaluations, and every lie."""

import json

import pytest

from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_rows import NAMES
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.verdict import Action, Outcome, Question, Subject, judge
from shared.ports.scanner import Analysis, Scanner
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_wire import NO_HEALTHCHECK, OPENSSH, row
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import Calls

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
APP = Subject(repository="registry.corp:5000/team/app", digest=DIGEST, tag="1.0")
UNTAGGED = Subject(repository="registry.corp:5000/team/app", digest=DIGEST)
MINE = Question()
STOPPED = {"final_action": "stop", "header": list(NAMES), "rows": []}


@pytest.fixture
def known(anchore: FakeAnchore) -> FakeAnchore:
    """A FakeAnchore that has analysed the image."""
    anchore.store.know(DIGEST, APP.scan_tag)
    return anchore


def test_it_is_a_scanner(scanner: AnchoreV1) -> None:
    port: Scanner = scanner
    assert port is scanner


async def test_an_image_is_followed_from_submission_to_verdict(
    anchore: FakeAnchore, scanner: AnchoreV1
) -> None:
    anchore.store.settle_after(None)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
    assert (await scanner.submit(APP, MINE)).state is Analysis.WAITING
    anchore.store.begin(DIGEST)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.RUNNING
    with pytest.raises(TransientFailure, match="analysis_status: analyzing"):
        await scanner.evaluate(APP, MINE)
    anchore.store.finish(DIGEST)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.DONE
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert verdict.outcome is Outcome.PASS
    assert verdict.policy_id == "fake-baseline"
    assert len(verdict.revision) == 64


async def test_submitting_again_changes_nothing(known: FakeAnchore, scanner: AnchoreV1) -> None:
    assert (await scanner.submit(APP, MINE)).state is Analysis.DONE
    assert (await scanner.submit(APP, MINE)).state is Analysis.DONE
    assert known.store.submits == {DIGEST: 2}


async def test_a_digest_without_a_tag_goes_under_one_that_nobody_can_choose(
    anchore: FakeAnchore, scanner: AnchoreV1
) -> None:
    await scanner.submit(UNTAGGED, MINE)
    verdict = judge(UNTAGGED, MINE, await scanner.evaluate(UNTAGGED, MINE))
    assert verdict.outcome is Outcome.PASS
    image = anchore.store.find(DIGEST, "admin")
    assert image is not None
    assert image.tags == ["registry.corp:5000/team/app:imagegate-sha256-aaaaaaaaaaaa"]


async def test_a_failed_analysis_tells_its_reason_and_begins_anew_when_submitted(
    anchore: FakeAnchore, scanner: AnchoreV1
) -> None:
    anchore.store.know(DIGEST, APP.scan_tag, status="analysis_failed", reason="no such layer")
    assert (await scanner.analysis(APP, MINE)).state is Analysis.FAILED
    assert "no such layer" in await scanner.failure_reason(APP, MINE)
    anchore.store.settle_after(None)
    assert (await scanner.submit(APP, MINE)).state is Analysis.WAITING


async def test_without_an_event_there_is_no_reason(known: FakeAnchore, scanner: AnchoreV1) -> None:
    assert await scanner.failure_reason(APP, MINE) == ""


@pytest.mark.parametrize("kind", ["500", "403", "401", "html", "close", "cut"])
async def test_a_reason_that_cannot_be_had_is_no_failure_of_the_step(
    anchore: FakeAnchore, scanner: AnchoreV1, kind: str
) -> None:
    anchore.store.fault("events", kind)
    assert await scanner.failure_reason(APP, MINE) == ""


async def test_force_analyses_again(known: FakeAnchore, scanner: AnchoreV1) -> None:
    known.store.settle_after(None)
    assert (await scanner.submit(APP, MINE, force=True)).state is Analysis.WAITING


async def test_force_for_an_image_that_engine_does_not_have_is_a_plain_submission(
    anchore: FakeAnchore, scanner: AnchoreV1
) -> None:
    anchore.store.settle_after(None)
    assert (await scanner.submit(APP, MINE, force=True)).state is Analysis.WAITING
    assert anchore.store.calls["image_add"] == 2


async def test_a_dockerfile_for_an_analysed_image_forces_a_new_analysis_once(
    known: FakeAnchore, scanner: AnchoreV1
) -> None:
    known.store.settle_after(None)
    dockerfile = b"FROM debian:12\nUSER app\n"
    assert (await scanner.submit(APP, MINE, dockerfile=dockerfile)).state is Analysis.WAITING
    known.store.finish(DIGEST)
    assert (await scanner.submit(APP, MINE, dockerfile=dockerfile)).state is Analysis.DONE
    assert (await scanner.submit(APP, MINE, dockerfile=b"FROM debian\n")).state is Analysis.WAITING


async def test_a_dockerfile_goes_along_with_a_new_image(
    anchore: FakeAnchore, scanner: AnchoreV1
) -> None:
    await scanner.submit(APP, MINE, dockerfile="FROM débian:12\n".encode())
    image = anchore.store.find(DIGEST, "admin")
    assert image is not None
    assert image.dockerfile == "RlJPTSBkw6liaWFuOjEyCg=="


async def test_an_account_has_images_and_policies_of_its_own(
    known: FakeAnchore, scanner: AnchoreV1
) -> None:
    known.store.add_account("payments")
    theirs = Question(account="payments")
    assert (await scanner.analysis(APP, theirs)).state is Analysis.UNKNOWN
    assert (await scanner.submit(APP, theirs)).state in (Analysis.WAITING, Analysis.DONE)
    verdict = judge(APP, theirs, await scanner.evaluate(APP, theirs))
    assert verdict.outcome is Outcome.PASS


async def test_an_account_that_is_no_plain_ascii_is_refused_before_anything_is_sent(
    anchore: FakeAnchore, scanner: AnchoreV1
) -> None:
    with pytest.raises(PermanentFailure, match="plain ASCII"):
        await scanner.analysis(APP, Question(account="pay\r\nments"))
    assert not anchore.store.calls


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


@pytest.mark.parametrize("body", ["[]", "{}", "[{}]", '[{"a": {}}]', '[{"a": {"b": []}}]', "null"])
async def test_an_answer_about_no_image_is_worth_another_attempt(
    known: FakeAnchore, scanner: AnchoreV1, body: str
) -> None:
    known.store.fault("image_check", "json", value=body)
    with pytest.raises(TransientFailure, match="cannot be read: it names no image"):
        await scanner.evaluate(APP, MINE)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{}", "cannot be read"),
        ('[{"imageDigest": 5}]', "cannot be read"),
        ("[]", "holds 0 images"),
        (f'[{{"imageDigest": "{DIGEST}", "analysis_status": "odd"}}]', "analysis_status 'odd'"),
        (json.dumps([{"imageDigest": DIGEST, "analysis_status": "analyzed"}] * 2), "holds 2"),
    ],
)
async def test_a_record_that_is_none_is_worth_another_attempt(
    anchore: FakeAnchore, scanner: AnchoreV1, body: str, words: str
) -> None:
    anchore.store.fault("*", "json", value=body)
    for call in (scanner.analysis, scanner.submit):
        with pytest.raises(TransientFailure, match=words):
            await call(APP, MINE)


async def test_the_record_of_another_digest_is_not_believed(
    anchore: FakeAnchore, scanner: AnchoreV1
) -> None:
    anchore.store.index(DIGEST, OTHER)
    for call in (scanner.submit, scanner.analysis):
        with pytest.raises(PermanentFailure, match=f"{OTHER} instead of {DIGEST}") as failure:
            await call(APP, MINE)
        assert failure.value.kind is ErrorKind.UNTRUSTED


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("REGISTRY_IMAGE_NOT_FOUND", ErrorKind.NOT_FOUND),
        ("REGISTRY_PERMISSION_DENIED", ErrorKind.UNAUTHORISED),
        ("OSARCH_MISMATCH", ErrorKind.REFUSED),
        ("REGISTRY_NOT_ACCESSIBLE", ErrorKind.TRANSIENT),
        ("REGISTRY_NOT_SUPPORTED", ErrorKind.TRANSIENT),
        ("SKOPEO_UNKNOWN_ERROR", ErrorKind.TRANSIENT),
        ("UNKNOWN", ErrorKind.TRANSIENT),
        ("SOMETHING_NEW", ErrorKind.TRANSIENT),
    ],
)
async def test_a_registrys_trouble_is_told_apart_by_its_code(
    anchore: FakeAnchore, scanner: AnchoreV1, code: str, kind: ErrorKind
) -> None:
    anchore.store.registry_says(DIGEST, code)
    with pytest.raises(StepFailure) as failure:
        await scanner.submit(APP, MINE)
    assert failure.value.kind is kind
    assert f"registry.corp:5000/team/app@{DIGEST}" in str(failure.value)


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


@pytest.mark.parametrize("kind", ["hang", "trickle"])
async def test_a_server_that_never_answers_is_given_up(
    known: FakeAnchore, hasty: AnchoreTransport, clock: FakeClock, kind: str
) -> None:
    scanner = AnchoreV1(transport=hasty, clock=clock)
    known.store.fault("*", kind)
    for call in (scanner.analysis, scanner.submit, scanner.evaluate):
        with pytest.raises(TransientFailure, match="did not answer"):
            await call(APP, MINE)
    with pytest.raises(TransientFailure, match="did not answer"):
        await scanner.info()
    assert await scanner.failure_reason(APP, MINE) == ""


@pytest.mark.parametrize("kind", ["401", "403", "500", "429", "html", "close", "404-path"])
async def test_the_server_has_not_answered_until_it_answered_a_real_question(
    anchore: FakeAnchore, scanner: AnchoreV1, kind: str
) -> None:
    assert (await scanner.info()).version == "1.1.0"
    anchore.store.fault("policies", kind)
    with pytest.raises(StepFailure):
        await scanner.info()


async def test_every_attempt_is_counted_by_what_it_was(
    known: FakeAnchore, scanner: AnchoreV1, calls: Calls
) -> None:
    known.store.fault("image_check", "500", times=1)
    await scanner.analysis(APP, MINE)
    await scanner.submit(APP, MINE)
    await scanner.evaluate(APP, MINE)
    assert calls == [
        ("image_get", "200"),
        ("image_add", "200"),
        ("image_check", "500"),
        ("image_check", "200"),
    ]


async def test_a_restart_of_the_server_is_lived_through(
    known: FakeAnchore, scanner: AnchoreV1
) -> None:
    assert (await scanner.analysis(APP, MINE)).state is Analysis.DONE
    await known.stop()
    with pytest.raises(TransientFailure, match="cannot be asked"):
        await scanner.analysis(APP, MINE)
    await known.start()
    assert (await scanner.analysis(APP, MINE)).state is Analysis.DONE


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
