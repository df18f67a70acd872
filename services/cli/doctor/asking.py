"""Asking what may not answer: why there is no answer is a remark."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.cli.doctor.remarks import Remark, unasked
from shared.domain.errors import ImagegateError

PATIENCE = 30.0
"""Seconds that one question may take."""

Answer = TypeVar("Answer")


async def heard(
    part: str, ask: Callable[[], Awaitable[Answer]], *, patience: float = PATIENCE
) -> Answer | Remark:
    """The answer, or why there is none."""
    try:
        async with asyncio.timeout(patience):
            return await ask()
    except TimeoutError:
        return unasked(part, f"no answer within {patience:g} s", "look whether it is up")
    except ImagegateError as error:
        return unasked(part, str(error), "")
