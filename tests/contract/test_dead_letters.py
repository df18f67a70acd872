"""What dead letters promise (shared.ports.steps), over memory and a real RabbitMQ."""

import asyncio
import re
from collections.abc import Sequence

import msgspec
import pytest

from services.worker.dispatch import Dispatch, Follower
from shared.adapters.handling import QueueEvent
from shared.domain.errors import ErrorKind, PermanentFailure, QueueFull
from shared.domain.step import REQUEUED, Lane, Step, StepKind, encode_step, failed, given_up
from shared.domain.verdict import Subject as Judged
from shared.ports.steps import MAX_LETTER, DeadLetter, DeadLetters, Ended, Settle
from shared.runtime.clock import SystemClock
from tests.contract.queues import (
    Make,
    Recorder,
    Subject,
    a_step,
    consuming,
    dead,
    done,
    missing,
    ready,
    until,
)

ALL = 1_000


async def died(subject: Subject, *messages: Step | bytes, lane: Lane = Lane.ADMISSION) -> None:
    """These messages die in `lane`, in this order."""
    before = await dead(subject.queue)
    async with consuming(subject.queue, lane, Recorder(Settle.DEAD), concurrency=1):
        for message in messages:
            body = message if isinstance(message, bytes) else encode_step(message)
            await subject.put_raw(lane, body)
        await until(lambda: _dead_are(subject, before + len(messages)))


async def _dead_are(subject: Subject, count: int) -> bool:
    return await dead(subject.queue) == count


async def _some_are_dead(subject: Subject) -> bool:
    return await dead(subject.queue) > 0


async def _publish(subject: Subject, count: int) -> None:
    for _ in range(count):
        await subject.queue.publish(a_step())


async def ids(letters: DeadLetters) -> list[str]:
    return [letter.id for letter in await letters.letters(limit=ALL)]


def steps_of(letters: Sequence[DeadLetter]) -> list[str]:
    """The ids of their steps."""
    return [letter.step.id for letter in letters if letter.step is not None]


def some_steps(count: int) -> list[Step]:
    return [a_step(id=f"step-{number}") for number in range(count)]


async def test_where_nothing_died_there_is_nothing_to_see_requeue_or_drop(
    subject: Subject,
) -> None:
    assert await subject.dead.letters(limit=ALL) == []
    assert await subject.dead.letter("0123456789abcdef") is None
    for end in (subject.dead.requeue, subject.dead.drop):
        assert await end([]) == done()
        assert await end(["0123456789abcdef", "x"]) == missing("0123456789abcdef", "x")


async def test_a_letter_tells_where_why_and_when_it_died_and_what_it_is(subject: Subject) -> None:
    step = failed(a_step(Lane.PREWARM), "the registry was away")
    before = SystemClock().now()
    await died(subject, step, lane=Lane.PREWARM)
    [letter] = await subject.dead.letters(limit=ALL)
    assert (letter.lane, letter.reason, letter.step) == ("prewarm", "rejected", step)
    assert letter.body == encode_step(step)
    assert letter.died_at is not None
    # A broker tells whole seconds.
    assert before - 1_000 <= letter.died_at <= SystemClock().now()
    assert await subject.dead.letter(letter.id) == letter


class Refused:
    """The work of a worker whose scanner will never take the image."""

    async def resolve(self, step: Step) -> None:
        raise AssertionError("nothing is resolved here")

    async def request(self, step: Step) -> None:
        raise PermanentFailure("the scanner refuses it", kind=ErrorKind.REFUSED)

    check = wake = request


async def test_a_step_that_a_worker_gives_up_tells_of_its_last_failure_too(
    subject: Subject,
) -> None:
    step = failed(a_step(), "the registry was away")
    dispatch = Dispatch(scan=Refused(), follower=Follower(queue=subject.queue))
    async with consuming(subject.queue, Lane.ADMISSION, dispatch.handle):
        await subject.queue.publish(step)
        await until(lambda: _dead_are(subject, 1))
    [letter] = await subject.dead.letters(limit=ALL)
    assert (letter.lane, letter.reason) == ("admission", "rejected")
    assert letter.step is not None
    died = msgspec.structs.replace(letter.step, queued=0)
    assert died == given_up(step, "the scanner refuses it")
    assert letter.step.history == ("the registry was away", "the scanner refuses it")


