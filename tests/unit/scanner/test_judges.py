"""Judges: bounded in time, replaced when they hang or die."""

import asyncio
import json
import os
import shlex
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.scanner.judging.judges import JUDGE, Judges, open_judges
from services.scanner.judging.questions import (
    Accepted,
    Evaluate,
    Evaluated,
    Failed,
    ReadFacts,
    Refused,
    Validate,
)
from services.scanner.matching.finding import Matches, WrittenMatches
from tests.unit.scanner.samples import TAG, baseline, bundle_of, facts, rule

GOOD = Validate(json.dumps(baseline()).encode())
IN_TIME = 5.0
"""Seconds: what has an end is answered by then, also on a machine that stands still meanwhile."""


@pytest.fixture
async def judges() -> AsyncIterator[Judges]:
    async with open_judges(count=1, seconds=20.0) as opened:
        yield opened


def endless() -> Evaluate:
    """A question whose regular expression takes longer than anybody has."""
    asked = rule("dockerfile", "instruction", instruction="RUN", check="like", value="(a+)+$")
    image = facts(dockerfile=f"RUN {'a' * 64}!\n")
    return Evaluate(
        bundle=json.dumps(bundle_of(asked)).encode(),
        matches=WrittenMatches.of(Matches(data="none", group="debian:12")),
        facts=msgspec.json.encode(image),
        digest="sha256:0",
        image_id="0",
        fulltag=TAG,
        now=0,
    )


def environment(process: int) -> bytes:
    return Path(f"/proc/{process}/environ").read_bytes()


def network(process: int | str) -> str:
    return os.readlink(f"/proc/{process}/ns/net")


def may_leave_the_network() -> bool:
    command = ("unshare", "--user", "--net", "true")
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def children() -> set[int]:
    """Processes of ours that run a judge."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                status = (entry / "status").read_text()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if f"PPid:\t{os.getpid()}\n" in status and b"services.scanner.judging.judge" in command:
                found.add(int(entry.name))
    return found


async def test_a_bundle_is_accepted_or_refused(judges: Judges) -> None:
    assert await judges.ask(GOOD) == Accepted("oci-baseline", "OCI baseline")
    wrong = json.dumps(bundle_of(rule("nosuch", "x"))).encode()
    answer = await judges.ask(Validate(wrong))
    assert isinstance(answer, Refused)
    assert answer.problems[0].problem_type == "GateNotFoundError"
    assert await judges.ask(Validate(b"{")) == Refused(
        shape="Request body is not valid JSON: Input data was truncated"
    )


async def test_an_evaluation_is_answered_with_engines_result(judges: Judges) -> None:
    question = msgspec.structs.replace(endless(), bundle=GOOD.bundle)

    answer = await judges.ask(question)
    assert isinstance(answer, Evaluated)
    assert msgspec.json.decode(answer.result)["tag"] == TAG


async def test_a_question_that_takes_too_long_fails_and_the_next_one_is_answered() -> None:
    async with open_judges(count=1, seconds=IN_TIME) as judges:
        await judges.ask(GOOD)
        before = children()
        answer = await judges.ask(endless())

        assert isinstance(answer, Failed)
        assert answer.problem_type == "EvaluationTimeout"
        assert children().isdisjoint(before)
        assert isinstance(await judges.ask(GOOD), Accepted)


async def test_the_time_of_a_question_begins_when_its_judge_can_read_it() -> None:
    late = ("/bin/sh", "-c", f"sleep {IN_TIME + 1}; exec {shlex.join(JUDGE)}")
    async with open_judges(count=1, seconds=IN_TIME, command=late) as judges:
        assert isinstance(await judges.ask(GOOD), Accepted)


async def test_a_judge_that_cannot_be_started_is_told() -> None:
    async with open_judges(count=1, seconds=20.0, command=("/bin/false",)) as judges:
        answer = await judges.ask(GOOD)
        assert isinstance(answer, Failed)
        assert answer.problem_type == "EvaluationCrashed"


async def test_a_judge_that_died_is_replaced_unseen(judges: Judges) -> None:
    await judges.ask(GOOD)
    (judge,) = children()
    os.kill(judge, signal.SIGKILL)

    assert isinstance(await judges.ask(GOOD), Accepted)
    assert judge not in children()


async def test_a_judge_that_dies_over_a_question_gives_it_up(judges: Judges) -> None:
    question = asyncio.ensure_future(judges.ask(endless()))
    killed: set[int] = set()
    while not question.done():
        for judge in children() - killed:
            await asyncio.sleep(0.3)
            os.kill(judge, signal.SIGKILL)
            killed.add(judge)
        await asyncio.sleep(0.05)

    assert question.result() == Failed(
        "EvaluationCrashed", "the evaluating process died twice over it"
    )
    assert len(killed) == 2


async def test_what_one_asker_gives_up_does_not_stop_the_others(judges: Judges) -> None:
    question = asyncio.ensure_future(judges.ask(endless()))
    await asyncio.sleep(0.5)
    question.cancel()

    assert isinstance(await judges.ask(GOOD), Accepted)


async def test_an_input_that_breaks_the_reading_is_told(judges: Judges, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_bytes(b"{}")

    missing = await judges.ask(
        ReadFacts(
            listing=str(tmp_path / "no"),
            contents=str(config),
            config=str(config),
            dockerfile=None,
            layers=1,
        )
    )
    assert isinstance(missing, Failed)
    assert missing.problem_type == "FileNotFoundError"


async def test_no_judge_outlives_the_block() -> None:
    async with open_judges(count=2, seconds=20.0) as judges:
        await asyncio.gather(judges.ask(GOOD), judges.ask(GOOD))
        assert len(children()) == 2

    assert children() == set()


async def test_a_judge_has_no_secret_of_the_server_in_its_environment(
    judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEGATE_SCANNER_PASSWORD", "hunter2-hunter2")
    before = children()
    assert isinstance(await judges.ask(GOOD), Accepted)
    (judge,) = children() - before
    assert b"hunter2" not in environment(judge)


async def test_a_judge_has_no_network_where_the_system_can_keep_it_away(judges: Judges) -> None:
    before = children()
    assert isinstance(await judges.ask(GOOD), Accepted)
    (judge,) = children() - before
    assert (network(judge) != network("self")) is may_leave_the_network()
