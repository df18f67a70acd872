"""Each answer of Anchore's that is not a good one, in both dialects: none becomes a pass, and each
is told apart by the verdict's error, its words, and the fault that is counted."""

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from shared.adapters.anchore.detect import Api, DetectedAnchore, Detection
from shared.adapters.anchore.faults import Fault
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import ErrorKind, StepFailure, TransientFailure
from shared.domain.verdict import Outcome, Question, Subject, judge
from shared.ports.scanner import Analysis
from tests.fakes.anchore import FakeAnchore
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import HASTY, NOW, QUICK

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
APP = Subject(repository="registry.corp:5000/team/app", digest=DIGEST, tag="1.0")
MINE = Question()
NAMED = Question(policy="fake-baseline")

Faults = list[tuple[str, str]]


class Bad(NamedTuple):
    """One answer that is not a good one, and what it stands for."""

    kind: str
    value: str
    error: ErrorKind
    words: str
    fault: Fault


@pytest.fixture(params=["v1", "v2"])
async def anchore(request: pytest.FixtureRequest) -> AsyncIterator[FakeAnchore]:
    """One that has analysed the image, in either dialect."""
    async with FakeAnchore(api=request.param) as fake:
        fake.store.know(DIGEST, APP.scan_tag)
        yield fake


@pytest.fixture
def faults() -> Faults:
    """(operation, fault) of each that was counted."""
    return []


@pytest.fixture
async def scanner(anchore: FakeAnchore, faults: Faults) -> AsyncIterator[DetectedAnchore]:
    async with AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        limits=QUICK,
        on_fault=lambda operation, fault: faults.append((operation, str(fault))),
    ) as transport:
        yield scanner_of(anchore, transport)


def scanner_of(anchore: FakeAnchore, transport: AnchoreTransport) -> DetectedAnchore:
    known = Detection(transport=transport, known=Api(anchore.speech.api))
    return DetectedAnchore(detection=known, transport=transport, clock=FakeClock(now=NOW))


ANYWHERE = [
    Bad("401", "", ErrorKind.MISCONFIGURED, "refuses our credentials", Fault.CREDENTIALS),
    Bad("403", "", ErrorKind.MISCONFIGURED, "Requires permissions", Fault.RIGHTS),
    Bad("404-account", "", ErrorKind.MISCONFIGURED, "account of our", Fault.ACCOUNT_UNKNOWN),
    Bad("404-path", "", ErrorKind.TRANSIENT, "API of this version behind", Fault.WRONG_API),
    Bad("html", "404", ErrorKind.TRANSIENT, "no Anchore API behind ANCHORE_URL", Fault.NO_API),
    Bad("400-problem", "", ErrorKind.REFUSED, "(400): no good", Fault.INVALID),
    Bad("400", "", ErrorKind.REFUSED, "(400): no good", Fault.INVALID),
    Bad("405", "", ErrorKind.REFUSED, "(405): no", Fault.REFUSED),
    Bad("406", "", ErrorKind.REFUSED, "(406): cannot ping", Fault.LOGIN_REFUSED),
    Bad("409", "", ErrorKind.REFUSED, "(409): it is there already", Fault.CONFLICT),
    Bad("429", "30", ErrorKind.TRANSIENT, "answered 429", Fault.OVERLOADED),
    Bad("500", "", ErrorKind.TRANSIENT, "failed get url=", Fault.SERVER_ERROR),
    Bad("500-problem", "", ErrorKind.TRANSIENT, "Server Error", Fault.CRASHED),
    Bad("html", "502", ErrorKind.TRANSIENT, "answered 502", Fault.AWAY),
    Bad("html", "503", ErrorKind.TRANSIENT, "answered 503", Fault.AWAY),
    Bad("html", "504", ErrorKind.TRANSIENT, "answered 504", Fault.AWAY),
    Bad("html", "200", ErrorKind.TRANSIENT, "not JSON but begins with '<!DOCTYPE", Fault.HTML),
    Bad("html", "401", ErrorKind.MISCONFIGURED, "refuses our credentials", Fault.CREDENTIALS),
    Bad("html", "403", ErrorKind.MISCONFIGURED, "does not let our user", Fault.RIGHTS),
    Bad("html", "407", ErrorKind.MISCONFIGURED, "ANCHORE_PROXY", Fault.PROXY),
    Bad("redirect", "http://elsewhere/", ErrorKind.TRANSIENT, "set ANCHORE_URL", Fault.REDIRECT),
    Bad("cut", "", ErrorKind.TRANSIENT, "not JSON but begins with '[{", Fault.NOT_JSON),
    Bad("deep", "", ErrorKind.TRANSIENT, "not JSON", Fault.NOT_JSON),
    Bad("json", "null", ErrorKind.TRANSIENT, "cannot be read", Fault.UNREADABLE),
    Bad("json", '"ok"', ErrorKind.TRANSIENT, "cannot be read", Fault.UNREADABLE),
    Bad("json", "{}", ErrorKind.TRANSIENT, "cannot be read", Fault.UNREADABLE),
    Bad("json", "[]", ErrorKind.TRANSIENT, "cannot be read", Fault.UNREADABLE),
    Bad("huge", "", ErrorKind.TRANSIENT, "longer than", Fault.TOO_LONG),
    Bad("packed", "", ErrorKind.TRANSIENT, "packed", Fault.PACKED),
    Bad("broken", "", ErrorKind.TRANSIENT, "cannot be asked", Fault.CLOSED),
    Bad("close", "", ErrorKind.TRANSIENT, "cannot be asked", Fault.CLOSED),
]