async def test_a_step_that_a_delay_brought_died_in_its_lane(subject: Subject) -> None:
    async with consuming(subject.queue, Lane.CHECK, Recorder(Settle.DEAD)):
        await subject.queue.publish(a_step(Lane.CHECK, kind=StepKind.REQUEST), delay=1)
        await until(lambda: _dead_are(subject, 1))
    [letter] = await subject.dead.letters(limit=ALL)
    assert (letter.lane, letter.reason) == ("check", "rejected")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b'{"v": 99}', b"x" * (MAX_LETTER + 1)])
async def test_a_message_that_is_no_step_is_shown_bounded_and_cannot_be_requeued(
    subject: Subject, body: bytes
) -> None:
    await died(subject, body)
    [letter] = await subject.dead.letters(limit=ALL)
    assert letter.step is None
    assert letter.body == body[:MAX_LETTER]
    ended = await subject.dead.requeue([letter.id])
    assert (ended.done, ended.missing, list(ended.failed)) == ((), (), [letter.id])
    assert "cannot be tried again" in ended.failed[letter.id]
    assert await ids(subject.dead) == [letter.id]
    assert await subject.dead.drop([letter.id]) == done(letter.id)
    assert await ids(subject.dead) == []


async def test_a_step_that_is_larger_than_any_step_is_not_requeued(subject: Subject) -> None:
    await died(subject, a_step(reference="x" * MAX_LETTER))
    [letter] = await subject.dead.letters(limit=ALL)
    assert letter.step is None
    ended = await subject.dead.requeue([letter.id])
    assert str(MAX_LETTER) in ended.failed[letter.id]
    assert await ids(subject.dead) == [letter.id]


async def test_the_oldest_come_first_and_no_more_than_were_asked_for(subject: Subject) -> None:
    await died(subject, *some_steps(9))
    everything = await subject.dead.letters(limit=ALL)
    assert steps_of(everything) == [f"step-{number}" for number in range(9)]
    for limit in (0, 1, 4, 9):
        assert await subject.dead.letters(limit=limit) == everything[:limit]


async def test_looking_changes_nothing_however_often(subject: Subject) -> None:
    await died(subject, *some_steps(3), b"no step")
    first = await subject.dead.letters(limit=ALL)
    for _ in range(30):
        assert await subject.dead.letters(limit=ALL) == first
        assert await subject.dead.letter(first[2].id) == first[2]
    assert await dead(subject.queue) == 4


async def test_every_letter_has_a_name_of_its_own_that_is_safe_to_type(subject: Subject) -> None:
    same = a_step()
    await died(subject, same, same, b"twice", b"twice", b"", *some_steps(3))
    names = await ids(subject.dead)
    assert len(set(names)) == 8
    assert all(re.fullmatch(r"[0-9a-f-]{16,20}", name) for name in names)
    for name in names:
        letter = await subject.dead.letter(name)
        assert letter is not None
        assert letter.id == name


@pytest.mark.parametrize("name", ["", "-2", "../../x", "%00", "é" * 500, "0123456789abcdef-2"])
async def test_a_name_that_nothing_has_names_nothing(subject: Subject, name: str) -> None:
    await died(subject, b"no step")
    assert await subject.dead.letter(name) is None
    assert await subject.dead.requeue([name]) == missing(name)
    assert await subject.dead.drop([name]) == missing(name)
    assert await dead(subject.queue) == 1


async def test_a_requeued_step_comes_to_its_lane_as_a_first_attempt_and_its_letter_is_gone(
    subject: Subject,
) -> None:
    step = failed(
        a_step(
            Lane.CHECK,
            kind=StepKind.CHECK,
            subject=Judged("registry.example/team/app", "sha256:" + "a" * 64, "1"),
            chain="chain",
            hop=3,
            claim="long gone",
            began=5,
        ),
        "no answer",
    )
    await died(subject, step, b"no step", lane=Lane.CHECK)
    letter, other = await subject.dead.letters(limit=ALL)
    before = SystemClock().now()
    assert await subject.dead.requeue([letter.id]) == done(letter.id)
    assert await ids(subject.dead) == [other.id]
    got = Recorder()
    async with consuming(subject.queue, Lane.CHECK, got):
        await until(lambda: bool(got.ended))
    [again] = got.steps
    assert again.id != step.id
    assert before <= again.first_seen <= SystemClock().now()
    assert again == msgspec.structs.replace(
        step,
        id=again.id,
        first_seen=again.first_seen,
        attempt=0,
        began=0,
        claim="",
        history=("no answer", REQUEUED),
    )
    assert await subject.dead.requeue([letter.id]) == missing(letter.id)


