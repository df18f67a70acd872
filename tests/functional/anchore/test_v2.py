"""The v2 client against a FakeAnchore that speaks v2: what of it is not as in v1."""

import json
from collections.abc import AsyncIterator

import pytest

from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v2 import LAG, AnchoreV2
from shared.domain.errors import ErrorKind, TransientFailure
from shared.domain.policy import bundle_revision
from shared.domain.verdict import Action, Outcome, Question, Subject, judge
from shared.ports.scanner import Analysis, Scanner
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_v2_wire import BASELINE
from tests.fakes.anchore_wire import NO_HEALTHCHECK, OPENSSH, row
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import QUICK

DIGEST = "sha256:" + "a" * 64
APP = Subject(repository="registry.corp:5000/team/app", digest=DIGEST, tag="1.0")
MINE = Question()
FROM_RULE = {
    "action": "STOP",
    "gate": "dockerfile",
    "id": "from-uses-tag",
    "params": [{"name": "instruction", "value": "FROM"}, {"name": "check", "value": "not_like"}],
    "trigger": "instruction",
}


@pytest.fixture
async def anchore() -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore(api="v2") as fake:
        yield fake


@pytest.fixture
def scanner(transport: AnchoreTransport, clock: FakeClock) -> AnchoreV2:
    return AnchoreV2(transport=transport, clock=clock)


@pytest.fixture
def known(anchore: FakeAnchore) -> FakeAnchore:
    anchore.store.know(DIGEST, APP.scan_tag)
    return anchore


def test_it_is_a_scanner(scanner: AnchoreV2) -> None:
    port: Scanner = scanner
    assert port is scanner


async def test_an_image_is_followed_from_submission_to_verdict(
    anchore: FakeAnchore, scanner: AnchoreV2
) -> None:
    anchore.store.settle_after(None)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
    assert (await scanner.submit(APP, MINE)).state is Analysis.WAITING
    anchore.store.begin(DIGEST)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.RUNNING
    anchore.store.requeue(DIGEST)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.WAITING
    anchore.store.finish(DIGEST)
    done = await scanner.analysis(APP, MINE)
    assert (done.state, done.dockerfile) == (Analysis.DONE, False)
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert (verdict.outcome, verdict.policy_id) == (Outcome.PASS, "fake-baseline")
    assert verdict.revision == bundle_revision(BASELINE)


async def test_what_was_submitted_a_moment_ago_and_is_not_shown_yet_waits(
    anchore: FakeAnchore, scanner: AnchoreV2, clock: FakeClock
) -> None:
    anchore.store.lag = 3600.0
    await scanner.submit(APP, MINE)
    for _ in range(5):
        clock.advance(4_000)
        assert (await scanner.analysis(APP, MINE)).state is Analysis.WAITING
    clock.advance(int(LAG * 1000))
    assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN


async def test_what_another_submitted_is_unknown_and_submitting_it_again_analyses_nothing_anew(
    anchore: FakeAnchore, scanner: AnchoreV2, transport: AnchoreTransport, clock: FakeClock
) -> None:
    anchore.store.lag = 3600.0
    await scanner.submit(APP, MINE)
    anchore.store.begin(DIGEST)
    other = AnchoreV2(transport=transport, clock=clock)
    assert (await other.analysis(APP, MINE)).state is Analysis.UNKNOWN
    assert (await other.submit(APP, MINE)).state is Analysis.RUNNING
    assert (await other.analysis(APP, MINE)).state is Analysis.WAITING
    assert anchore.store.submits == {DIGEST: 2}


async def test_a_submission_that_failed_is_not_taken_for_one(
    anchore: FakeAnchore, scanner: AnchoreV2
) -> None:
    anchore.store.fault("image_add", "close")
    with pytest.raises(TransientFailure):
        await scanner.submit(APP, MINE)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN


async def test_a_dockerfile_for_an_analysed_image_forces_a_new_analysis_once(
    known: FakeAnchore, scanner: AnchoreV2
) -> None:
    known.store.settle_after(None)
    dockerfile = b"FROM debian:12\nUSER app\n"
    assert (await scanner.submit(APP, MINE, dockerfile=dockerfile)).state is Analysis.WAITING
    known.store.finish(DIGEST)
    again = await scanner.submit(APP, MINE, dockerfile=dockerfile)
    assert (again.state, again.dockerfile) == (Analysis.DONE, True)
    assert (await scanner.submit(APP, MINE, dockerfile=b"FROM debian\n")).state is Analysis.WAITING


