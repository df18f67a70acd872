import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from shared.domain.errors import InvalidSettings
from shared.runtime.lifecycle import Lifecycle, run


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_stop_drains_then_cancels_what_is_left() -> None:
    life = Lifecycle()
    order: list[str] = []

    async def work() -> None:
        try:
            await for_ever()
        finally:
            order.append("cancelled")

    async def drain(timeout: float) -> None:
        assert timeout == 25.0
        order.append("drained")

    life.watch(work(), name="work")
    await asyncio.sleep(0)
    life.stop("test")
    assert await life.until_stopped(drain=drain) == 0
    assert order == ["drained", "cancelled"]


async def test_a_task_that_fails_stops_the_process_and_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = Lifecycle()

    async def work() -> None:
        raise ValueError("broken")

    life.watch(work(), name="consume check")
    assert await life.until_stopped() == 1
    assert life.failure == "task 'consume check' failed unexpectedly"
    assert "consume check" in caplog.text
    assert "broken" in caplog.text


@pytest.mark.parametrize("cancel", [True, False])
async def test_a_task_that_just_ends_stops_the_process_too(cancel: bool) -> None:
    life = Lifecycle()
    task = life.watch(asyncio.sleep(30 if cancel else 0), name="poll")
    if cancel:
        task.cancel()
    assert await life.until_stopped() == 1
    assert "poll" in life.failure


async def test_a_task_that_ends_while_stopping_is_no_failure() -> None:
    life = Lifecycle()
    life.watch(life.stopping.wait(), name="work")
    life.stop("test")
    assert await life.until_stopped() == 0


async def test_a_drain_that_hangs_is_cut_at_its_deadline(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = Lifecycle(drain_deadline=-0.99)
    life.stop("test")
    assert await life.until_stopped(drain=lambda _: for_ever()) == 0
    assert "drain cut short" in caplog.text


async def test_a_second_stop_ends_the_drain() -> None:
    life = Lifecycle(drain_deadline=3600)

    async def drain(_: float) -> None:
        life.stop("again")
        await for_ever()

    life.stop("first")
    assert await life.until_stopped(drain=drain) == 0


async def test_a_drain_that_fails_is_logged_and_the_rest_still_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = Lifecycle()
    task = life.watch(for_ever(), name="work")

    async def drain(_: float) -> None:
        raise ValueError("no broker")

    life.stop("test")
    assert await life.until_stopped(drain=drain) == 0
    assert "no broker" in caplog.text
    assert task.cancelled()


async def test_a_task_may_stop_the_process_itself() -> None:
    life = Lifecycle()

    async def show() -> None:
        life.stop("the show is over")

    life.watch(show(), name="show")
    assert await life.until_stopped() == 0


async def test_a_task_that_fails_while_stopping_is_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    life = Lifecycle()

    async def work() -> None:
        await life.stopping.wait()
        raise ValueError("late")

    life.watch(work(), name="work")
    await asyncio.sleep(0)
    life.stop("test")
    assert await life.until_stopped(drain=lambda _: asyncio.sleep(0)) == 0
    assert [r.levelno for r in caplog.records if "late" in caplog.text] == [logging.WARNING]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_process_and_its_exit_code_is_zero(
    number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "process.py"
    script.write_text(
        "import asyncio, sys\n"
        "from shared.runtime.lifecycle import run\n"
        "async def serve(life):\n"
        "    life.watch(asyncio.sleep(60), name='work')\n"
        "    print('ready', flush=True)\n"
        "    return await life.until_stopped()\n"
        "sys.exit(run(serve))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert await process.wait() == 0


def test_an_error_at_the_start_is_the_only_thing_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def serve(life: Lifecycle) -> int:
        life.watch(for_ever(), name="listen")
        await asyncio.sleep(0)
        raise InvalidSettings("cannot listen on 127.0.0.1:1")

    with pytest.raises(InvalidSettings, match="cannot listen"):
        run(serve)
    assert caplog.text == ""


def test_run_gives_the_exit_code_on_uvloop() -> None:
    async def serve(life: Lifecycle) -> int:
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        os.kill(os.getpid(), signal.SIGTERM)
        return 40 + await life.until_stopped()

    assert run(serve) == 40


def test_the_loop_need_not_wait_long_for_a_thread_that_computes() -> None:
    async def serve(life: Lifecycle) -> int:
        """How long a turn of such a thread is, in microseconds."""
        return round(sys.getswitchinterval() * 1_000_000)

    before = sys.getswitchinterval()
    try:
        assert run(serve) == 500
    finally:
        sys.setswitchinterval(before)


@pytest.mark.virtual_time
async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    life = Lifecycle(cancel_grace=0.05)
    began = asyncio.Event()

    async def stubborn() -> None:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    task = life.watch(stubborn(), name="stubborn")
    await began.wait()
    async with asyncio.timeout(5):
        await life.cancel_tasks()
    assert task.cancelled()


def test_a_name_that_is_looked_up_for_nobody_any_more_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def serve(life: Lifecycle) -> int:
        connecting = asyncio.create_task(asyncio.open_connection("nobody.invalid", 1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        connecting.cancel()
        await asyncio.wait([connecting])
        del connecting
        async with asyncio.timeout(30):
            while "nobody waited for" not in caplog.text:
                await asyncio.sleep(0.01)
                gc.collect()
        return 0

    assert run(serve) == 0
    assert all(record.levelno == logging.DEBUG for record in caplog.records)


def test_any_other_error_that_nobody_heard_of_is_one(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> None:
        raise socket.gaierror(-2, "a name of ours")

    async def serve(life: Lifecycle) -> int:
        asyncio.get_running_loop().create_future().set_exception(OSError("a disc is full"))
        await asyncio.wait([asyncio.create_task(ask())])
        gc.collect()
        return 0

    assert run(serve) == 0
    assert "a disc is full" in caplog.text
    assert "a name of ours" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_an_error_where_none_can_be_raised_is_an_event(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    class Breaks:
        def __del__(self) -> None:
            raise ValueError("a mistake")

    async def serve(life: Lifecycle) -> int:
        Breaks()
        return 0

    def of_before(unraisable: object) -> None:
        raise AssertionError(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, of_before
    try:
        assert run(serve) == 0
        assert sys.unraisablehook is of_before
    finally:
        sys.unraisablehook = hook
    (said,) = caplog.records
    assert said.levelno == logging.ERROR
    assert said.exc_info is not None
    assert str(said.exc_info[1]) == "a mistake"
    assert capfd.readouterr().err == ""
