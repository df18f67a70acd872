"""`imagegate dead`, as a process of its own beside a running imagegate."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.domain.step import Lane
from tests.functional.cli.beside import Beside, beside
from tests.functional.cli.commands import imagegate, started


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Beside]:
    async with beside(tmp_path) as served:
        yield served


async def test_an_empty_pile_is_said(served: Beside, tmp_path: Path) -> None:
    ran = await imagegate("dead", "list", state=tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "no dead letters\n", "")


async def test_the_list_says_what_died_where_and_why(served: Beside, tmp_path: Path) -> None:
    letter = served.died("a.example/b:1", "anchore: 500", "anchore: [red]hung\nup")
    served.died_raw(b"\xff")
    ran = await imagegate("dead", "list", state=tmp_path, COLUMNS="200")
    assert ran.code == 0
    (line,) = [line for line in ran.out.splitlines() if letter in line]
    for words in ("check", "request a.example/b:1", "rejected", "anchore: [red]hung\\nup"):
        assert words in line
    assert "no step" in ran.out
    ran = await imagegate("dead", "list", "--limit", "1", "-o", "json", state=tmp_path)
    report = json.loads(ran.out)
    assert (report["total"], [row["id"] for row in report["letters"]]) == (2, [letter])


async def test_one_letter_is_shown_with_history_and_message(served: Beside, tmp_path: Path) -> None:
    letter = served.died("a.example/b:1", "anchore: 500", "anchore: hung")
    # The beginning of an id is enough where only one begins so.
    ran = await imagegate("dead", "show", letter[:-1], state=tmp_path)
    assert ran.code == 0
    for words in (
        f"dead letter {letter}",
        "what: request a.example/b:1",
        "attempts: 2 failed",
        "failure 1: anchore: 500",
        "failure 2: anchore: hung",
        '"reference":"a.example/b:1"',
    ):
        assert words in ran.out
    ran = await imagegate("dead", "show", letter, "-o", "json", state=tmp_path)
    assert json.loads(ran.out)["history"] == ["anchore: 500", "anchore: hung"]


async def test_a_letter_that_is_not_there_is_exit_code_one(served: Beside, tmp_path: Path) -> None:
    ran = await imagegate("dead", "show", "nothing", state=tmp_path)
    assert (ran.code, ran.out) == (1, "")
    assert "there is no dead letter nothing" in ran.err


async def test_what_is_requeued_stands_in_its_lane_again(served: Beside, tmp_path: Path) -> None:
    first = served.died("a.example/b:1", "x")
    second = served.died("a.example/b:2", lane=Lane.PREWARM)
    kept = served.died("a.example/b:3")
    ran = await imagegate("dead", "requeue", first, second[:15], state=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [f"requeued: {first}", f"requeued: {second}"]
    assert await served.ready() == {Lane.CHECK: 1, Lane.PREWARM: 1}
    assert served.dead == {kept}


async def test_what_is_dropped_is_gone(served: Beside, tmp_path: Path) -> None:
    gone, kept = served.died("a.example/b:1"), served.died("a.example/b:2")
    ran = await imagegate("dead", "drop", gone, "-o", "json", state=tmp_path)
    assert (ran.code, json.loads(ran.out)) == (0, {"done": [gone], "missing": [], "failed": {}})
    assert served.dead == {kept}
    assert await served.ready() == {}


async def test_some_that_were_not_there_are_exit_code_one(served: Beside, tmp_path: Path) -> None:
    letter = served.died("a.example/b:1")
    ran = await imagegate("dead", "drop", "nothing", letter, state=tmp_path)
    assert ran.code == 1
    assert ran.out.splitlines() == [f"dropped: {letter}", "not there (any more): nothing"]


async def test_a_beginning_of_several_ids_ends_nothing(served: Beside, tmp_path: Path) -> None:
    letters = {served.died(f"a.example/b:{number}") for number in range(40)}
    beginnings = [letter[0] for letter in letters]
    (shared_by_two, *_) = [one for one in beginnings if beginnings.count(one) > 1]
    ran = await imagegate("dead", "drop", shared_by_two, state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "begins several dead letters" in ran.err
    assert served.dead == letters


async def test_all_are_ended_only_when_that_is_meant(served: Beside, tmp_path: Path) -> None:
    letters = {served.died(f"a.example/b:{number}") for number in range(3)}
    ran = await imagegate("dead", "drop", "--all", state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "--all would drop all 3 dead letters: say --yes" in ran.err
    assert served.dead == letters
    ran = await imagegate("dead", "requeue", "--all", "--yes", state=tmp_path)
    assert (ran.code, len(ran.out.splitlines())) == (0, 3)
    assert served.dead == set()
    assert await served.ready() == {Lane.CHECK: 3}
    ran = await imagegate("dead", "drop", "--all", state=tmp_path)
    assert (ran.code, ran.out) == (0, "there are no dead letters\n")


async def test_thousands_are_ended_by_one_command_and_counted(
    served: Beside, tmp_path: Path
) -> None:
    for number in range(3_000):
        served.died(f"a.example/b:{number}")
    strange = served.died_raw(b"hello")
    ran = await imagegate("dead", "requeue", "--all", "--yes", state=tmp_path)
    assert ran.code == 2
    first, second = ran.out.splitlines()
    assert first == "requeued: 3000 dead letters"
    assert second.startswith(f"not requeued: {strange}: it cannot be tried again")
    assert served.dead == {strange}
    assert await served.ready() == {Lane.CHECK: 3_000}
    ran = await imagegate("dead", "drop", strange, "-o", "json", state=tmp_path)
    assert json.loads(ran.out)["done"] == [strange]


@pytest.mark.parametrize("arguments", [(), ("--all", "x")])
async def test_either_ids_or_all_are_named(
    served: Beside, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ran = await imagegate("dead", "drop", *arguments, state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "or all of them with --all" in ran.err


async def test_what_is_no_step_is_not_tried_again_and_holds_nothing_up(
    served: Beside, tmp_path: Path
) -> None:
    strange, step = served.died_raw(b"hello"), served.died("a.example/b:1")
    ran = await imagegate("dead", "requeue", "--all", "--yes", state=tmp_path)
    assert ran.code == 2
    assert f"requeued: {step}" in ran.out
    assert (
        f"not requeued: {strange}: it cannot be tried again: the message is not a step" in ran.out
    )
    assert served.dead == {strange}
    ran = await imagegate("dead", "drop", strange, state=tmp_path)
    assert (ran.code, served.dead) == (0, set())


async def test_a_broker_that_fails_ends_it_and_what_was_not_tried_is_said(
    served: Beside, tmp_path: Path
) -> None:
    letters = [served.died(f"a.example/b:{number}") for number in range(3)]
    # Depths answer, publishing does not.
    served.queue.full = "lane check holds its cap: try later"
    ran = await imagegate("dead", "requeue", *letters, "-o", "json", state=tmp_path)
    assert ran.code == 2
    assert json.loads(ran.out)["failed"] == {
        letters[0]: "lane check holds its cap: try later",
        letters[1]: "not tried after that",
        letters[2]: "not tried after that",
    }
    assert served.dead == set(letters)


async def test_a_console_shows_letters_and_ends_none(tmp_path: Path) -> None:
    named = {"IMAGEGATE_CONSOLE": "http://127.0.0.1:1", "IMAGEGATE_CONSOLE_TOKEN": "x" * 16}
    for order in ("requeue", "drop"):
        ran = await imagegate("dead", order, "some", state=tmp_path, **named)
        assert (ran.code, ran.out) == (2, "")
        assert "a console only shows" in ran.err
        assert "set REDIS_URL and AMQP_URL" in ran.err


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, 0), (b"n\n", 2, 2)])
async def test_a_person_at_a_terminal_is_asked_whether_all_is_meant(
    served: Beside, tmp_path: Path, answer: bytes, code: int, left: int
) -> None:
    for number in range(2):
        served.died(f"a.example/b:{number}")
    async with started("dead", "drop", "--all", state=tmp_path, terminal=True) as running:
        await running.printed("drop all 2 dead letters? [y/N]")
        running.type(answer)
        assert await running.ended() == code
    assert len(served.dead) == left