async def test_a_step_that_dies_again_still_tells_of_its_first_life(subject: Subject) -> None:
    await died(subject, failed(a_step(), "the first time"))
    async with consuming(subject.queue, Lane.ADMISSION, Recorder(Settle.DEAD)):
        [first] = await ids(subject.dead)
        await subject.dead.requeue([first])
        await until(lambda: _dead_are(subject, 1))
    [letter] = await subject.dead.letters(limit=ALL)
    assert letter.step is not None
    assert letter.step.history == ("the first time", REQUEUED)


async def test_a_letter_whose_lane_is_full_stays(make: Make) -> None:
    async with make(max_ready=2) as subject:
        await died(subject, a_step())
        with pytest.raises(QueueFull):
            await _publish(subject, 10)
        [letter] = await subject.dead.letters(limit=ALL)
        ended = await subject.dead.requeue([letter.id])
        assert (ended.done, ended.missing) == ((), ())
        assert "its cap" in ended.failed[letter.id] or "is full" in ended.failed[letter.id]
        assert await subject.dead.letters(limit=ALL) == [letter]


async def test_only_what_was_dropped_is_gone_and_the_rest_stays_in_order(subject: Subject) -> None:
    await died(subject, *some_steps(7))
    names = await ids(subject.dead)
    for name in (names[3], names[0], names[6]):
        assert await subject.dead.drop([name]) == done(name)
        assert await subject.dead.drop([name]) == missing(name)
    assert await ids(subject.dead) == [names[number] for number in (1, 2, 4, 5)]
    assert await dead(subject.queue) == 4


async def test_of_equal_letters_one_goes_at_a_time(subject: Subject) -> None:
    same = a_step()
    await died(subject, same, same, same)
    for left in (2, 1, 0):
        letters = await subject.dead.letters(limit=ALL)
        assert await subject.dead.drop([letters[-1].id]) == done(letters[-1].id)
        assert await dead(subject.queue) == left


async def test_what_was_dropped_is_gone_for_everybody_once_the_call_has_returned(
    subject: Subject,
) -> None:
    await died(subject, *some_steps(20))
    async with subject.another_looker() as other:
        names = await ids(subject.dead)
        while names:
            gone = names.pop()
            assert await subject.dead.drop([gone]) == done(gone)
            assert await ids(other) == names


async def test_those_who_look_at_once_all_see_everything(subject: Subject) -> None:
    await died(subject, *some_steps(50))
    names = await ids(subject.dead)
    async with subject.another_looker() as other:
        lookers = [subject.dead, other, subject.dead, other, subject.dead]
        assert await asyncio.gather(*map(ids, lookers)) == [names] * 5
        found = await asyncio.gather(*(looker.letter(names[-1]) for looker in lookers))
    assert [letter and letter.id for letter in found] == [names[-1]] * 5


async def test_the_count_does_not_change_while_somebody_looks(subject: Subject) -> None:
    await died(subject, *some_steps(50))
    looking = asyncio.gather(*(subject.dead.letters(limit=ALL) for _ in range(20)))
    async with subject.another() as queue:
        counts = set()
        while not looking.done():
            counts.add(await dead(queue))
            await asyncio.sleep(0)
        counts.add(await dead(queue))
    assert counts == {50}
    await looking


async def test_who_drops_or_requeues_the_same_letter_at_once_does_it_once(
    subject: Subject,
) -> None:
    await died(subject, a_step(), *some_steps(10))
    names = await ids(subject.dead)
    async with subject.another_looker() as other:
        requeued = await asyncio.gather(
            *(looker.requeue([names[0]]) for looker in (subject.dead, other, other))
        )
        dropped = await asyncio.gather(
            *(looker.drop([names[5]]) for looker in (subject.dead, other, subject.dead))
        )
    for ended, name in ((requeued, names[0]), (dropped, names[5])):
        assert sorted(ended, key=lambda one: one.done) == [
            missing(name),
            missing(name),
            done(name),
        ]
    assert await dead(subject.queue) == 9
    got = Recorder()
    async with consuming(subject.queue, Lane.ADMISSION, got):
        await until(lambda: bool(got.ended))
        await asyncio.sleep(0.2)
    assert len(got.steps) == 1


