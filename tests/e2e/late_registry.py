"""A registry that hands out some images' layers only when it is told to: their scans last so long.

It answers in a thread of its own, so that a test may wait for kubectl meanwhile.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from aiohttp import web

from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry, Fault, Seen

T = TypeVar("T")

TRICKLE = 2.0
"""Seconds between two bytes: below what a puller takes for a dead connection. A layer of some kB
lasts for hours."""


class LateRegistry:
    """`with LateRegistry() as late`, `image = late.hold(content, "team/app:1")`, `late.release`."""

    def __init__(self) -> None:
        self._registry = FakeRegistry()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="late registry")
        self._released: dict[str, asyncio.Event] = {}

    @property
    def host(self) -> str:
        """As in a reference."""
        return self._registry.host

    def __enter__(self) -> Self:
        self._thread.start()
        self._there(self._registry.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._there(self._registry.__aexit__(kind, error, traceback))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def hold(self, content: Content, name: str) -> str:
        """Push as `PATH:TAG`; what names it. Nobody gets its layers until `release`."""
        return self._there(self._hold(content, name))

    def release(self, image: str) -> None:
        """Whoever pulls it gets the rest at once."""
        self._loop.call_soon_threadsafe(self._released[image].set)

    def asked(self, what: str) -> list[Seen]:
        """The requests so far whose path holds `what`."""
        return self._registry.asked(what)

    async def _hold(self, content: Content, name: str) -> str:
        image = str(self._registry.put(content, name))
        released = self._released[image] = asyncio.Event()
        for layer in msgspec.json.decode(content.manifest)["layers"]:
            body = content.blobs[layer["digest"]]
            self._registry.fault(layer["digest"], _trickle(body, released))
        return image

    def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)


def _trickle(body: bytes, released: asyncio.Event) -> Fault:
    async def fault(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        response.content_length = len(body)
        await response.prepare(request)
        sent = 0
        while sent < len(body) - 1 and not released.is_set():
            await response.write(body[sent : sent + 1])
            sent += 1
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRICKLE):
                    await released.wait()
        await released.wait()
        await response.write(body[sent:])
        return response

    return fault
