"""When somebody who was denied is told to ask again by himself (docs/design/behaviour.md 3)."""

import msgspec
import pytest

from shared.domain.decision import Judgement, State
from shared.domain.verdict import Outcome
from tests.unit.webhook.judged import GOOD, NOW, RULE, decide, judgement, verdict


def test_a_person_is_told_to_retry_and_a_controller_is_not() -> None:
    pending = [judgement(State.PENDING)]
    person = decide(pending, rule=RULE, now=NOW, by_system=False)
    controller = decide(pending, rule=RULE, now=NOW, by_system=True)
    assert (person.code, person.retry_after) == (429, 2)
    assert (controller.code, controller.retry_after) == (429, 0)


def pending(*, passed: int, usual: int = 0) -> Judgement:
    """Seconds since the scan was wanted, and how long such scans take (0: nobody knows)."""
    since = NOW - 1000 * passed
    return Judgement(image="app:1", state=State.PENDING, since=since, usual=1000 * usual)


@pytest.mark.parametrize(
    ("passed", "usual", "retry_after"),
    [
        (0, 0, 2),  # 10 s are assumed
        (3, 0, 2),
        (6, 0, 1),
        (0, 4, 1),
        (0, 25, 5),
        (10, 25, 3),
        (24, 25, 1),
        (0, 50, 10),
        (0, 100, 10),
        (0, 101, 0),
        (20, 120, 10),
        (0, 600, 0),
        (590, 600, 2),
        # What takes longer than usual may take as long again.
        (11, 10, 3),
        (60, 10, 10),
        (100, 10, 10),
        (101, 10, 0),
        (101, 0, 0),
        (3_600, 600, 0),
    ],
)
def test_a_person_is_told_to_retry_after_a_fifth_of_what_remains_if_that_is_soon_over(
    passed: int, usual: int, retry_after: int
) -> None:
    judged = [pending(passed=passed, usual=usual)]
    assert decide(judged, rule=RULE, now=NOW, by_system=False).retry_after == retry_after


def test_of_several_scans_the_longest_tells_when_to_retry() -> None:
    two = [pending(passed=9, usual=10), pending(passed=0, usual=30)]
    assert decide(two, rule=RULE, now=NOW, by_system=False).retry_after == 6
    long = [*two, pending(passed=0, usual=600)]
    assert decide(long, rule=RULE, now=NOW, by_system=False).retry_after == 0


def test_only_what_is_pending_is_asked_for_again_by_itself() -> None:
    for state in State:
        both = [judgement(State.PENDING), judgement(state)]
        decision = decide(both, rule=RULE, now=NOW, by_system=False)
        assert bool(decision.retry_after) == (state in (State.PENDING, *GOOD)), state


def test_what_was_judged_and_is_not_pinned_yet_is_asked_for_again_at_once() -> None:
    judged = judgement(State.PENDING, verdict(Outcome.PASS))
    judged = msgspec.structs.replace(judged, since=None)
    decision = decide([judged], rule=RULE, now=NOW, by_system=False)
    assert decision.retry_after == 1
    assert "its tag is not pinned to a digest yet: try again" in decision.message


def test_a_clock_that_was_set_back_makes_no_longer_silence_than_a_scan() -> None:
    assert decide([pending(passed=-500)], rule=RULE, now=NOW, by_system=False).retry_after == 2
