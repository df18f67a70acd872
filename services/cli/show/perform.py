"""Running the show inside a process that may be told to stop meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from rich.console import Console

from services.cli.show.outcomes import Result
from services.cli.show.report import print_result
from shared.runtime.lifecycle import Lifecycle

Done = TypeVar("Done")


async def unless_stopped(life: Lifecycle, work: Coroutine[Any, Any, Done]) -> Done | None:
    """The result of `work`; None when the process was told to stop before it was there."""
    working = asyncio.create_task(work, name="show")
    stopping = asyncio.create_task(life.stopping.wait(), name="stopping")
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def tell(console: Console, result: Result | None) -> bool:
    """Print what came of the show; whether all of it was as expected."""
    if result is None:
        console.print("stopped before the show was over", style="yellow")
        return False
    print_result(console, result)
    return result.as_expected
