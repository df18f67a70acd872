"""Serving on a port or a Unix socket, as a context manager, and reading what is sent there."""

import asyncio
import errno
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import StreamReader, web

from shared.domain.errors import ImagegateError, InvalidSettings

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""Answers every request of a site that needs no router: aiohttp's own costs 5 microseconds each."""


class BodyRefused(ImagegateError):
    """A body that is not taken. `status` is the HTTP status to answer with; the connection is not
    worth keeping, since a stranger may send the rest of it without end."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class BodyLimits(msgspec.Struct, frozen=True):
    """How much is read, and for how long."""

    most: int
    """Bytes."""
    seconds: float = 5.0
    setting: str = ""
    """What is set to have larger ones read; empty: nothing."""


class Bound(msgspec.Struct, frozen=True):
    """Where a site answers."""

    host: str
    port: int
    url: str
    """`https://127.0.0.1:8443`, without a slash at the end."""


async def read_body(http: web.BaseRequest, limits: BodyLimits) -> bytes:
    """The whole body, as it was sent; raises BodyRefused (408, 413, 415)."""
    if http.headers.get("Content-Encoding", "identity") != "identity":
        raise BodyRefused("send the body without Content-Encoding", status=415)
    if (http.content_length or 0) > limits.most:
        raise _too_large(limits)
    try:
        # All of a small one is there already: it needs neither a timer nor another copy.
        if http.content.is_eof():
            body = http.content.read_nowait()
        else:
            async with asyncio.timeout(limits.seconds):
                body = await _to_its_end(http.content, limits)
    except TimeoutError as error:
        message = f"the body did not come within {limits.seconds:g} s"
        raise BodyRefused(message, status=408) from error
    if len(body) > limits.most:
        raise _too_large(limits)
    return body


async def _to_its_end(content: StreamReader, limits: BodyLimits) -> bytes:
    body = bytearray()
    while chunk := await content.readany():
        body += chunk
        if len(body) > limits.most:
            raise _too_large(limits)
    return bytes(body)


def _too_large(limits: BodyLimits) -> BodyRefused:
    more = f" ({limits.setting})" if limits.setting else ""
    return BodyRefused(f"the body is larger than {limits.most} bytes{more}", status=413)


@asynccontextmanager
async def serve(
    app: web.Application | Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    keepalive: float = 75.0,
    shutdown: float = 5.0,
) -> AsyncIterator[Bound]:
    """Serve `app`, an application or the one handler of all requests; port 0 chooses a free one.
    At the end requests get `shutdown` seconds.

    A handler is cancelled when its client is gone. Raises InvalidSettings when the address
    cannot be had.
    """
    async with _runner(app, keepalive=keepalive, shutdown=shutdown) as runner:
        site = web.TCPSite(runner, host, port, ssl_context=tls, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            raise InvalidSettings(f"cannot listen on {host}:{port}: {_why(error)}") from error
        bound = int(runner.addresses[0][1])
        shown = f"[{host}]" if ":" in host else host
        yield Bound(host, bound, f"{'https' if tls else 'http'}://{shown}:{bound}")


@asynccontextmanager
async def serve_unix(
    app: web.Application, path: Path, *, shutdown: float = 2.0
) -> AsyncIterator[Path]:
    """Serve `app` on a socket that only its owner may use (0600); removes it at the end.

    Raises InvalidSettings when another process answers there, or the path cannot be had.
    """
    async with _runner(app, keepalive=5.0, shutdown=shutdown) as runner:
        listening = _listen_privately(path)
        try:
            await web.SockSite(runner, listening).start()
            yield path
        finally:
            _unlink(path)


LINGERING = 1.0
"""Seconds in which the rest of a refused body is read and thrown away, so that whoever sends it
comes to read the refusal."""


@asynccontextmanager
async def _runner(
    app: web.Application | Handler, *, keepalive: float, shutdown: float
) -> AsyncIterator[web.BaseRunner]:
    # Nobody of ours reads a packed body; unpacking a stranger's held the loop for seconds, also
    # where it has been refused already.
    options: dict[str, Any] = {
        "access_log": None,
        "handler_cancellation": True,
        "auto_decompress": False,
        "keepalive_timeout": keepalive,
        "lingering_time": LINGERING,
    }
    runner: web.BaseRunner
    if isinstance(app, web.Application):
        runner = web.AppRunner(app, shutdown_timeout=shutdown, **options)
    else:
        runner = web.ServerRunner(web.Server(app, **options), shutdown_timeout=shutdown)
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


PORT_SETTINGS = (
    "IMAGEGATE_PORT, IMAGEGATE_INTAKE_PORT, IMAGEGATE_CONSOLE_PORT, IMAGEGATE_HEALTH_PORT, or "
    "--port, --intake-port, --console-port and --health-port of `up`"
)


def _why(error: OSError) -> str:
    """In the system's own words: asyncio's repeat the address."""
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}; name an address of this machine"
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    if error.errno == errno.EADDRINUSE:
        return f"{reason}; stop what uses it or choose another port ({PORT_SETTINGS})"
    return f"{reason}; choose another address or port"


def _listen_privately(path: Path) -> socket.socket:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX)
    # The mode must hold from the first moment: set before bind, not by chmod after it.
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError as error:
        listening.close()
        raise InvalidSettings(
            f"cannot make the socket {path}: {error.strerror or error}; choose a shorter or "
            "writable state folder"
        ) from error
    finally:
        os.umask(before)
    listening.setblocking(False)
    return listening


def _remove_stale(path: Path) -> None:
    """Remove the socket of a process that is gone."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise InvalidSettings(f"{path} is in the way and is not a socket: remove it")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            _unlink(path)
            return
    raise InvalidSettings(f"another process answers on {path}: stop it, or use another folder")


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