@pytest.mark.parametrize("operation", ["image_get", "image_add", "image_check"])
@pytest.mark.parametrize("bad", ANYWHERE, ids=lambda bad: f"{bad.kind} {bad.value}".strip())
async def test_an_answer_that_is_none_is_told_apart_wherever_it_comes(
    anchore: FakeAnchore,
    scanner: DetectedAnchore,
    faults: Faults,
    operation: str,
    bad: Bad,
) -> None:
    anchore.store.fault(operation, bad.kind, value=bad.value)
    calls = {
        "image_get": scanner.analysis,
        "image_add": scanner.submit,
        "image_check": scanner.evaluate,
    }
    with pytest.raises(StepFailure) as failure:
        await calls[operation](APP, MINE)
    assert failure.value.kind is bad.error
    assert bad.words in str(failure.value)
    assert str(failure.value).isprintable()
    assert set(faults) == {(operation, bad.fault)}
    if bad.kind == "429":
        assert isinstance(failure.value, TransientFailure)
        assert failure.value.retry_after == 30


CHECKS = [
    Bad("404-image", "", ErrorKind.TRANSIENT, "image not found in DB", Fault.IMAGE_UNKNOWN),
    Bad("404-not-analyzed", "", ErrorKind.TRANSIENT, "not_analyzed", Fault.NOT_ANALYSED),
    Bad("404-analyzing", "", ErrorKind.TRANSIENT, "analyzing", Fault.NOT_ANALYSED),
    Bad("404-failed", "", ErrorKind.TRANSIENT, "analysis_failed", Fault.NOT_ANALYSED),
    Bad("404-policy", "", ErrorKind.MISCONFIGURED, "push it there", Fault.POLICY_UNKNOWN),
    Bad(
        "404-no-active-policy", "", ErrorKind.MISCONFIGURED, "activate one", Fault.NO_ACTIVE_POLICY
    ),
    Bad("404-no-evaluations", "", ErrorKind.TRANSIENT, "could not find any", Fault.NOT_EVALUATED),
    Bad("404-openapi", "", ErrorKind.TRANSIENT, "image not found in DB", Fault.IMAGE_UNKNOWN),
]


@pytest.mark.parametrize("bad", CHECKS, ids=lambda bad: bad.kind)
async def test_each_meaning_of_a_checks_404_is_told_apart(
    anchore: FakeAnchore,
    scanner: DetectedAnchore,
    faults: Faults,
    bad: Bad,
) -> None:
    anchore.store.fault("image_check", bad.kind)
    with pytest.raises(StepFailure, match=bad.words) as failure:
        await scanner.evaluate(APP, Question(policy="nosuch"))
    assert failure.value.kind is bad.error
    assert faults == [("image_check", bad.fault)]


async def test_an_image_that_it_does_not_know_is_unknown_and_no_fault(
    anchore: FakeAnchore, scanner: DetectedAnchore, faults: Faults
) -> None:
    for kind in ("404-image", "404-openapi"):
        anchore.store.fault("image_get", kind, times=1)
        assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
    assert faults == []


