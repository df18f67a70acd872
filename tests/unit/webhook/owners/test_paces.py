"""When an owner may be nudged again: after nudges that helped nothing, and after failures."""

from services.webhook.paces import Paces

UID = "edb4837b-9034-4610-a974-439d7156cbd2"


def test_one_that_was_never_nudged_may_be_now() -> None:
    paces = Paces()
    assert paces.next(UID, 7.0) == 7.0
    assert not paces.fails(UID)


def test_one_whose_time_has_come_may_be_now() -> None:
    paces = Paces()
    paces.nudged(UID, 0.0)
    paces.failed(UID, 1.0)
    assert paces.next(UID, 100.0) == 100.0


def test_nudges_count_until_twenty_minutes_after_the_last() -> None:
    paces = Paces()
    for at in (0.0, 5.0, 15.0):
        paces.nudged(UID, at)
    assert paces.next(UID, 15.0) == 35.0
    paces.nudged(UID, 15.0 + 1_200)
    assert paces.next(UID, 1_215.0) == 1_215.0 + 40
    paces.nudged(UID, 1_215.0 + 1_200.1)
    assert paces.next(UID, 2_415.1) == 2_415.1 + 5


def test_a_failure_takes_nothing_back_of_the_nudges_before_it() -> None:
    paces = Paces()
    for at in (0.0, 5.0, 15.0, 35.0):
        paces.nudged(UID, at)
    paces.failed(UID, 75.0)
    assert paces.next(UID, 75.0) == 80.0
    paces.nudged(UID, 80.0)
    assert not paces.fails(UID)
    assert paces.next(UID, 80.0) == 80.0 + 80


def test_one_that_fails_before_its_time_has_come_waits_for_the_later_of_both() -> None:
    paces = Paces()
    for at in (0.0, 5.0, 15.0):
        paces.nudged(UID, at)
    paces.failed(UID, 16.0)
    assert paces.next(UID, 16.0) == 35.0


def test_as_many_are_remembered_as_owners_and_those_touched_longest_ago_go() -> None:
    paces = Paces()
    for number in range(2_000):
        paces.failed(str(number), 0.0)
    paces.failed("0", 0.0)
    paces.failed("one more", 0.0)
    assert [uid for uid in ("0", "1", "2", "1999", "one more") if not paces.fails(uid)] == ["1"]
