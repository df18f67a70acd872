"""The judges: child processes that answer one question each at a time, within a time limit.

One that hangs is killed with all it started, one that died is replaced; in both cases the
question is answered with `Failed`, and a question whose judge died is asked once more. The time
is the question's own: on a busy machine a judge may need seconds until it can read one.
"""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from services.scanner.judging.confined import Limits, kill_group, start_confined
from services.scanner.judging.questions import LENGTH, MAX_FRAME, READY, Answer, Failed, Question

log = logging.getLogger(__name__)

START_SECONDS = 60.0
"""Until a judge says that it is there."""

JUDGE = (sys.executable, "-P", "-m", "services.scanner.judging.judge")
_MEMORY = 2 * 1024**3
_answers = msgspec.json.Decoder(Answer)


class _JudgeDied(Exception):
    pass


class Judges:
    """At most `count` child processes, started when they are needed."""

    def __init__(
        self,
        *,
        count: int,
        seconds: float,
        replaced: Callable[[], None] = lambda: None,
        command: Sequence[str] = JUDGE,
    ) -> None:
        """`replaced` hears of each judge that hung or died over a question."""
        self._seconds = seconds
        self._replaced = replaced
        self._command = command
        self._free: asyncio.LifoQueue[Process | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._free.put_nowait(None)
        self._running: set[Process] = set()

    async def ask(self, question: Question) -> Answer:
        """The answer, or `Failed` when a judge hung or died over it."""
        frame = msgspec.json.encode(question)
        if len(frame) > MAX_FRAME:
            return Failed("QuestionTooLarge", f"{len(frame)} bytes, over {MAX_FRAME}")
        try:
            try:
                return await self._ask(frame)
            except _JudgeDied:
                self._replaced()
                return await self._ask(frame)
        except _JudgeDied:
            self._replaced()
            log.warning("judge died twice over one question")
            return Failed("EvaluationCrashed", "the evaluating process died twice over it")
        except TimeoutError:
            self._replaced()
            log.warning("judge killed: no answer in time", extra={"seconds": self._seconds})
            return Failed("EvaluationTimeout", f"no result in {self._seconds:g} s")

    async def close(self) -> None:
        """Kill them all."""
        for process in list(self._running):
            await self._end(process)

    async def _ask(self, frame: bytes) -> Answer:
        process = await self._free.get()
        kept: Process | None = None
        try:
            if process is None or process.returncode is not None:
                process = await self._start(process)
            async with asyncio.timeout(self._seconds):
                answer = await _exchange(process, frame)
            kept = process
            return answer
        finally:
            if kept is None and process is not None:
                await self._end(process)
            self._free.put_nowait(kept)

    async def _start(self, former: Process | None) -> Process:
        if former is not None:
            await self._end(former)
        process = await start_confined(
            self._command,
            limits=Limits(address_space=_MEMORY, network=False),
            env={"PATH": os.defpath},
            stdin=PIPE,
            stdout=PIPE,
            stderr=None,
        )
        self._running.add(process)
        try:
            await _there(process)
        except BaseException:
            await self._end(process)
            raise
        return process

    async def _end(self, process: Process) -> None:
        self._running.discard(process)
        await kill_group(process)


@asynccontextmanager
async def open_judges(
    *,
    count: int,
    seconds: float,
    replaced: Callable[[], None] = lambda: None,
    command: Sequence[str] = JUDGE,
) -> AsyncIterator[Judges]:
    """Judges that are gone at the end."""
    judges = Judges(count=count, seconds=seconds, replaced=replaced, command=command)
    try:
        yield judges
    finally:
        await judges.close()


async def _there(process: Process) -> None:
    """Returns once it reads questions. Raises _JudgeDied."""
    if process.stdout is None:
        raise _JudgeDied
    try:
        async with asyncio.timeout(START_SECONDS):
            await process.stdout.readexactly(len(READY))
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise _JudgeDied from error


async def _exchange(process: Process, frame: bytes) -> Answer:
    """Raises _JudgeDied when the answer is none."""
    if process.stdin is None or process.stdout is None:
        raise _JudgeDied
    try:
        process.stdin.write(LENGTH.pack(len(frame)) + frame)
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        if length > MAX_FRAME:
            raise _JudgeDied
        answer: Answer = _answers.decode(await process.stdout.readexactly(length))
    except (OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
        raise _JudgeDied from error
    return answer