@pytest.mark.parametrize(
    "bad",
    [
        Bad("400", "REGISTRY_IMAGE_NOT_FOUND", ErrorKind.NOT_FOUND, "", Fault.REGISTRY_HAS_NONE),
        Bad("400", "REGISTRY_PERMISSION_DENIED", ErrorKind.UNAUTHORISED, "", Fault.REGISTRY_DENIED),
        Bad("400", "OSARCH_MISMATCH", ErrorKind.REFUSED, "", Fault.PLATFORM),
        Bad("400", "REGISTRY_NOT_ACCESSIBLE", ErrorKind.TRANSIENT, "", Fault.REGISTRY_AWAY),
        Bad("400", "REGISTRY_NOT_SUPPORTED", ErrorKind.TRANSIENT, "", Fault.REGISTRY_AWAY),
        Bad("400", "SKOPEO_UNKNOWN_ERROR", ErrorKind.TRANSIENT, "", Fault.REGISTRY_AWAY),
        Bad("400", "UNKNOWN", ErrorKind.TRANSIENT, "", Fault.REGISTRY_AWAY),
        Bad("400", "SOMETHING_NEW", ErrorKind.TRANSIENT, "", Fault.REGISTRY_AWAY),
    ],
    ids=lambda bad: bad.value,
)
async def test_each_code_of_a_400_is_told_apart(
    anchore: FakeAnchore,
    scanner: DetectedAnchore,
    faults: Faults,
    bad: Bad,
) -> None:
    anchore.store.registry_says(DIGEST, bad.value)
    with pytest.raises(StepFailure) as failure:
        await scanner.submit(APP, MINE)
    assert failure.value.kind is bad.error
    assert f"registry.corp:5000/team/app@{DIGEST}" in str(failure.value)
    assert "skopeo" not in str(failure.value)
    assert faults == [("image_add", bad.fault)]


@pytest.mark.parametrize("operation", ["image_get", "image_add", "image_check"])
@pytest.mark.parametrize("kind", ["hang", "trickle"])
async def test_a_server_that_never_answers_is_given_up(
    anchore: FakeAnchore, faults: Faults, operation: str, kind: str
) -> None:
    async with AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        limits=HASTY,
        on_fault=lambda operation, fault: faults.append((operation, str(fault))),
    ) as transport:
        scanner = scanner_of(anchore, transport)
        anchore.store.fault(operation, kind)
        calls = {
            "image_get": scanner.analysis,
            "image_add": scanner.submit,
            "image_check": scanner.evaluate,
        }
        with pytest.raises(TransientFailure, match=f"did not answer {operation} within"):
            await calls[operation](APP, MINE)
    assert set(faults) == {(operation, Fault.TIMEOUT)}


async def test_a_server_that_is_down_cannot_be_asked(
    anchore: FakeAnchore, scanner: DetectedAnchore, faults: Faults
) -> None:
    await anchore.stop()
    with pytest.raises(TransientFailure, match="is it running, and is ANCHORE_URL right"):
        await scanner.analysis(APP, MINE)
    assert set(faults) == {("image_get", Fault.UNREACHABLE)}


async def test_an_analysis_that_never_ends_is_an_answer_and_no_verdict(
    anchore: FakeAnchore, scanner: DetectedAnchore, faults: Faults
) -> None:
    anchore.store.know(DIGEST, APP.scan_tag, status="analyzing")
    for call in (scanner.analysis, scanner.submit, scanner.analysis):
        assert (await call(APP, MINE)).state is Analysis.RUNNING
    assert faults == []
    with pytest.raises(TransientFailure, match="analysis_status: analyzing"):
        await scanner.evaluate(APP, MINE)


async def test_a_state_that_nobody_knows_is_worth_another_attempt(
    anchore: FakeAnchore, scanner: DetectedAnchore, faults: Faults
) -> None:
    anchore.store.know(DIGEST, APP.scan_tag, status="analysis_postponed")
    with pytest.raises(TransientFailure, match="unknown analysis_status 'analysis_postponed'"):
        await scanner.analysis(APP, MINE)
    assert faults == [("image_get", Fault.UNKNOWN_STATE)]


async def test_the_record_of_another_digest_is_not_believed(
    anchore: FakeAnchore, scanner: DetectedAnchore, faults: Faults
) -> None:
    anchore.store.index(DIGEST, OTHER)
    anchore.store.know(DIGEST, APP.scan_tag)
    with pytest.raises(StepFailure, match=f"{OTHER} instead of {DIGEST}") as failure:
        await scanner.submit(APP, MINE)
    assert failure.value.kind is ErrorKind.UNTRUSTED
    assert faults == [("image_add", Fault.OTHER_IMAGE)]


