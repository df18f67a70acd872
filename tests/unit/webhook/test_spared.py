"""What passes though it is not known to be good: dry runs, workloads, rules that only warn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.decision import Judgement, State
from shared.domain.rules import Mode, Rule
from shared.domain.verdict import Outcome
from tests.unit.webhook.judged import NOW, RULE, decide, finding, judgement, verdict


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


def test_a_dry_run_claims_no_scan_that_nobody_asked_for() -> None:
    decision = decide([judgement(State.PENDING)], rule=RULE, now=NOW, dry_run=True)
    (warning,) = decision.warnings
    assert warning.startswith("not judged yet: image ")
    assert "a dry run has nothing scanned" in warning
    assert "under way" not in warning


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
        (
            State.REGISTRY_AWAY,
            True,
            "the registry cannot be asked what the tag names now: pods with",
        ),
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
