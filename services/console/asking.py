"""Asking a server that may not answer: an error is an answer, too."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from shared.domain.errors import ImagegateError

TIMEOUT = 5.0
"""Seconds that one question may take."""

Answer = TypeVar("Answer")


class NoAnswer(ImagegateError):
    """A server took longer than it was given."""


async def heard(asked: Awaitable[Answer], *, timeout: float = TIMEOUT) -> Answer | ImagegateError:
    """The answer, or why there is none after at most `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            return await asked
    except TimeoutError:
        return NoAnswer(f"no answer in {timeout:g} s")
    except ImagegateError as error:
        return error