async def test_the_record_of_another_account_is_not_believed(
    anchore: FakeAnchore, scanner: DetectedAnchore, faults: Faults
) -> None:
    anchore.store.add_account("payments")
    anchore.store.know(DIGEST, APP.scan_tag, account="payments")
    anchore.store.images["payments", DIGEST].account = "admin"
    with pytest.raises(StepFailure, match="does a proxy drop the header") as failure:
        await scanner.analysis(APP, Question(account="payments"))
    assert failure.value.kind is ErrorKind.UNTRUSTED
    assert faults == [("image_get", Fault.OTHER_ACCOUNT)]


async def test_an_account_that_it_does_not_know_is_named(
    anchore: FakeAnchore, scanner: DetectedAnchore, faults: Faults
) -> None:
    nobodys = Question(account="nosuch")
    for call in (scanner.analysis, scanner.submit):
        with pytest.raises(StepFailure, match="no account nosuch: correct it in the r") as failure:
            await call(APP, nobodys)
        assert failure.value.kind is ErrorKind.MISCONFIGURED
    assert {fault for _, fault in faults} == {Fault.ACCOUNT_UNKNOWN}


async def test_who_may_not_ask_in_an_account_is_told_so(
    anchore: FakeAnchore, faults: Faults
) -> None:
    anchore.users.plain["bob"] = ("secret", "team-b")
    anchore.store.add_account("team-b")
    async with AnchoreTransport(
        url=anchore.url, user="bob", password="secret", limits=QUICK
    ) as transport:
        scanner = scanner_of(anchore, transport)
        assert (await scanner.analysis(APP, MINE)).state is Analysis.UNKNOWN
        with pytest.raises(StepFailure, match="in the account payments: Not authorized") as failure:
            await scanner.analysis(APP, Question(account="payments"))
    assert failure.value.kind is ErrorKind.MISCONFIGURED


LIES = [
    Bad(
        "no-mapping",
        "",
        ErrorKind.UNTRUSTED,
        "no mapping of policy fake-baseline matches",
        Fault.NO_MAPPING,
    ),
    Bad("problems", "", ErrorKind.UNTRUSTED, "could not evaluate the policy", Fault.PROBLEMS),
    Bad("wrong-digest", OTHER, ErrorKind.UNTRUSTED, f"about {OTHER}", Fault.OTHER_IMAGE),
    Bad(
        "wrong-tag",
        "",
        ErrorKind.UNTRUSTED,
        "about the tag docker.io/library/other:1",
        Fault.OTHER_TAG,
    ),
    Bad(
        "wrong-policy",
        "",
        ErrorKind.UNTRUSTED,
        "used policy other-policy instead of fake-baseline",
        Fault.OTHER_POLICY,
    ),
    Bad("two-evaluations", "", ErrorKind.UNTRUSTED, "2 evaluations instead of one", Fault.PROBLEMS),
    Bad("no-detail", "", ErrorKind.UNTRUSTED, "has no detail", Fault.PROBLEMS),
]


@pytest.mark.parametrize("bad", LIES, ids=lambda bad: bad.kind)
async def test_a_pass_that_is_not_about_what_was_asked_is_an_error(
    anchore: FakeAnchore,
    scanner: DetectedAnchore,
    faults: Faults,
    bad: Bad,
) -> None:
    good = judge(APP, NAMED, await scanner.evaluate(APP, NAMED))
    assert (good.outcome, faults) == (Outcome.PASS, [])
    anchore.store.fault("image_check", bad.kind, value=bad.value)
    verdict = judge(APP, NAMED, await scanner.evaluate(APP, NAMED))
    assert (verdict.outcome, verdict.error) == (Outcome.ERROR, bad.error)
    assert bad.words in verdict.message
    assert faults == [("image_check", bad.fault)]


async def test_a_pass_for_another_tag_of_the_digest_is_not_ours(
    anchore: FakeAnchore, scanner: DetectedAnchore
) -> None:
    """As a mapping of the policy may be about that tag alone."""
    other = Subject(APP.repository, DIGEST, "2.0")
    evaluation = await scanner.evaluate(other, MINE)
    assert judge(other, MINE, evaluation).outcome is Outcome.PASS
    assert judge(APP, MINE, evaluation).outcome is Outcome.ERROR