async def test_what_dies_while_somebody_looks_is_not_lost(subject: Subject) -> None:
    stop = asyncio.Event()

    async def look_on() -> None:
        while not stop.is_set():
            await subject.dead.letters(limit=ALL)
            await asyncio.sleep(0)

    steps = some_steps(200)
    async with (
        subject.another_looker() as other,
        consuming(subject.queue, Lane.ADMISSION, Recorder(Settle.DEAD), concurrency=4),
    ):
        looking = asyncio.create_task(look_on())
        for number, step in enumerate(steps):
            await subject.queue.publish(step)
            if number % 50 == 49:
                # Somebody takes one away among all that.
                await until(lambda: _some_are_dead(subject))
                [first, *_] = await ids(other)
                assert await other.drop([first]) == done(first)
        await until(lambda: subject.events[QueueEvent.DEAD, Lane.ADMISSION] == 200)
        stop.set()
        await looking
        await until(lambda: _dead_are(subject, 196))
    left = steps_of(await subject.dead.letters(limit=ALL))
    assert len(left) == len(set(left)) == 196


async def test_all_letters_of_a_pile_can_be_requeued_one_by_one(subject: Subject) -> None:
    await died(subject, *some_steps(40))
    for name in await ids(subject.dead):
        assert await subject.dead.requeue([name]) == done(name)
    assert await dead(subject.queue) == 0
    got = Recorder()
    async with consuming(subject.queue, Lane.ADMISSION, got):
        await until(lambda: len(got.ended) == 40)


async def test_all_letters_of_a_pile_can_be_requeued_at_once_each_step_once_and_in_order(
    subject: Subject,
) -> None:
    steps = [a_step(reference=f"registry.example/app:{number}") for number in range(250)]
    await died(subject, *steps)
    names = await ids(subject.dead)
    assert await subject.dead.requeue(names) == done(*names)
    assert await ids(subject.dead) == []
    got = Recorder()
    async with consuming(subject.queue, Lane.ADMISSION, got, concurrency=1):
        await until(lambda: len(got.ended) == 250)
        await asyncio.sleep(0.2)
    assert [step.reference for step in got.steps] == [step.reference for step in steps]


async def test_many_letters_are_dropped_at_once_and_no_other(subject: Subject) -> None:
    await died(subject, *some_steps(250))
    names = await ids(subject.dead)
    meant = names[::-2]
    assert await subject.dead.drop([*meant, "gone", meant[0]]) == Ended(tuple(meant), ("gone",), {})
    assert await ids(subject.dead) == names[::2]


async def test_of_many_letters_what_is_no_step_fails_alone(subject: Subject) -> None:
    await died(subject, a_step(), b"no step", a_step(), b"none either")
    first, strange, second, stranger = await ids(subject.dead)
    ended = await subject.dead.requeue([stranger, second, "gone", strange, first])
    assert (ended.done, ended.missing) == ((second, first), ("gone",))
    assert list(ended.failed) == [stranger, strange]
    assert await ids(subject.dead) == [strange, stranger]


async def test_a_lane_that_becomes_full_ends_it_and_what_was_done_is_told(make: Make) -> None:
    async with make(max_ready=5) as subject:
        for _ in range(20):
            # No more at a time than the lane takes.
            await died(subject, *(a_step() for _ in range(5)))
        names = await ids(subject.dead)
        first, second = await subject.dead.requeue(names[:10]), await subject.dead.requeue(names)
        done_with = {*first.done, *second.done}
        # A broker's cap is soft.
        assert 5 <= len(done_with) < 100
        assert set(second.missing) == set(first.done)
        assert set(second.failed) == set(names) - done_with
        assert any("full" in why or "its cap" in why for why in second.failed.values())
        # Nothing is lost, nothing doubled.
        assert set(await ids(subject.dead)) == set(second.failed)
        assert await ready(subject.queue, Lane.ADMISSION) == len(done_with)


async def test_who_ends_the_same_letters_at_once_does_each_once(subject: Subject) -> None:
    await died(subject, *some_steps(150))
    names = await ids(subject.dead)
    async with subject.another_looker() as other:
        requeued, dropped = await asyncio.gather(
            subject.dead.requeue(names[:100]), other.drop(names[50:])
        )
    assert not {*requeued.done} & {*dropped.done}
    assert {*requeued.done} | {*dropped.done} == set(names)
    assert {*requeued.missing} | {*dropped.missing} == set(names[50:100])
    assert await ready(subject.queue, Lane.ADMISSION) == len(requeued.done)
