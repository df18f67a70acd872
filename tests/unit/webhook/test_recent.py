"""What was answered in the last moments is good while everything it rests on is."""

import pytest

from services.webhook.entries import NEVER, RECHECK, Entry
from services.webhook.note import Note
from services.webhook.recent import Recent, Resting
from shared.domain.decision import Judgement, State
from shared.domain.rules import Mode, Rule, Rules
from shared.domain.scope import RuleBook
from tests.fakes.clock import FakeClock

NOTES = (Note(Judgement("app:1", State.PASS), Rule()),)
BOOK = RuleBook(Rules())


class Rig:
    def __init__(self, *, max_things: int = 10, max_bytes: int = 10_000) -> None:
        self.clock = FakeClock()
        self.recent: Recent[str, tuple[Note, ...]] = Recent(
            clock=self.clock, max_things=max_things, max_bytes=max_bytes
        )
        self.entry = Entry(sealed=b"", record=None, order=0, ends=2**63)
        self.entry.checked = self.clock.monotonic()

    def keep(self, key: str = "app:1", *, life: int = 60_000) -> None:
        resting = Resting(NOTES, self.clock.now() + life, (self.entry,))
        self.recent.keep(key, resting, book=BOOK)

    def kept(self, key: str = "app:1", book: RuleBook = BOOK) -> bool:
        return self.recent.get(key, book=book) is not None


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.keep()
    return rig


def test_it_is_good_while_its_entries_are_fresh(rig: Rig) -> None:
    assert rig.kept()
    rig.clock.advance(int(RECHECK * 1000) + 1)
    assert not rig.kept()
    rig.entry.checked = rig.clock.monotonic()
    assert rig.kept()


def test_a_doubted_or_forgotten_entry_ends_it_at_once(rig: Rig) -> None:
    rig.entry.checked = NEVER
    assert not rig.kept()


def test_a_lost_entry_ends_it(rig: Rig) -> None:
    rig.entry.lost = True
    assert not rig.kept()


def test_it_ends_when_time_alone_changes_the_answer() -> None:
    rig = Rig()
    rig.keep(life=1_000)
    rig.clock.advance(999)
    assert rig.kept()
    rig.clock.advance(1)
    assert not rig.kept()


def test_another_book_ends_all_of_it(rig: Rig) -> None:
    changed = RuleBook(Rules(default=Rule(mode=Mode.DENY)))
    assert not rig.kept(book=changed)
    rig.recent.keep("b", Resting(NOTES, 2**63, ()), book=changed)
    assert not rig.kept()
    assert rig.kept("b", book=changed)


def test_what_was_found_under_a_book_that_holds_no_more_is_no_answer_under_the_next(
    rig: Rig,
) -> None:
    changed = RuleBook(Rules())
    rig.recent.keep("b", Resting(NOTES, 2**63, ()), book=changed)
    rig.keep("late")
    assert not rig.kept("late", book=changed)


def test_what_time_has_changed_already_is_not_kept_and_ends_what_was(rig: Rig) -> None:
    rig.keep(life=0)
    assert not rig.kept()


def test_it_is_bounded_and_the_oldest_go_first() -> None:
    rig = Rig(max_things=3)
    for number in range(10):
        rig.keep(str(number))
    assert [number for number in range(10) if rig.kept(str(number))] == [7, 8, 9]


def test_it_is_bounded_in_the_bytes_that_it_keeps_alive() -> None:
    rig = Rig(max_bytes=3_000)
    rig.entry.size = 1_000
    for number in (1, 2, 2, 3, 4, 5):
        rig.keep(str(number))
    assert [number for number in range(10) if rig.kept(str(number))] == [3, 4, 5]
