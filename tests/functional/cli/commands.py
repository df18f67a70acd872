"""Running the real command as a process of its own."""

import asyncio
import sys
from pathlib import Path

import msgspec

REPOSITORY = Path(__file__).parents[3]


class Ran(msgspec.Struct, frozen=True):
    code: int
    out: str
    err: str


async def imagegate(*arguments: str, state: Path, **environ: str) -> Ran:
    """Run `imagegate ARGUMENTS` with nothing in its environment but what is given."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.cli",
        *arguments,
        cwd=REPOSITORY,
        env={"IMAGEGATE_STATE": str(state), "PYTHONWARNINGS": "error", **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Ran(process.returncode or 0, out.decode(), err.decode())
