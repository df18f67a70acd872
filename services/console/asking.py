"""Asking a server that may not answer: an error is an answer, too."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from shared.domain.errors import ImagegateError

TIMEOUT = 5.0
"""Seconds that one question may take."""

Answer = TypeVar("Answer")


class NoAnswer(ImagegateError):
    """A server took longer than TIMEOUT."""


async def heard(asked: Awaitable[Answer]) -> Answer | ImagegateError:
    """The answer, or why there is none."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return await asked
    except TimeoutError:
        return NoAnswer(f"no answer in {TIMEOUT:g} s")
    except ImagegateError as error:
        return error
