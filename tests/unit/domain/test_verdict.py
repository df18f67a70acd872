"""Verdicts: which answers are believed, how long, and under which keys they stand."""

import msgspec
import pytest

from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, FRESH_ERROR, MINUTE, SECOND
from shared.domain.verdict import (
    FRESH_PASS,
    MAX_AGE,
    MAX_FINDINGS,
    MAX_MESSAGE,
    Action,
    Evaluation,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    judge,
    last_error_key,
    scan_key,
    verdict_key,
)

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
APP = Subject(repository="registry.corp:5000/team/app", digest=DIGEST, tag="1.0")
MINE = Question()
NOW = 1_800_000_000_000


def finding(action: Action, name: str = "x") -> Finding:
    return Finding(
        gate="packages", trigger="blacklist", trigger_id=name, action=action, message=name
    )


CLEAN = Evaluation(
    status="pass",
    final_action="go",
    digests=(DIGEST,),
    tag="registry.corp:5000/team/app:1.0",
    policy_id="baseline",
    mapped=True,
    problems=(),
    findings=(),
    evaluated_at=NOW,
    revision="f" * 64,
    evaluation_id="e1",
)


def changed(**fields: object) -> Evaluation:
    return msgspec.structs.replace(CLEAN, **fields)


def test_a_clean_answer_is_believed() -> None:
    verdict = judge(APP, MINE, CLEAN, scan_id="s1")
    assert verdict == Verdict(
        subject=APP,
        question=MINE,
        outcome=Outcome.PASS,
        evaluated_at=NOW,
        policy_id="baseline",
        revision="f" * 64,
        evaluation_id="e1",
        scan_id="s1",
    )


def test_a_pass_may_warn_and_a_fail_stops() -> None:
    warned = judge(APP, MINE, changed(final_action="warn", findings=(finding(Action.WARN),)))
    assert (warned.outcome, len(warned.warns), len(warned.stops)) == (Outcome.PASS, 1, 0)
    failed = changed(status="fail", final_action="stop", findings=(finding(Action.STOP),))
    assert judge(APP, MINE, failed).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"problems": ("AttributeError: x", "other")}, "AttributeError: x; other"),
        ({"status": ""}, "unknown status ''"),
        ({"status": "PASS"}, "unknown status 'PASS'"),
        ({"status": "error"}, "unknown status 'error'"),
        ({"final_action": ""}, "unknown final action ''"),
        ({"final_action": "perhaps"}, "unknown final action 'perhaps'"),
        ({"final_action": "stop"}, "status 'pass' does not fit its final action 'stop'"),
        ({"status": "fail"}, "status 'fail' does not fit its final action 'go'"),
        ({"digests": ()}, "answered about no digest instead of"),
        ({"digests": (OTHER,)}, f"answered about {OTHER} instead of {DIGEST}"),
        ({"digests": (DIGEST, OTHER)}, f"answered about {DIGEST}, {OTHER} instead of"),
        ({"tag": "docker.io/library/app:1.0"}, "about the tag docker.io/library/app:1.0"),
        ({"policy_id": "lax"}, "used policy lax instead of baseline"),
        ({"mapped": False}, "add a mapping for it to the policy"),
    ],
)
def test_an_answer_that_may_be_about_something_else_is_an_error(
    fields: dict[str, object], words: str
) -> None:
    doubtful = changed(findings=(finding(Action.WARN),), **fields)
    verdict = judge(APP, Question(policy="baseline"), doubtful)
    assert verdict.outcome is Outcome.ERROR
    assert verdict.error is ErrorKind.UNTRUSTED
    assert words in verdict.message
    assert len(verdict.message) <= MAX_MESSAGE
    assert (verdict.findings, verdict.findings_dropped) == ((), 0)


def test_the_accounts_active_policy_may_have_any_name() -> None:
    assert judge(APP, MINE, changed(policy_id="whatever")).outcome is Outcome.PASS


def test_a_long_list_of_problems_is_cut() -> None:
    verdict = judge(APP, MINE, changed(problems=("x" * 400,) * 20))
    assert len(verdict.message) == MAX_MESSAGE


def test_findings_are_bounded_and_what_stops_is_kept_before_what_warns() -> None:
    many = tuple(finding(Action.WARN, f"w{number}") for number in range(MAX_FINDINGS + 50))
    stops = (finding(Action.STOP, "s1"), finding(Action.STOP, "s2"))
    failed = changed(status="fail", final_action="stop", findings=(*many, *stops))
    verdict = judge(APP, MINE, failed)
    assert verdict.stops == stops
    assert verdict.findings[2:4] == many[:2]
    assert (len(verdict.findings), verdict.findings_dropped) == (MAX_FINDINGS, 52)