async def test_the_reason_of_a_failed_analysis_is_told(
    anchore: FakeAnchore, scanner: AnchoreV2
) -> None:
    anchore.store.know(DIGEST, APP.scan_tag, status="analysis_failed", reason="no such layer")
    assert (await scanner.analysis(APP, MINE)).state is Analysis.FAILED
    assert "no such layer" in await scanner.failure_reason(APP, MINE)


async def test_an_evaluation_that_anchore_kept_is_as_old_as_it_is(
    known: FakeAnchore, scanner: AnchoreV2, clock: FakeClock
) -> None:
    first = await scanner.evaluate(APP, MINE)
    for key in known.store.computed:
        known.store.computed[key] -= 3_000
    kept = await scanner.evaluate(APP, MINE)
    assert first.evaluated_at - kept.evaluated_at == 3_000_000
    assert kept.evaluated_at < clock.now()


async def test_no_evaluation_is_younger_than_the_question(
    known: FakeAnchore, scanner: AnchoreV2, clock: FakeClock
) -> None:
    known.store.fault("image_check", "with", value='evaluation_time="2099-01-01T00:00:00Z"')
    assert (await scanner.evaluate(APP, MINE)).evaluated_at == clock.now()


@pytest.mark.parametrize(
    ("final_action", "rows", "outcome"),
    [
        ("go", [], Outcome.PASS),
        ("warn", [NO_HEALTHCHECK], Outcome.PASS),
        ("stop", [NO_HEALTHCHECK, OPENSSH], Outcome.FAIL),
        ("go", [row("packages", "denylist", "x", "stop", "sshd", allowed=True)], Outcome.PASS),
    ],
)
async def test_what_the_policy_says_becomes_the_verdict(
    known: FakeAnchore,
    scanner: AnchoreV2,
    final_action: str,
    rows: list[list[object]],
    outcome: Outcome,
) -> None:
    known.store.decide(DIGEST, final_action, rows)
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert (verdict.outcome, verdict.message) == (outcome, "")
    assert len(verdict.findings) == len(rows)


RULE = '{"id": "r", "name": "one image"}'


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("without", "status", "unknown status"),
        ("without", "final_action", "unknown final action"),
        ("without", "final_action_reason", "reason is None, and by the policy's lists"),
        ("without", "evaluation_time", "does not say when"),
        ("without", "evaluation_problems", "whether there were evaluation problems"),
        ("without", "image_mapped_to_rule", "does not say whether a mapping matched"),
        ("without", "image_denylisted", "does not say whether the image is denylisted"),
        ("without", "image_allowlisted", "does not say whether the image is allowlisted"),
        ("without", "number_of_findings", "has 0 findings and says None"),
        ("without", "details", "no details.policy"),
        ("without", "details.findings", "no details.findings"),
        ("without", "details.policy", "no details.policy"),
        ("without", "/policy_id", "names two for policy: None"),
        ("without", "/image_digest", "about no digest"),
        ("without", "/evaluated_tag", "about the tag  instead of"),
        ("with", 'status="fail"', "status 'fail' does not fit its final action 'go'"),
        ("with", "status=true", "unknown status"),
        ("with", 'final_action="perhaps"', "unknown final action 'perhaps'"),
        ("with", 'final_action_reason="whim"', "reason is 'whim'"),
        ("with", 'final_action_reason="allowlisted"', "reason is 'allowlisted', and by the"),
        ("with", "image_allowlisted=true", "reason is 'policy_evaluation', and by the"),
        ("with", "image_denylisted=true", "reason is 'policy_evaluation', and by the"),
        ("with", 'image_denylisted="yes"', "whether the image is denylisted"),
        ("with", 'details.policy_action="stop"', "is go and that of the findings stop"),
        ("with", "details.policy_action=5", "is go and that of the findings 5"),
        ("with", f"matched_denylisted_images_rule={RULE}", "is denylisted, and denies it"),
        ("with", f"matched_allowlisted_images_rule={RULE}", "is allowlisted, and denies it"),
        ("with", "matched_mapping_rule=null", "says that a mapping matched, and names none"),
        ("with", 'image_mapped_to_rule="true"', "does not say whether a mapping matched"),
        ("with", "number_of_findings=3", "has 0 findings and says 3"),
        ("with", 'evaluation_time="2026-01-01T00:00:00"', "does not say when"),
        ("with", 'evaluation_time="soon"', "does not say when"),
        ("with", 'evaluation_time="1969-12-31T23:59:59Z"', "does not say when"),
        ("with", "evaluation_time=1795165500", "does not say when"),
        ("with", 'evaluation_problems="none"', "whether there were evaluation problems"),
        ("with", 'evaluation_problems=["odd"]', "problem: odd"),
        ("with", 'details.findings=["odd"]', "the finding odd cannot be read"),
        ("with", 'details.policy={"id": "other"}', "names two for policy: fake-baseline and"),
        ("with", "/image_digest=[1]", "about no digest"),
        ("problems", "error/GateNotFoundError", "GateNotFoundError: said by the fake"),
        ("problems", "warn/TriggerNotAvailableError", "TriggerNotAvailableError: said by"),
        ("problems", "warn/Whatever", "Whatever: said by the fake"),
        ("problems", "error/DeprecationWarning", "DeprecationWarning: said by the fake"),
    ],
)
async def test_an_answer_that_is_not_what_was_asked_for_is_an_error(
    known: FakeAnchore, scanner: AnchoreV2, kind: str, value: str, words: str
) -> None:
    known.store.fault("image_check", kind, value=value)
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert (verdict.outcome, verdict.error) == (Outcome.ERROR, ErrorKind.UNTRUSTED)
    assert words in verdict.message
    assert verdict.message.isprintable()


