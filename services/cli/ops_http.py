"""The operator's questions over a Unix socket: how commands work beside `imagegate up`.

The socket has mode 0600 in the state folder: who may connect may ask. Answers are the structs
of `services.console.ops` and `services.cli.scans` as JSON; an error is `{"error": "..."}`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec
from aiohttp import web

from services.cli.scans import MAX_DOCKERFILE, ImageState, ScanStarted, ScansView
from services.console.rows import VerdictRow
from services.console.view import OpsView, QueueReport, StatusReport
from shared.domain.errors import ImagegateError

SOCKET = "ops.sock"
TIMEOUT = 30.0
MAX_LIMIT = 10_000

Answer = TypeVar("Answer")
Ask = Callable[[web.Request], Awaitable[object]]


class OpsUnavailable(ImagegateError):
    """The socket did not answer, or answered with an error of its own."""


class ScanWanted(msgspec.Struct, frozen=True):
    """The body of POST /scans."""

    image: str
    dockerfile: bytes | None = None


def ops_app(*, ops: OpsView, scans: ScansView) -> web.Application:
    """Serve both over HTTP; to be bound to a private socket only."""

    async def queue(_: web.Request) -> object:
        return await ops.queue()

    async def verdicts(request: web.Request) -> object:
        limit = msgspec.convert(request.query.get("limit", "100"), int, strict=False)
        image = request.query.get("image", "")
        return await ops.verdicts(limit=max(1, min(limit, MAX_LIMIT)), image=image)

    async def status(_: web.Request) -> object:
        return await ops.status()

    async def start(request: web.Request) -> object:
        wanted = msgspec.json.decode(await request.read(), type=ScanWanted)
        return await scans.start(wanted.image, dockerfile=wanted.dockerfile)

    async def state(request: web.Request) -> object:
        return await scans.state(request.query.get("image", ""))

    # A Dockerfile travels as base64, a third larger than it is.
    app = web.Application(client_max_size=2 * MAX_DOCKERFILE)
    app.router.add_get("/queue", _json(queue))
    app.router.add_get("/verdicts", _json(verdicts))
    app.router.add_get("/status", _json(status))
    app.router.add_post("/scans", _json(start))
    app.router.add_get("/scans", _json(state))
    return app


class OpsClient:
    """`OpsView` and `ScansView` of the process behind a socket."""

    def __init__(self, *, session: aiohttp.ClientSession, path: Path) -> None:
        self._session = session
        self._path = path

    async def queue(self) -> QueueReport:
        """See `OpsView`."""
        return await self._ask("GET", "/queue", QueueReport)

    async def verdicts(self, *, limit: int, image: str = "") -> tuple[VerdictRow, ...]:
        """See `OpsView`."""
        wanted = tuple[VerdictRow, ...]
        return await self._ask("GET", "/verdicts", wanted, limit=str(limit), image=image)

    async def status(self) -> StatusReport:
        """See `OpsView`."""
        return await self._ask("GET", "/status", StatusReport)

    async def start(self, image: str, *, dockerfile: bytes | None) -> ScanStarted:
        """See `ScansView`."""
        body = msgspec.json.encode(ScanWanted(image, dockerfile))
        return await self._ask("POST", "/scans", ScanStarted, body=body)

    async def state(self, image: str) -> ImageState:
        """See `ScansView`."""
        return await self._ask("GET", "/scans", ImageState, image=image)

    async def _ask(
        self, method: str, path: str, wanted: type[Answer], *, body: bytes = b"", **query: str
    ) -> Answer:
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._session.request(
                    method, f"http://imagegate{path}", params=query, data=body or None
                ) as response,
            ):
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise OpsUnavailable(
                f"nothing answers on {self._path} ({error}): is `imagegate up` running?"
            ) from error
        try:
            if response.status != 200:
                raise OpsUnavailable(msgspec.json.decode(content, type=dict[str, str])["error"])
            return msgspec.json.decode(content, type=wanted)
        except (msgspec.MsgspecError, KeyError) as error:
            raise OpsUnavailable(f"{self._path} gave an answer of another version") from error


@asynccontextmanager
async def ops_client(path: Path) -> AsyncIterator[OpsClient]:
    """A client of the socket `path`."""
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
        yield OpsClient(session=session, path=path)


def _json(ask: Ask) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        try:
            status, content = 200, await ask(request)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            status, content = 400, {"error": f"bad request: {error}"}
        except ImagegateError as error:
            status, content = 502, {"error": str(error)}
        body = msgspec.json.encode(content)
        return web.Response(body=body, status=status, content_type="application/json")

    return answer
