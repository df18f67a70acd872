"""The table of answers (docs/design/behaviour.md 3): what is allowed, and what a person reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.answers import MAX_WARNINGS, note
from services.webhook.answers import decide as decide_notes
from shared.domain.decision import Decision, Judgement, State
from shared.domain.pointer import DAY
from shared.domain.reference import parse_reference
from shared.domain.rules import Mode, Rule
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.ports.decisions import MAX_IMAGES, MAX_TEXT

NOW = 1_800_000_000_000
RULE = Rule()
GOOD = (State.PASS, State.TURNED, State.EXCEPTED, State.EXEMPT)


def decide(
    judgements: list[Judgement],
    *,
    rule: Rule,
    now: int,
    by_system: bool = True,
    dry_run: bool = False,
    advice: bool = False,
) -> Decision:
    notes = [note(each, rule, now) for each in judgements]
    return decide_notes(notes, now=now, by_system=by_system, dry_run=dry_run, advice=advice)


def finding(action: Action = Action.STOP, message: str = "openssh-server is installed") -> Finding:
    return Finding("packages", "blacklist", "t", action, message)


def verdict(outcome: Outcome, *findings: Finding, age: int = 0) -> Verdict:
    return Verdict(
        subject=Subject("docker.io/library/app", "sha256:" + "a" * 64, "1"),
        question=Question(),
        outcome=outcome,
        evaluated_at=NOW - age,
        findings=findings,
        policy_id="baseline",
        scan_id="s1",
    )


def judgement(state: State, *verdicts: Verdict, image: str = "app:1", **more: object) -> Judgement:
    reference = parse_reference(image) if state is not State.INVALID else None
    return Judgement(
        image=image,
        state=state,
        reference=reference,
        verdicts=verdicts,
        message=str(more.get("message", "")),
        since=NOW - 3_000 if state is State.PENDING else None,
    )


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.INVALID, 403),
        (State.REFUSED, 403),
        (State.FAIL, 403),
        (State.ERROR, 403),
        (State.PENDING, 429),
        (State.STORE_DOWN, 503),
        (State.QUEUE_DOWN, 503),
        (State.REGISTRY_AWAY, 503),
    ],
)
def test_each_state_that_is_not_good_is_denied_with_its_code(state: State, code: int) -> None:
    decision = decide([judgement(State.PASS), judgement(state)], rule=RULE, now=NOW)
    assert (decision.allowed, decision.code, decision.state) == (False, code, state)
    assert decision.message.startswith("image app:1: ")


@given(st.lists(st.sampled_from(State), min_size=1, max_size=6))
def test_an_object_is_allowed_only_when_every_image_of_it_is_good(states: list[State]) -> None:
    decision = decide([judgement(state) for state in states], rule=RULE, now=NOW)
    assert decision.allowed == all(state in GOOD for state in states)


def test_an_object_without_images_to_judge_is_allowed() -> None:
    assert decide([], rule=RULE, now=NOW).allowed


def test_a_fail_names_image_policy_reason_and_next_step_in_the_first_line() -> None:
    failed = verdict(Outcome.FAIL, *(finding(message=f"reason {n}") for n in range(30)))
    decision = decide([judgement(State.FAIL, failed)], rule=RULE, now=NOW)
    first, *rest = decision.message.split("\n")
    assert first == (
        "image app:1: refused by policy baseline: reason 0 (and 29 more). "
        "Details: imagegate verdicts"
    )
    assert rest[0] == "  stop: reason 0 (packages/blacklist)"
    assert len(rest) == 11
    assert rest[-1] == "  ... and 20 more"


def test_a_long_finding_keeps_its_beginning_and_its_end() -> None:
    long = "Dockerfile directive 'FROM' check 'not_like' " + "x" * 200 + " for line 'debian'"
    failed = verdict(Outcome.FAIL, finding(message=long))
    message = decide([judgement(State.FAIL, failed)], rule=RULE, now=NOW).message
    assert "Dockerfile directive 'FROM'" in message
    assert "for line 'debian'" in message.split("\n")[0]


def test_the_first_line_of_a_vulnerability_names_package_fix_and_id_without_its_link() -> None:
    message = (
        "CRITICAL Vulnerability found in os package type (dpkg) - libexpat1 (fixed in: "
        "2.5.0-1+deb12u1)(CVE-2024-45491 - https://security-tracker.debian.org/tracker/CVE-2024-45491)"
    )
    failed = verdict(Outcome.FAIL, finding(message=message))
    first = decide([judgement(State.FAIL, failed)], rule=RULE, now=NOW).message.split("\n")[0]
    assert "libexpat1 (fixed in: 2.5.0-1+deb12u1)(CVE-2024-45491)" in first


@given(st.text(max_size=600), st.text(max_size=600))
def test_text_from_outside_stays_on_its_line_and_the_first_within_256(
    image: str, message: str
) -> None:
    bad = Judgement(image=image, state=State.ERROR, message=message)
    lines = decide([bad, bad], rule=RULE, now=NOW).message.split("\n")
    assert len(lines) == 2
    for line in lines:
        assert len(line) <= 256
        assert "\x1b" not in line
        assert line.splitlines() == [line]


def test_a_person_is_told_to_retry_and_a_controller_is_not() -> None:
    pending = [judgement(State.PENDING)]
    person = decide(pending, rule=RULE, now=NOW, by_system=False)
    controller = decide(pending, rule=RULE, now=NOW, by_system=True)
    assert (person.code, person.retry_after) == (429, 2)
    assert (controller.code, controller.retry_after) == (429, 0)


def test_a_scan_that_takes_too_long_is_said_at_once() -> None:
    slow = Judgement(image="app:1", state=State.PENDING, since=NOW - 101_000)
    decision = decide([slow], rule=RULE, now=NOW, by_system=False)
    assert decision.retry_after == 0
    assert "since 101 s" in decision.message


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (State.PENDING, True),
        (State.ERROR, True),
        (State.STORE_DOWN, True),
        (State.QUEUE_DOWN, True),
        (State.REGISTRY_AWAY, True),
        (State.FAIL, False),
        (State.INVALID, False),
        (State.REFUSED, False),
    ],
)
def test_a_dry_run_lets_pass_what_is_not_judged_and_nothing_else(
    state: State, allowed: bool
) -> None:
    decision = decide([judgement(state)], rule=RULE, now=NOW, dry_run=True)
    assert decision.allowed is allowed
    assert not allowed or decision.warnings[0].startswith("not judged yet: ")


def test_a_dry_run_with_a_fail_beside_a_pending_image_is_denied() -> None:
    both = [judgement(State.PENDING), judgement(State.FAIL, verdict(Outcome.FAIL, finding()))]
    assert not decide(both, rule=RULE, now=NOW, dry_run=True).allowed


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("state", "allowed", "says"),
    [
        (State.PASS, True, ""),
        (State.PENDING, True, "not judged yet: pods with it are denied, and made again by them"),
        (State.ERROR, True, "could not be judged, pods with it are denied: no such image"),
        (State.STORE_DOWN, True, "verdict store (Redis) does not answer: pods with it are denied"),
        (State.QUEUE_DOWN, True, "queue (RabbitMQ) takes no request: pods with it are denied"),
        (State.REGISTRY_AWAY, True, "the registry does not say what the tag names now: pods with"),
        (State.FAIL, False, ""),
        (State.INVALID, False, ""),
        (State.REFUSED, False, ""),
    ],
)
def test_advice_on_a_workload_lets_pass_what_is_not_judged_and_says_what_its_pods_will_meet(
    state: State, allowed: bool, says: str, dry_run: bool
) -> None:
    message = "no such image" if state is State.ERROR else ""
    judged = [judgement(state, message=message)]
    decision = decide(judged, rule=RULE, now=NOW, advice=True, dry_run=dry_run)
    assert (decision.allowed, decision.state) == (allowed, state)
    assert decision.code == (200 if allowed else 403)
    if says:
        (warning,) = decision.warnings
        assert warning.startswith("image app:1: ")
        assert says in warning


def test_advice_beside_a_fail_is_a_denial() -> None:
    both = [judgement(State.PENDING), judgement(State.FAIL, verdict(Outcome.FAIL, finding()))]
    assert not decide(both, rule=RULE, now=NOW, advice=True).allowed


@given(st.text(max_size=600), st.text(max_size=600))
def test_advice_with_text_from_outside_is_one_bounded_line(image: str, message: str) -> None:
    bad = Judgement(image=image, state=State.ERROR, message=message)
    (warning,) = decide([bad], rule=RULE, now=NOW, advice=True).warnings
    assert len(warning) <= 256
    assert warning.splitlines() == [warning]


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
@pytest.mark.parametrize("state", [State.FAIL, State.PENDING, State.ERROR])
def test_advice_in_modes_that_deny_nothing_says_what_a_pod_would_be_told(
    mode: Mode, state: State
) -> None:
    bad = [judgement(state, verdict(Outcome.FAIL, finding()))]
    rule = Rule(mode=mode)
    assert decide(bad, rule=rule, now=NOW, advice=True) == decide(bad, rule=rule, now=NOW)


def test_the_tags_of_a_workload_are_none_to_warn_of() -> None:
    decision = decide(
        [judgement(State.PASS, verdict(Outcome.PASS))], rule=RULE, now=NOW, advice=True
    )
    assert (decision.warnings, decision.unpinned) == ((), 0)


def test_a_decision_names_the_images_it_is_about_bounded() -> None:
    two = [judgement(State.PASS, image="app:1"), judgement(State.FAIL, image="app:2")]
    assert decide([*two, two[0]], rule=RULE, now=NOW).images == ("app:1", "app:2")
    many = [Judgement(f"{n}{'x' * 900}", State.ERROR) for n in range(40)]
    images = decide(many, rule=RULE, now=NOW).images
    assert len(images) == MAX_IMAGES
    assert max(map(len, images)) == MAX_TEXT


def test_mode_warn_says_it_and_mode_audit_notes_it() -> None:
    failed = judgement(State.FAIL, verdict(Outcome.FAIL, finding()))
    warned = decide([failed], rule=Rule(mode=Mode.WARN), now=NOW)
    audited = decide([failed], rule=Rule(mode=Mode.AUDIT), now=NOW)
    assert warned.allowed
    assert "openssh-server is installed" in warned.warnings[0]
    assert audited.allowed
    assert not any("openssh" in warning for warning in audited.warnings)
    assert "openssh-server is installed" in audited.audit["message"]


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.WARN, Mode.AUDIT])
def test_what_is_no_reference_is_denied_in_every_mode(mode: Mode) -> None:
    invalid = Judgement(image="NO/reference", state=State.INVALID, message="not a reference")
    pending = judgement(State.PENDING)
    decision = decide([pending, invalid], rule=Rule(mode=mode), now=NOW)
    assert (decision.allowed, decision.code) == (False, 403)


def test_warn_findings_old_verdicts_and_moving_tags_are_warnings_of_an_allowed_pod() -> None:
    old = verdict(Outcome.PASS, finding(Action.WARN, "no HEALTHCHECK"), age=2 * DAY)
    decision = decide([judgement(State.PASS, old)], rule=RULE, now=NOW)
    assert decision.warnings == (
        "image app:1: no HEALTHCHECK",
        "image app:1: its verdict is 2 days old",
        "not pinned to a digest, the tag can move before it is pulled: app:1",
    )
    pinned = judgement(State.PASS, verdict(Outcome.PASS), image="app@sha256:" + "a" * 64)
    assert decide([pinned], rule=RULE, now=NOW).warnings == ()
    assert (decision.unpinned, decide([pinned], rule=RULE, now=NOW).unpinned) == (1, 0)


def test_warnings_stay_within_what_kubernetes_keeps_whole() -> None:
    noisy = verdict(Outcome.PASS, *(finding(Action.WARN, f"{n} " + "w" * 400) for n in range(50)))
    warnings = decide([judgement(State.PASS, noisy)], rule=RULE, now=NOW).warnings
    assert len(warnings) == MAX_WARNINGS
    assert sum(map(len, warnings)) <= 4096


def test_audit_annotations_have_short_keys_and_bounded_values() -> None:
    audit = decide(
        [judgement(State.PASS, verdict(Outcome.PASS, age=9_000))], rule=RULE, now=NOW
    ).audit
    assert audit == {
        "decision": "pass",
        "rule": "default",
        "policy": "baseline",
        "verdict-age-seconds": "9",
        "scan-id": "s1",
    }
