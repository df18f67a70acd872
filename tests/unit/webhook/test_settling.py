"""A fail that is let pass for a time: by its rule's turnGrace, or by exceptions
(docs/design/behaviour.md 2 and 4)."""

from collections.abc import Sequence

import pytest

from services.webhook.answers import decide
from services.webhook.catalogue import Known
from services.webhook.note import note
from services.webhook.settling import Settled, settle
from services.webhook.terms import Terms
from shared.domain.decision import Judgement, State
from shared.domain.errors import ErrorKind
from shared.domain.exceptions import ALL, ImageException
from shared.domain.pointer import DAY, FOREVER, MINUTE, Manifest
from shared.domain.rules import Rule, Tags
from shared.domain.verdict import Action, Finding, Outcome, Subject, Verdict, verdict_key
from tests.unit.webhook.test_catalogue import NOW, QUESTION, REPOSITORY, A, B, C, Shelf, amd64

GRACE = DAY
RULE = Rule(turn_grace=GRACE, tags=Tags.ALLOW)
STRICT = Rule(tags=Tags.ALLOW)
INDEX = f"app:1@{A}"


class Turned(Shelf):
    """An index with two manifests that count, each with the verdict that it is given."""

    def __init__(self, *manifests: Manifest) -> None:
        super().__init__()
        self.names(A, *(manifests or (amd64(B), amd64(C))))

    def passed(self, digest: str) -> "Turned":
        self.judged(digest)
        return self

    def failed(self, digest: str, *findings: str, turned: int | None = None) -> "Turned":
        """`turned`: so long ago the fail replaced a pass (ms)."""
        subject = Subject(REPOSITORY, digest, "1")
        self.records[verdict_key(subject, QUESTION)] = Verdict(
            subject,
            QUESTION,
            Outcome.FAIL,
            NOW,
            findings=tuple(
                Finding("vulnerabilities", "package", trigger_id, Action.STOP, trigger_id)
                for trigger_id in findings or ("CVE-1",)
            ),
            turned_at=None if turned is None else NOW - turned,
        )
        return self

    def judgement(self) -> Judgement:
        answer = self.judge(INDEX)
        assert isinstance(answer, Known)
        return answer.judgement

    def settled(
        self, rule: Rule = RULE, *, exceptions: Sequence[ImageException] = (), now: int = NOW
    ) -> Settled:
        return settle(self.judgement(), rule, terms=Terms(), exceptions=exceptions, now=now)

    def state(self, rule: Rule = RULE, *exceptions: ImageException, now: int = NOW) -> State:
        return self.settled(rule, exceptions=exceptions, now=now).judgement.state


def excepted(digest: str, *findings: str, life: int = MINUTE) -> ImageException:
    return ImageException(
        image=f"{REPOSITORY}@{digest}" if digest else REPOSITORY,
        findings=findings or (ALL,),
        namespaces=("*",),
        reason="no fix yet",
        owner="team-a",
        expires=NOW + life,
    )


def test_a_fail_that_replaced_a_pass_runs_until_turned_at_and_the_grace_and_no_longer() -> None:
    shelf = Turned().passed(C).failed(B, turned=GRACE - 1)
    settled = shelf.settled()
    assert (settled.judgement.state, settled.until) == (State.TURNED, NOW + 1)
    assert settled.judgement.allowed_until == NOW + 1
    assert shelf.state(now=NOW + 1) is State.FAIL
    assert shelf.state(STRICT) is State.FAIL
    assert shelf.settled(STRICT).until == FOREVER


def test_a_fail_that_replaced_no_pass_has_no_grace() -> None:
    assert Turned().passed(C).failed(B).state() is State.FAIL


def test_each_manifest_that_fails_needs_a_grace_of_its_own_and_the_first_end_counts() -> None:
    both = Turned().failed(B, turned=MINUTE).failed(C, turned=GRACE - 1)
    assert (both.settled().judgement.state, both.settled().until) == (State.TURNED, NOW + 1)
    assert both.state(now=NOW + 1) is State.FAIL
    assert Turned().failed(B, turned=MINUTE).failed(C).state() is State.FAIL


