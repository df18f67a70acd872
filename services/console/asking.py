"""Asking a server that may not answer: an error is an answer, too."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.domain.errors import ImagegateError

TIMEOUT = 5.0
"""Seconds that one question may take."""

Answer = TypeVar("Answer")


class NoAnswer(ImagegateError):
    """A server took longer than it was given."""


async def heard(
    ask: Callable[[], Awaitable[Answer]], *, timeout: float = TIMEOUT
) -> Answer | ImagegateError:
    """The answer, or why there is none after at most `timeout` seconds.

    The question is made here: one that was made before would be left over where this is cancelled
    before it began.
    """
    try:
        async with asyncio.timeout(timeout):
            return await ask()
    except TimeoutError:
        return NoAnswer(f"no answer in {timeout:g} s")
    except ImagegateError as error:
        return error
