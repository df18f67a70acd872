"""What a real Engine answered, served to the v1 client (tests/data/anchore)."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from shared.adapters.anchore.policies import AnchorePolicies
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_evaluation import read_evaluation
from shared.adapters.anchore.v1_policies import V1_POLICIES
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.verdict import Action, Evaluation, Outcome, Question, Subject, Verdict, judge
from shared.ports.scanner import Analysis
from tests.fakes.anchore_replay import Recording, Replay, recording
from tests.fakes.clock import FakeClock
from tests.functional.anchore.conftest import NOW, QUICK

MINE = Question()
LISTED = "sha256:85ea5a9be0a347b997b39ec8b0977da70eaf01cdc5c49645a02e4ed7d9bfbf61"
PLATFORM = "sha256:794eee7ef338ce2450706a20576619ca1369073a37aae97d35ca1e004e5f97a7"


def subject_of(told: Recording) -> Subject:
    """What the recorded call was about."""
    repository, _, tag = told.query.get("tag", _first_tag(told)).rpartition(":")
    digest = next((part for part in told.path.split("/") if part.startswith("sha256:")), "")
    if isinstance(told.request_body, dict):
        repository, _, tag = str(told.request_body.get("tag", tag)).rpartition(":")
        digest = told.request_body.get("digest", digest)
    return Subject(repository=repository, digest=digest, tag=tag)


def _first_tag(told: Recording) -> str:
    """The full tag of the record that was answered, where it was one."""
    record = told.body[0] if isinstance(told.body, list) and told.body else {}
    details = record.get("image_detail") if isinstance(record, dict) else None
    return str(details[0]["fulltag"]) if details else "127.0.0.1:5000/team/good:1.0"


@asynccontextmanager
async def replayed(*names: str, now: int = NOW) -> AsyncIterator[tuple[Replay, AnchoreV1]]:
    async with (
        Replay([recording(name) for name in names]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        yield replay, AnchoreV1(transport=transport, clock=FakeClock(now=now))


async def evaluated(name: str, *, now: int = NOW, question: Question = MINE) -> Evaluation:
    async with replayed(name, now=now) as (_, scanner):
        return await scanner.evaluate(subject_of(recording(name)), question)


async def judged(name: str, question: Question = MINE) -> Verdict:
    told = recording(name)
    return judge(subject_of(told), question, await evaluated(name, question=question))


@pytest.mark.parametrize(
    ("name", "outcome", "stops", "warns", "others"),
    [
        ("check-baseline-active-good", Outcome.PASS, 0, 0, 0),
        ("check-baseline-active-bad", Outcome.FAIL, 5, 0, 0),
        ("check-baseline-armonly", Outcome.PASS, 0, 0, 0),
        ("check-baseline-multi-docker", Outcome.PASS, 0, 0, 0),
        ("check-default-bundle-detail-good", Outcome.PASS, 0, 1, 0),
        ("check-default-bundle-detail-bad", Outcome.FAIL, 4, 1, 0),
        ("check-good-after-new-cve-baseline", Outcome.FAIL, 2, 0, 0),
        ("check-v-policy-ids-good", Outcome.PASS, 0, 0, 0),
        ("check-v-warn-bad", Outcome.PASS, 0, 5, 0),
        ("check-v-whitelist-bad", Outcome.PASS, 0, 0, 5),
        ("check-v-blacklisted-image-good", Outcome.FAIL, 1, 0, 0),
        ("check-v-whitelisted-image-bad", Outcome.PASS, 5, 0, 1),
    ],
)
async def test_a_recorded_evaluation_becomes_the_verdict_that_engine_gave(
    name: str, outcome: Outcome, stops: int, warns: int, others: int
) -> None:
    verdict = await judged(name)
    assert (verdict.outcome, verdict.message) == (outcome, "")
    assert (len(verdict.stops), len(verdict.warns)) == (stops, warns)
    assert len(verdict.findings) == stops + warns + others


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("check-narrow-no-mapping-matches", "no mapping of policy narrow matches"),
        ("check-v-mapping-digest-good", "AttributeError: 'NoneType' object has no attribute"),
        ("check-by-parent-digest", "the answer has no detail.result"),
        ("check-by-tag-of-other-repo-good", "the answer has no detail.result"),
        ("check-default-bundle-nodetail-good", "the answer has no detail.result"),
    ],
)
async def test_an_answer_that_engine_left_open_is_an_error_and_never_a_pass(
    name: str, words: str
) -> None:
    verdict = await judged(name)
    assert verdict.outcome is Outcome.ERROR
    assert verdict.error is ErrorKind.UNTRUSTED
    assert words in verdict.message
    assert verdict.findings == ()


async def test_a_check_by_an_indexs_digest_names_the_platforms_manifest() -> None:
    evaluation = await evaluated("check-by-parent-digest")
    assert evaluation.digests == (PLATFORM,)
    assert subject_of(recording("check-by-parent-digest")).digest == LISTED


async def test_the_answer_to_one_tag_is_no_answer_to_another() -> None:
    asked = subject_of(recording("check-baseline-active-good"))
    async with replayed("check-malformed-tag") as (_, scanner):
        verdict = judge(asked, MINE, await scanner.evaluate(asked, MINE))
    assert verdict.outcome is Outcome.ERROR
    assert "about the tag docker.io/:::latest instead of" in verdict.message


async def test_the_answer_by_another_policy_is_an_error() -> None:
    verdict = await judged("check-baseline-active-good", Question(policy="strict"))
    assert verdict.outcome is Outcome.ERROR
    assert "policy oci-baseline instead of strict" in verdict.message


async def test_an_answer_for_another_account_is_an_error() -> None:
    verdict = await judged("check-baseline-active-good", Question(account="payments"))
    assert verdict.outcome is Outcome.ERROR
    assert "for the account admin instead of payments" in verdict.message


async def test_a_clean_answer_is_read_exactly() -> None:
    told = recording("check-baseline-active-bad")
    evaluation = await evaluated(told.name)
    bundle = bundle_in(told)
    canonical = json.dumps(bundle, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert evaluation.status == "fail"
    assert evaluation.final_action == "stop"
    assert evaluation.digests == (subject_of(told).digest,)
    assert evaluation.tag == "127.0.0.1:5000/team/bad:1.0"
    assert evaluation.policy_id == "oci-baseline"
    assert evaluation.mapped
    assert evaluation.problems == ()
    assert evaluation.revision == hashlib.sha256(canonical.encode()).hexdigest()
    finding = evaluation.findings[2]
    assert finding.trigger_id == "CVE-2099-0001+openssh-server"
    assert (finding.gate, finding.trigger) == ("vulnerabilities", "package")
    assert finding.action is Action.STOP
    assert finding.message.startswith("CRITICAL Vulnerability found in os package type (dpkg)")


async def test_the_same_policy_has_the_same_revision_for_every_image() -> None:
    good = await evaluated("check-baseline-active-good")
    bad = await evaluated("check-baseline-active-bad")
    other = await evaluated("check-v-warn-bad")
    assert good.revision == bad.revision != other.revision


async def test_a_blacklisted_image_has_a_finding_although_engine_sends_no_row() -> None:
    evaluation = await evaluated("check-v-blacklisted-image-good")
    (finding,) = evaluation.findings
    assert finding.gate == "blacklisted_images"
    assert finding.trigger_id == "bl1"
    assert "'no team/good'" in finding.message


async def test_the_time_is_the_evaluations_and_not_that_of_a_result_that_engine_kept() -> None:
    # detail.result.created_at is 15:03:56 there: the policy engine kept that result.
    evaluation = await evaluated("check-default-bundle-detail-bad")
    assert evaluation.evaluated_at == 1_795_446_323_000  # 2026-11-23T15:05:23Z


async def test_the_time_is_never_later_than_the_second_of_the_question() -> None:
    """Engine tells whole seconds: a question that is bounded by its milliseconds would be later
    than one that is asked and answered behind it in the same second."""
    evaluation = await evaluated("check-default-bundle-detail-bad", now=1_795_446_320_500)
    assert evaluation.evaluated_at == 1_795_446_320_000


async def test_a_check_is_asked_as_it_was_recorded() -> None:
    told = recording("check-narrow-no-mapping-matches")
    async with replayed(told.name) as (replay, scanner):
        await scanner.evaluate(subject_of(told), Question(policy="narrow"))
    (asked,) = replay.asked
    assert (asked.method, asked.path, asked.query) == (told.method, told.path, told.query)


async def test_a_submission_is_sent_as_it_was_recorded() -> None:
    told = recording("post-image-digest-tag-again")
    async with replayed(told.name) as (replay, scanner):
        analysed = await scanner.submit(subject_of(told), Question(account="admin"))
    (asked,) = replay.asked
    assert (asked.path, asked.query, asked.body) == (told.path, {}, told.request_body)
    assert asked.headers["x-anchore-account"] == "admin"
    assert analysed.state is Analysis.WAITING


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("image-get-not_analyzed-bad", Analysis.WAITING),
        ("image-get-analyzing-bad", Analysis.RUNNING),
        ("image-get-analyzed-bad", Analysis.DONE),
        ("image-get-analysis_failed", Analysis.FAILED),
        ("images-get-unknown-digest-404", Analysis.UNKNOWN),
    ],
)
async def test_a_recorded_state_is_read(name: str, state: Analysis) -> None:
    async with replayed(name) as (_, scanner):
        assert (await scanner.analysis(subject_of(recording(name)), MINE)).state is state


async def test_an_image_known_under_another_tag_is_unknown_under_ours() -> None:
    async with replayed("image-get-analyzed-bad") as (_, scanner):
        subject = subject_of(recording("image-get-analyzed-bad"))
        other = msgspec.structs.replace(subject, tag="other")
        assert (await scanner.analysis(other, MINE)).state is Analysis.UNKNOWN


Ask = Callable[[AnchoreV1, Subject], Awaitable[Any]]


async def get(scanner: AnchoreV1, subject: Subject) -> object:
    return await scanner.analysis(subject, MINE)


async def add(scanner: AnchoreV1, subject: Subject) -> object:
    return await scanner.submit(subject, MINE)


async def check(scanner: AnchoreV1, subject: Subject) -> object:
    return await scanner.evaluate(subject, Question(policy="nosuch"))


@pytest.mark.parametrize(
    ("name", "ask", "kind", "words"),
    [
        ("post-image-digest-unknown", add, ErrorKind.NOT_FOUND, "manifest unknown"),
        (
            "post-image-auth-registry-no-credentials",
            add,
            ErrorKind.UNAUTHORISED,
            "unauthorized: authentication required. Add the registry's credentials to Anchore",
        ),
        (
            "post-image-auth-registry-wrong-credentials",
            add,
            ErrorKind.UNAUTHORISED,
            "authentication required",
        ),
        ("post-image-digest-only", add, ErrorKind.REFUSED, "Validation error"),
        ("post-image-wrong-type", add, ErrorKind.REFUSED, "5 is not of type 'string'"),
        ("post-image-text-plain", add, ErrorKind.REFUSED, "Invalid Content-type"),
        ("wrong-password-401", get, ErrorKind.MISCONFIGURED, "check ANCHORE_USER and ANCHORE_"),
        (
            "user-admin-account-header-forbidden",
            get,
            ErrorKind.MISCONFIGURED,
            "Requires permissions: domain=admin action=listImages",
        ),
        ("check-unknown-policyid", check, ErrorKind.MISCONFIGURED, "has no policy nosuch"),
        ("check-no-active-policy", check, ErrorKind.MISCONFIGURED, "activate one"),
        ("check-default-bundle-notag-good", check, ErrorKind.REFUSED, "Missing query parameter"),
        ("image-get-by-parent-digest", get, ErrorKind.UNTRUSTED, "which may be an index"),
        ("post-image-digest-of-manifest-list", add, ErrorKind.UNTRUSTED, "which may be an index"),
    ],
)
async def test_a_recorded_refusal_is_permanent_and_says_what_to_do(
    name: str, ask: Ask, kind: ErrorKind, words: str
) -> None:
    async with replayed(name) as (_, scanner):
        with pytest.raises(PermanentFailure) as failure:
            await ask(scanner, subject_of(recording(name)))
    assert failure.value.kind is kind
    assert words in str(failure.value)
    assert str(failure.value).isprintable()


@pytest.mark.parametrize(
    ("name", "ask", "words"),
    [
        ("post-image-unreachable-registry", add, "REGISTRY_NOT_ACCESSIBLE"),
        ("post-image-unknown-host", add, "SKOPEO_UNKNOWN_ERROR"),
        ("down-catalog-post-image", add, "answered 500 to image_add: failed post url"),
        ("down-catalog-image-get", get, "answered 500 to image_get: failed get url"),
        ("down-catalog-check", check, "answered 500 to image_check: failed get url"),
        ("check-while-not_analyzed-bad", check, "analysis_status: not_analyzed"),
        ("check-while-analyzing-bad", check, "analysis_status: analyzing"),
        ("check-while-analysis_failed", check, "analysis_status: analysis_failed"),
        ("check-unknown-image", check, "image not found in DB"),
        ("down-policy-engine-check", check, "could not find any evaluations"),
        ("unknown-path-404", get, "no Anchore API of this version behind ANCHORE_URL"),
        ("admin-with-unknown-account-header", get, "holds 0 images instead of one"),
    ],
)
async def test_a_recorded_trouble_is_worth_another_attempt(name: str, ask: Ask, words: str) -> None:
    async with replayed(name) as (_, scanner):
        with pytest.raises(TransientFailure) as failure:
            await ask(scanner, subject_of(recording(name)))
    assert words in str(failure.value)


async def test_what_skopeo_was_called_with_is_not_passed_on() -> None:
    name = "post-image-auth-registry-wrong-credentials"
    async with replayed(name) as (_, scanner):
        with pytest.raises(PermanentFailure) as failure:
            await scanner.submit(subject_of(recording(name)), MINE)
    assert "skopeo" not in str(failure.value)
    assert "SKOPUSER" not in str(failure.value)


async def test_an_account_that_engine_does_not_know_is_named() -> None:
    told = recording("image-get-analyzed-bad")
    async with replayed("admin-with-unknown-account-header") as (_, scanner):
        with pytest.raises(PermanentFailure, match="no account nosuch") as failure:
            await scanner.analysis(subject_of(told), Question(account="nosuch"))
    assert failure.value.kind is ErrorKind.MISCONFIGURED


async def test_a_record_of_the_account_is_taken_and_one_of_another_is_not() -> None:
    told = recording("user-post-image-same-digest-other-account")
    subject = Subject(
        repository="127.0.0.1:5000/team/tiny", digest=told.body[0]["imageDigest"], tag="1.0"
    )
    async with replayed(told.name) as (_, scanner):
        assert (
            await scanner.submit(subject, Question(account="ci-team"))
        ).state is Analysis.WAITING
        with pytest.raises(PermanentFailure, match="account ci-team instead of payments"):
            await scanner.submit(subject, Question(account="payments"))


async def test_a_dockerfile_for_a_known_image_is_sent_again_with_force() -> None:
    guessed = recording("image-get-analyzed-bad")
    subject = Subject(
        repository="127.0.0.1:5000/team/bad", digest=guessed.body[0]["imageDigest"], tag="1.0"
    )
    existing = "post-image-dockerfile-existing-no-force"
    async with replayed(existing, existing, guessed.name) as (replay, scanner):
        with pytest.raises(PermanentFailure, match="Cannot specify dockerfile"):
            await scanner.submit(subject, MINE, dockerfile=b"FROM debian:12\n")
    assert [(asked.method, asked.query) for asked in replay.asked] == [
        ("POST", {}),
        ("GET", {}),
        ("POST", {"force": "true"}),
    ]


async def test_the_reason_of_a_failed_analysis_is_told_without_the_command_line() -> None:
    subject = Subject(repository="127.0.0.1:5000/team/broken", digest="sha256:" + "2" * 64, tag="1")
    async with replayed("events-by-resource-tag") as (_, scanner):
        reason = await scanner.failure_reason(subject, MINE)
    assert reason.startswith("failed to download, unpack, analyze")
    assert reason.endswith("writing blob: happened during read: unexpected EOF")
    assert "skopeo" not in reason
    assert "scratch" not in reason


async def test_the_version_is_told_once_a_real_question_was_answered() -> None:
    async with replayed("version", "policies-list-initial") as (replay, scanner):
        info = await scanner.info()
    assert (info.name, info.version, info.api) == ("Anchore Engine", "1.1.0", "v1")
    assert [asked.path for asked in replay.asked] == ["/version", "/v1/policies"]


async def test_the_recorded_policies_are_read() -> None:
    async with (
        Replay([recording("policies-list-two"), recording("policy-get")]) as replay,
        AnchoreTransport(
            url=replay.url, user="admin", password="secret", limits=QUICK
        ) as transport,
    ):
        policies = AnchorePolicies(transport=transport, dialect=V1_POLICIES)
        listed = await policies.all()
        policy = await policies.get("oci-baseline")
    assert {(policy.id, policy.active, bool(policy.bundle)) for policy in listed} == {
        ("2c53a13c-1765-11e8-82ef-23527761d060", True, False),
        ("oci-baseline", False, False),
    }
    assert policy is not None
    assert policy.bundle["id"] == "oci-baseline"


def bundle_in(told: Recording) -> object:
    (tags,) = told.body[0].values()
    ((evaluation,),) = tags.values()
    return evaluation["detail"]["result"]["bundle"]


def result_of(body: Any) -> dict[str, Any]:
    """`detail.result` of the one evaluation in an answer."""
    ((evaluation,),) = (tags.values() for tags in body[0].values())
    result: dict[str, Any] = evaluation[0]["detail"]["result"]
    return result


def test_an_image_that_is_denied_passes_by_no_list_of_allowed_ones() -> None:
    body = recording("check-v-whitelisted-image-bad").body
    assert not read_evaluation(body, account="", asked_at=NOW).problems
    denied = {"matched_blacklisted_images_rule": {"id": "b"}, "final_action_reason": "blacklisted"}
    result_of(body).update(denied)
    (problem,) = read_evaluation(body, account="", asked_at=NOW).problems
    assert problem == "the final action is go although the image is blacklisted"


def test_a_pass_that_names_no_policy_anywhere_is_none() -> None:
    body = recording("check-baseline-active-good").body
    ((evaluation,),) = (tags.values() for tags in body[0].values())
    del result_of(body)["bundle"], evaluation[0]["policyId"], evaluation[0]["detail"]["policy"]
    (problem,) = read_evaluation(body, account="", asked_at=NOW).problems
    assert problem == "the answer has no detail.result.bundle"
