"""The v1 client against a FakeAnchore: states, submissions, and servers that do not answer."""

import json

import pytest

from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.verdict import Outcome, Question, judge
from shared.ports.scanner import Analysis, Scanner
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import Calls
from tests.functional.anchore.subjects import APP, DIGEST, MINE, OTHER, UNTAGGED


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