async def test_a_pass_with_a_finding_that_stops_is_an_error(
    known: FakeAnchore, scanner: AnchoreV2
) -> None:
    known.store.decide(DIGEST, "go", [OPENSSH])
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert "the final action is go although a finding says stop" in verdict.message
    known.store.decide(DIGEST, "stop", [])
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert "the final action is stop and no finding says so" in verdict.message


async def test_a_deprecated_rule_is_a_warning(known: FakeAnchore, scanner: AnchoreV2) -> None:
    known.store.fault("image_check", "problems", value="warn/DeprecationWarning")
    verdict = judge(APP, MINE, await scanner.evaluate(APP, MINE))
    assert verdict.outcome is Outcome.PASS
    (finding,) = verdict.findings
    assert (finding.gate, finding.trigger, finding.action, finding.message) == (
        "policy",
        "deprecated",
        Action.WARN,
        "said by the fake",
    )


@pytest.mark.parametrize("body", ["[]", "{}", '{"evaluations": []}', "null", '"pass"', "7"])
async def test_an_answer_without_an_evaluation_is_worth_another_attempt(
    known: FakeAnchore, scanner: AnchoreV2, body: str
) -> None:
    known.store.fault("image_check", "json", value=body)
    with pytest.raises(TransientFailure, match="cannot be read: it holds no evaluation"):
        await scanner.evaluate(APP, MINE)


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        '{"image_digest": 5, "analysis_status": "analyzed"}',
        json.dumps({"image_digest": DIGEST}),
        json.dumps([{"image_digest": DIGEST, "analysis_status": "analyzed"}]),
    ],
)
async def test_a_record_that_is_none_is_worth_another_attempt(
    anchore: FakeAnchore, scanner: AnchoreV2, body: str
) -> None:
    anchore.store.fault("*", "json", value=body)
    for call in (scanner.analysis, scanner.submit):
        with pytest.raises(TransientFailure, match="cannot be read"):
            await call(APP, MINE)


async def test_a_record_of_which_nothing_but_digest_and_state_is_told_is_not_ours_yet(
    anchore: FakeAnchore, scanner: AnchoreV2
) -> None:
    """The description promises nothing more."""
    body = json.dumps({"image_digest": DIGEST, "analysis_status": "analyzed"})
    anchore.store.fault("*", "json", value=body)
    assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
    assert (await scanner.submit(APP, MINE)).state is Analysis.DONE


async def test_a_policy_that_asks_about_from_is_known_as_such(
    known: FakeAnchore, scanner: AnchoreV2
) -> None:
    assert not (await scanner.evaluate(APP, MINE)).asks_from
    rules = known.store.policies["admin"]["fake-baseline"]["policybundle"]["rule_sets"][0]["rules"]
    rules.append(FROM_RULE)
    assert (await scanner.evaluate(APP, MINE)).asks_from
    missing = row("dockerfile", "no_dockerfile_provided", "x", "warn", "Dockerfile not provided")
    known.store.decide(DIGEST, "warn", [missing])
    assert not (await scanner.evaluate(APP, MINE)).asks_from


async def test_the_request_by_which_anchores_log_knows_a_refusal_is_logged(
    anchore: FakeAnchore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    anchore.store.fault("policies", "403")
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="foobar", limits=QUICK
    ) as transport:
        with pytest.raises(Exception, match="Requires permissions"):
            await AnchoreV2(transport=transport, clock=FakeClock()).info()
    logged = [vars(record) for record in caplog.records if hasattr(record, "request")]
    assert [(one["operation"], one["request"]) for one in logged] == [("policies", "3f1c2d7a9b")]
