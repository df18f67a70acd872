"""How figures are printed, and load is made."""

import asyncio
import os
import sys

import msgspec

from tests.bench.envelopes import Envelopes
from tests.bench.load import Load, Report

LAST_CORE = max(os.sched_getaffinity(0))
FIRST_CORE = min(os.sched_getaffinity(0))


def figure(name: str, value: float, unit: str, *, goal: str = "") -> None:
    """One line: `name: value unit`."""
    sys.stdout.write(f"{name}: {value:.3g} {unit}{f'  (goal: {goal})' if goal else ''}\n")
    sys.stdout.flush()


def remark(text: str) -> None:
    """What stands beside the figures."""
    sys.stdout.write(f"# {text}\n")
    sys.stdout.flush()


def keep_to_first_core() -> None:
    """The measured process has one core of its own; load comes from the last one."""
    os.sched_setaffinity(0, {FIRST_CORE})


async def load(load: Load | Envelopes) -> Report:
    """Run a load in a process of its own, on the last core."""
    module = "tests.bench.load" if isinstance(load, Load) else "tests.bench.envelopes"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        msgspec.json.encode(load).decode(),
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {LAST_CORE}),
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load ended with exit code {process.returncode}")
    return msgspec.json.decode(output, type=Report)
