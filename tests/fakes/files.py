"""A server of files as object stores are: ETags, ranges, hashes; and everything that goes wrong."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from ssl import SSLContext

from aiohttp import web

Fault = Callable[["FakeFiles", web.Request], Awaitable[web.StreamResponse | None]]
"""Instead of the answer; None: the answer after all."""

START = 1_760_000_000


class FakeFiles:
    """`http://127.0.0.1:PORT`; `faults` are used up one a request, `always` stays."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, bytes] = {}
        self.made: dict[str, int] = {}
        """Last-Modified, s since the epoch; else `START`."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.faults: list[Fault] = []
        self.always: Fault | None = None
        self.hashes = True
        self.etags = True
        self.pace: float = 0.0
        """Seconds before each 64 KiB."""

    @property
    def ranges(self) -> list[str]:
        """The Range of each request; empty: all of the file."""
        return [headers.get("Range", "") for _, headers in self.asked]

    def head_of(self, path: str) -> dict[str, str]:
        """What is said of a file's state."""
        body = self.files[path]
        md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        said = {"Last-Modified": formatdate(self.made.get(path, START), usegmt=True)}
        if self.etags:
            said["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if self.hashes:
            said["x-goog-hash"] = f"crc32c=AAAAAA==,md5={md5}"
        return said

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.asked.append((request.path, dict(request.headers)))
        fault = self.faults.pop(0) if self.faults else self.always
        if fault is not None and (answer := await fault(self, request)) is not None:
            return answer
        return await self.plain(request)

    async def plain(self, request: web.Request) -> web.StreamResponse:
        """As a good server answers."""
        if request.path not in self.files:
            return web.Response(status=404, text="NoSuchKey")
        head, body = self.head_of(request.path), self.files[request.path]
        if self.etags and request.headers.get("If-None-Match") == head["ETag"]:
            return web.Response(status=304, headers=head)
        if request.headers.get("If-Modified-Since") == head["Last-Modified"]:
            return web.Response(status=304, headers=head)
        start = self.start_of(request, head)
        if start >= len(body) > 0:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
        if start:
            head["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return await self.send(request, body[start:], status=206 if start else 200, headers=head)

    def start_of(self, request: web.Request, head: dict[str, str]) -> int:
        """The first byte that is asked for, if it is of this state."""
        wanted = request.headers.get("Range", "")
        if not wanted or request.headers.get("If-Range", head.get("ETag")) != head.get("ETag"):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    async def send(
        self,
        request: web.Request,
        body: bytes,
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
        length: int | None = None,
        cut: int | None = None,
        stall: bool = False,
    ) -> web.StreamResponse:
        """A body; `length`: what is said of it; `cut`: bytes until the connection ends, or
        stays silent."""
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body) if length is None else length
        await response.prepare(request)
        body = body if cut is None else body[:cut]
        for at in range(0, len(body), 65_536):
            if self.pace:
                await asyncio.sleep(self.pace)
            await response.write(body[at : at + 65_536])
        if stall:
            await asyncio.sleep(3600)
        if cut is not None and request.transport:
            await asyncio.sleep(0.02)  # who reads in this loop gets what was sent
            request.transport.close()
            return response
        await response.write_eof()
        return response


def cut_after(size: int) -> Fault:
    """The connection ends after `size` bytes of what was asked for."""

    async def fault(server: FakeFiles, request: web.Request) -> web.StreamResponse:
        head, body = server.head_of(request.path), server.files[request.path]
        start = server.start_of(request, head)
        if start:
            head["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return await server.send(
            request, body[start:], status=206 if start else 200, headers=head, cut=size
        )

    return fault


def stall_after(size: int) -> Fault:
    """Silence after `size` bytes."""

    async def fault(server: FakeFiles, request: web.Request) -> web.StreamResponse:
        head, body = server.head_of(request.path), server.files[request.path]
        return await server.send(request, body, headers=head, cut=size, stall=True)

    return fault


def whole_again() -> Fault:
    """All of it, whatever was asked for."""

    async def fault(server: FakeFiles, request: web.Request) -> web.StreamResponse:
        return await server.send(
            request, server.files[request.path], headers=server.head_of(request.path)
        )

    return fault


def status(code: int, **headers: str) -> Fault:
    """An answer without a file; `Retry_After="1"` is a header."""

    async def fault(_: FakeFiles, __: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=code, headers=named, text="no")

    return fault


def first(work: Callable[[FakeFiles], None]) -> Fault:
    """Something happens to the server, then it answers."""

    async def fault(server: FakeFiles, _: web.Request) -> None:
        work(server)

    return fault


@asynccontextmanager
async def file_server(*, tls: SSLContext | None = None) -> AsyncIterator[FakeFiles]:
    """One on a free port."""
    files = FakeFiles()
    app = web.Application()
    app.router.add_get("/{path:.*}", files.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        files.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
        yield files
    finally:
        await runner.cleanup()