def test_a_manifest_may_run_by_its_grace_and_another_by_an_exception() -> None:
    shelf = Turned().failed(B, turned=MINUTE).failed(C, "CVE-2")
    exception = excepted("", "CVE-2")
    settled = shelf.settled(exceptions=[exception])
    assert settled.judgement.state is State.TURNED
    assert settled.judgement.exceptions == (exception,)
    assert settled.until == exception.expires
    assert shelf.state(RULE, exception, now=exception.expires) is State.FAIL
    assert shelf.state(STRICT, exception) is State.FAIL


def test_of_what_an_exception_covers_the_grace_counts_again_once_that_has_ended() -> None:
    shelf = Turned().passed(C).failed(B, turned=MINUTE)
    exception = excepted("", "CVE-1")
    assert shelf.state(RULE, exception) is State.EXCEPTED
    assert shelf.state(RULE, exception, now=exception.expires) is State.TURNED


@pytest.mark.parametrize("digest", [A, B])
def test_an_exception_may_name_the_index_or_the_manifest_that_failed(digest: str) -> None:
    shelf = Turned().passed(C).failed(B, "CVE-1", "CVE-2")
    assert shelf.state(STRICT, excepted(digest)) is State.EXCEPTED
    assert shelf.state(STRICT, excepted(digest, "CVE-1", "CVE-2")) is State.EXCEPTED
    assert shelf.state(STRICT, excepted(digest, "CVE-1")) is State.FAIL


def test_an_exception_of_the_index_holds_also_where_the_pod_names_a_tag() -> None:
    shelf = Turned().passed(C).failed(B)
    shelf.point(A, is_index=True)
    answer = shelf.judge("app:1")
    assert isinstance(answer, Known)
    assert answer.judgement.digest == A
    settled = settle(
        answer.judgement, STRICT, terms=Terms(), exceptions=[excepted(A)], now=NOW
    ).judgement
    assert settled.state is State.EXCEPTED


def test_an_exception_of_another_digest_of_the_index_covers_nothing() -> None:
    shelf = Turned().passed(C).failed(B)
    assert shelf.state(STRICT, excepted(C)) is State.FAIL
    assert shelf.state(STRICT, excepted("sha256:" + "d" * 64)) is State.FAIL


def test_what_is_let_pass_takes_no_manifest_with_it_that_nobody_judged() -> None:
    for shelf, exceptions in (
        (Turned().failed(B, turned=MINUTE), ()),
        (Turned().failed(B), (excepted(B),)),
    ):
        settled = shelf.settled(exceptions=exceptions).judgement
        assert (settled.state, settled.verdicts) == (State.PENDING, ())
        assert shelf.state() in (State.FAIL, State.PENDING)
        shelf.erred(C, ErrorKind.ANALYSIS_FAILED)
        settled = shelf.settled(exceptions=exceptions).judgement
        assert (settled.state, settled.message) == (State.ERROR, "because")
        shelf.passed(C)
        assert shelf.state(RULE, *exceptions) in (State.TURNED, State.EXCEPTED)


def test_a_fail_beside_what_nobody_judged_has_that_asked_for_behind_the_answer() -> None:
    answer = Turned().failed(B).judge(INDEX)
    assert isinstance(answer, Known)
    assert answer.judgement.state is State.FAIL
    assert Subject(REPOSITORY, C, "1") in answer.subjects
    resting = Turned().failed(B)
    resting.erred(C, ErrorKind.TRANSIENT)
    answer = resting.judge(INDEX)
    assert isinstance(answer, Known)
    assert (answer.refresh, answer.judgement.message) == (None, "because")


def test_an_index_without_a_manifest_for_this_cluster_is_let_pass_by_nothing() -> None:
    shelf = Turned(Manifest(B, "linux", "s390x"))
    assert shelf.state(RULE, excepted(A), excepted(B)) is State.FAIL


def test_a_turned_image_runs_with_the_warning_until_when_and_what_then() -> None:
    settled = Turned().passed(C).failed(B, "CVE-1", turned=MINUTE).settled().judgement
    decision = decide([note(settled, RULE, NOW)], now=NOW)
    assert (decision.allowed, decision.state) == (True, State.TURNED)
    (warning,) = decision.warnings
    assert warning == (
        f"image {INDEX[:80]}: allowed until 2027-01-16 07:59 UTC only, then "
        "refused by policy the active policy: CVE-1. See: imagegate explain IMAGE"
    )
    assert decision.audit["decision"] == "turned"