@pytest.mark.parametrize(
    ("outcome", "kind", "fresh"),
    [
        (Outcome.PASS, None, 60 * MINUTE),
        (Outcome.FAIL, None, 10 * MINUTE),
        (Outcome.ERROR, ErrorKind.NOT_FOUND, MINUTE),
        (Outcome.ERROR, ErrorKind.UNAUTHORISED, MINUTE),
        (Outcome.ERROR, ErrorKind.ANALYSIS_FAILED, 10 * MINUTE),
        (Outcome.ERROR, ErrorKind.TRANSIENT, 15 * SECOND),
        (Outcome.ERROR, None, 15 * SECOND),
    ],
)
def test_a_verdict_is_fresh_for_a_time_of_its_kind(
    outcome: Outcome, kind: ErrorKind | None, fresh: int
) -> None:
    verdict = Verdict(subject=APP, question=MINE, outcome=outcome, evaluated_at=NOW, error=kind)
    assert not verdict.stale(NOW + fresh - 1)
    assert verdict.stale(NOW + fresh)
    assert verdict.ends_at == NOW + (fresh if outcome is Outcome.ERROR else 7 * DAY)


def test_an_error_beside_a_verdict_is_kept_as_that_is_and_no_answer_for_longer() -> None:
    error = error_verdict(APP, MINE, kind=ErrorKind.NOT_FOUND, message="gone", now=NOW)
    beside = msgspec.structs.replace(error, beside=True)
    assert beside.ends_at == NOW + MAX_AGE
    assert beside.stale_at == error.stale_at == error.ends_at < beside.ends_at
    passed = Verdict(APP, MINE, Outcome.PASS, NOW, beside=True)
    assert passed.ends_at == NOW + MAX_AGE


def test_every_kind_of_error_has_a_life() -> None:
    assert set(FRESH_ERROR) == set(ErrorKind)


def test_what_could_not_be_judged_says_why() -> None:
    verdict = error_verdict(
        APP, MINE, kind=ErrorKind.NOT_FOUND, message="x" * 1000, now=NOW, scan_id="s1"
    )
    assert (verdict.outcome, verdict.error) == (Outcome.ERROR, ErrorKind.NOT_FOUND)
    assert (verdict.evaluated_at, verdict.scan_id) == (NOW, "s1")
    assert len(verdict.message) == MAX_MESSAGE


def test_a_digest_without_a_tag_is_scanned_under_one_made_of_its_digest() -> None:
    untagged = Subject(repository="registry.corp:5000/team/app", digest=DIGEST)
    assert untagged.scan_tag == "registry.corp:5000/team/app:imagegate-sha256-aaaaaaaaaaaa"
    assert APP.scan_tag == "registry.corp:5000/team/app:1.0"


def test_questions_that_differ_never_share_a_key() -> None:
    questions = [
        Question(),
        Question(account="a"),
        Question(policy="a"),
        Question(account="a|b"),
        Question(account="a", policy="b"),
        Question(account="a%7Cb"),
        Question(requirement="analysis"),
        Question(scanner="other"),
    ]
    assert len({question.label for question in questions}) == len(questions)
    assert len({verdict_key(APP, question) for question in questions}) == len(questions)


def test_subjects_that_differ_never_share_a_key() -> None:
    subjects = [
        APP,
        msgspec.structs.replace(APP, tag=None),
        msgspec.structs.replace(APP, tag="2.0"),
        msgspec.structs.replace(APP, digest=OTHER),
        msgspec.structs.replace(APP, repository="registry.corp:5000/team/other"),
    ]
    for key in (verdict_key, last_error_key, scan_key):
        assert len({key(subject, MINE) for subject in subjects}) == len(subjects)
    kinds = {key(APP, MINE).partition(":")[0] for key in (verdict_key, last_error_key, scan_key)}
    assert kinds == {"verdict", "error", "scan"}


def test_verdicts_in_use_are_renewed_before_they_are_stale_and_not_all_at_the_same_time() -> None:
    digests = [f"sha256:{number:064x}" for number in range(500)]
    parts = []
    for digest in digests:
        verdict = Verdict(Subject("r.test/a", digest), Question(), Outcome.PASS, evaluated_at=1_000)
        parts.append((verdict.renew_at - 1_000) / verdict.fresh_for)
    assert 0.6 <= min(parts) < 0.61
    assert 0.79 < max(parts) <= 0.8
    assert len({round(part, 3) for part in parts}) > 100


def test_a_stretched_verdict_is_renewed_as_much_later() -> None:
    plain = Verdict(Subject("r.test/a", "sha256:1"), Question(), Outcome.PASS, evaluated_at=0)
    stretched = msgspec.structs.replace(plain, stretched=4 * FRESH_PASS)
    assert stretched.renew_at == pytest.approx(4 * plain.renew_at, abs=4)
    assert stretched.renew_at < stretched.stale_at
