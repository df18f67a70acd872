"""The stream of server-sent events over HTTP."""

import asyncio
import logging

from aiohttp import web

from services.console.edge.guard import Guard
from services.console.observer import Observer

log = logging.getLogger(__name__)

WRITE_TIMEOUT = 10.0
"""Seconds that a watcher may take to read one event."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    # nginx would keep the events back.
    "X-Accel-Buffering": "no",
}


class Stream:
    """Server-sent events, as long as session, console and the reader's patience last."""

    def __init__(self, *, observer: Observer, guard: Guard) -> None:
        self._observer = observer
        self._guard = guard

    async def watch(self, request: web.Request) -> web.StreamResponse:
        with self._observer.watching() as watcher:
            response = web.StreamResponse(headers=HEADERS)
            await response.prepare(request)
            try:
                async with asyncio.timeout(self._guard.left(request)):
                    while (what := await watcher.next()) is not None:
                        async with asyncio.timeout(WRITE_TIMEOUT):
                            await response.write(what)
            except TimeoutError:
                log.debug("a watcher's time is over")
            await _end(request, response)
            return response


async def _end(request: web.Request, response: web.StreamResponse) -> None:
    """Who does not read does not get the rest either: it would be kept for ever."""
    try:
        async with asyncio.timeout(1.0):
            await response.write_eof()
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
