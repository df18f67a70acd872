"""What was submitted a moment ago: bounded, and forgotten in time."""

from shared.adapters.anchore import submitted
from shared.adapters.anchore.submitted import Submitted
from shared.domain.verdict import Question, Subject
from tests.fakes.clock import FakeClock

APP = Subject("registry.corp/team/app", "sha256:" + "a" * 64, "1.0")
MINE = Question()


def test_it_is_known_for_as_long_as_it_may_be_invisible() -> None:
    clock = FakeClock()
    kept = Submitted(clock=clock, lag=25.0)
    assert not kept.lately(APP, MINE)
    kept.add(APP, MINE)
    clock.advance(24_900)
    assert kept.lately(APP, MINE)
    clock.advance(200)
    assert not kept.lately(APP, MINE)


def test_another_account_tag_or_digest_is_another() -> None:
    kept = Submitted(clock=FakeClock(), lag=25.0)
    kept.add(APP, MINE)
    assert kept.lately(APP, Question(policy="another of the account"))
    assert not kept.lately(APP, Question(account="payments"))
    assert not kept.lately(Subject(APP.repository, APP.digest, "2.0"), MINE)
    assert not kept.lately(Subject(APP.repository, "sha256:" + "b" * 64, "1.0"), MINE)


def test_where_nothing_is_invisible_nothing_is_kept() -> None:
    kept = Submitted(clock=FakeClock(), lag=0.0)
    kept.add(APP, MINE)
    assert not kept.lately(APP, MINE)


def test_more_than_its_bound_is_never_kept_and_the_newest_stay() -> None:
    clock = FakeClock()
    kept = Submitted(clock=clock, lag=25.0)
    subjects = [
        Subject("registry.corp/team/app", f"sha256:{number:064x}", "1.0")
        for number in range(submitted.MAX_KEPT + 10)
    ]
    for subject in subjects:
        kept.add(subject, MINE)
    assert sum(kept.lately(subject, MINE) for subject in subjects) == submitted.MAX_KEPT
    assert kept.lately(subjects[-1], MINE)
    clock.advance(30_000)
    kept.add(APP, MINE)
    assert not any(kept.lately(subject, MINE) for subject in subjects)
