"""The stream of server-sent events over HTTP."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from services.console.edge.guard import Guard
from services.console.observer import Observer
from services.console.watchers import Watcher

WRITE_TIMEOUT = 10.0
"""Seconds that a watcher may take to read one event."""

LAST_WORDS = 1.0

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
        response = web.StreamResponse(headers=HEADERS)
        with self._observer.watching() as watcher, self._until_its_session_ends(request, watcher):
            try:
                await response.prepare(request)
                while (what := await watcher.next()) is not None:
                    async with asyncio.timeout(WRITE_TIMEOUT):
                        await response.write(what)
                async with asyncio.timeout(LAST_WORDS):
                    await response.write_eof()
            except (TimeoutError, ConnectionError):
                # It does not read, or is gone: what is on its way would be kept for ever.
                if request.transport is not None:
                    request.transport.abort()
        return response

    @contextmanager
    def _until_its_session_ends(self, request: web.Request, watcher: Watcher) -> Iterator[None]:
        left = self._guard.left(request)
        if left is None and "Authorization" in request.headers:
            yield
            return
        # None: it ended since the guard looked, and must not become a stream without an end.
        end = asyncio.get_running_loop().call_later(left or 0.0, watcher.end)
        try:
            yield
        finally:
            end.cancel()
