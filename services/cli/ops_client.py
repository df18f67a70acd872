"""The operator's questions over HTTP: to a console, or to the socket of `imagegate up`."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec

from services.cli.addresses import host_of
from services.cli.reports.report import ImageReport
from services.cli.scans import ImageState, ScanStarted
from services.console.emergency_report import EmergencyReport
from services.console.exception_rows import ExceptionRow
from services.console.rows import VerdictRow
from services.console.view import DeadReport, DeadRow, QueueReport, StatusReport
from services.webhook.requests import Asked
from shared.domain.errors import ImagegateError, InvalidSettings
from shared.domain.rules import PolicyChoice
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.decisions import StoredDecision
from shared.ports.exceptions import MAX_ID
from shared.ports.presence import Alive
from shared.ports.steps import MAX_DEAD, Ended
from shared.ports.verdicts import Put
from shared.runtime.tls import client_context

TIMEOUT = 30.0
MAX_ANSWER = 32 * 1024 * 1024

Answer = TypeVar("Answer")


class OpsUnavailable(ImagegateError):
    """Nobody answered, or with an error of its own."""


class ScanWanted(msgspec.Struct, frozen=True):
    """The body of POST /api/scans."""

    image: str
    dockerfile: bytes | None = None
    policy: PolicyChoice | None = None
    force: bool = False


class LettersMeant(msgspec.Struct, frozen=True):
    """The body of POST /api/dead/requeue and /api/dead/drop."""

    ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_DEAD)]


class ExceptionPut(msgspec.Struct, frozen=True):
    """The body of POST /api/exceptions."""

    id: Annotated[str, msgspec.Meta(max_length=MAX_ID)]
    ends: int
    sealed: bytes


class PrewarmWanted(msgspec.Struct, frozen=True):
    """The body of POST /api/prewarm."""

    image: str
    question: Question
    why: Why


class PrewarmAsked(msgspec.Struct, frozen=True):
    """The answer to it."""

    asked: Asked


class SealedRecord(msgspec.Struct, frozen=True):
    """The answer to GET /api/record."""

    sealed: bytes | None


class _Error(msgspec.Struct, frozen=True):
    error: str


class _Server(msgspec.Struct, frozen=True):
    """Whom a client asks, and what to tell a person when that does not work."""

    base: str
    """URL without a slash at the end."""
    name: str
    silent: str
    """What to do when nothing answers."""
    refused: str = ""
    """What to do when our credentials do not hold."""


class OpsClient:
    """`OpsView` over HTTP, and of a process that takes orders `ScansView`, `DeadLetterActions` and
    `ExceptionActions` too; a console takes none."""

    def __init__(self, *, session: aiohttp.ClientSession, server: _Server) -> None:
        self._session = session
        self._server = server

    async def queue(self) -> QueueReport:
        """See `OpsView`."""
        return await self.ask("GET", "/api/queue", QueueReport)

    async def verdicts(self, *, limit: int, image: str = "") -> tuple[VerdictRow, ...]:
        """See `OpsView`."""
        wanted = tuple[VerdictRow, ...]
        return await self.ask("GET", "/api/verdicts", wanted, limit=str(limit), image=image)

    async def status(self) -> StatusReport:
        """See `OpsView`."""
        return await self.ask("GET", "/api/status", StatusReport)

    async def dead(self, *, limit: int) -> DeadReport:
        """See `OpsView`."""
        return await self.ask("GET", "/api/dead", DeadReport, limit=str(limit))

    async def dead_letter(self, letter_id: str) -> DeadRow | None:
        """See `OpsView`."""
        status, content = await self._send("GET", f"/api/dead/{quote(letter_id, safe='')}")
        return None if status == 404 else self._read(status, content, DeadRow)

    async def decisions(self, *, limit: int, after: str = "") -> tuple[StoredDecision, ...]:
        """See `OpsView`."""
        wanted = tuple[StoredDecision, ...]
        return await self.ask("GET", "/api/decisions", wanted, limit=str(limit), after=after)

    async def processes(self) -> tuple[Alive, ...]:
        """See `OpsView`."""
        return await self.ask("GET", "/api/processes", tuple[Alive, ...])

    async def exceptions(self) -> tuple[ExceptionRow, ...]:
        """See `OpsView`."""
        return await self.ask("GET", "/api/exceptions", tuple[ExceptionRow, ...])

    async def emergencies(self) -> tuple[EmergencyReport, ...]:
        """See `OpsView`."""
        return await self.ask("GET", "/api/emergency", tuple[EmergencyReport, ...])

    async def sealed_exceptions(self) -> Mapping[str, bytes]:
        """See `ExceptionActions`."""
        return await self.ask("GET", "/api/exceptions/sealed", dict[str, bytes])

    async def put_exception(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        """See `ExceptionActions`."""
        body = msgspec.json.encode(ExceptionPut(exception_id, ends, sealed))
        return await self.ask("POST", "/api/exceptions", Put, body=body)

    async def sealed_record(self, key: str) -> bytes | None:
        """See `ExceptionActions`."""
        return (await self.ask("GET", "/api/record", SealedRecord, key=key)).sealed

    async def requeue(self, letter_ids: Collection[str]) -> Ended:
        """See `DeadLetterActions`."""
        return await self._end("requeue", letter_ids)

    async def drop(self, letter_ids: Collection[str]) -> Ended:
        """See `DeadLetterActions`."""
        return await self._end("drop", letter_ids)

    async def _end(self, order: str, letter_ids: Collection[str]) -> Ended:
        body = msgspec.json.encode(LettersMeant(tuple(letter_ids)))
        return await self.ask("POST", f"/api/dead/{order}", Ended, body=body)

    async def start(
        self,
        image: str,
        *,
        dockerfile: bytes | None,
        policy: PolicyChoice | None = None,
        force: bool = False,
    ) -> ScanStarted:
        """See `ScansView`."""
        body = msgspec.json.encode(ScanWanted(image, dockerfile, policy, force))
        return await self.ask("POST", "/api/scans", ScanStarted, body=body)

    async def prewarm(self, image: str, question: Question, *, why: Why) -> Asked:
        """See `ScansView`."""
        body = msgspec.json.encode(PrewarmWanted(image, question, why))
        return (await self.ask("POST", "/api/prewarm", PrewarmAsked, body=body)).asked

    async def state(self, image: str, *, policy: PolicyChoice | None = None) -> ImageState:
        """See `ScansView`."""
        chosen = policy or PolicyChoice()
        return await self.ask(
            "GET", "/api/scans", ImageState, image=image, account=chosen.account, policy=chosen.id
        )

    async def report(self, digest: str, *, account: str = "") -> ImageReport:
        """See `ScansView`."""
        return await self.ask(
            "GET", "/api/scans/report", ImageReport, digest=digest, account=account
        )

    async def ask(
        self, method: str, path: str, wanted: type[Answer], *, body: bytes = b"", **query: str
    ) -> Answer:
        """One question; raises OpsUnavailable where the answer is none, or an error."""
        status, content = await self._send(method, path, body=body, **query)
        return self._read(status, content, wanted)

    async def _send(
        self, method: str, path: str, *, body: bytes = b"", **query: str
    ) -> tuple[int, bytes]:
        server = self._server
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._session.request(
                    method,
                    f"{server.base}{path}",
                    params=query,
                    data=body or None,
                    allow_redirects=False,
                ) as response,
            ):
                content = await _bounded(response)
        except aiohttp.ClientConnectorCertificateError as error:
            raise OpsUnavailable(
                f"the certificate of {server.name} is not trusted "
                f"({error.certificate_error}): name its CA in IMAGEGATE_CONSOLE_CA"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or f"no answer in {TIMEOUT:g} s"
            raise OpsUnavailable(
                f"nothing answers on {server.name} ({why}): {server.silent}"
            ) from error
        if len(content) > MAX_ANSWER:
            raise OpsUnavailable(f"{server.name} answers with more than {MAX_ANSWER} bytes")
        return response.status, content

    def _read(self, status: int, content: bytes, wanted: type[Answer]) -> Answer:
        server = self._server
        try:
            if status == 200:
                return msgspec.json.decode(content, type=wanted)
            said = msgspec.json.decode(content, type=_Error).error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise OpsUnavailable(
                f"{server.name} gave an answer of another version (HTTP {status}): is it an "
                "imagegate of this version?"
            ) from error
        raise OpsUnavailable(server.refused if status == 401 and server.refused else said)


@asynccontextmanager
async def socket_client(path: Path) -> AsyncIterator[OpsClient]:
    """A client of the socket `path` of `imagegate up`."""
    server = _Server("http://imagegate", str(path), "is `imagegate up` running?")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
        yield OpsClient(session=session, server=server)


@asynccontextmanager
async def console_client(
    url: str, *, token: str, ca: Path | None = None
) -> AsyncIterator[OpsClient]:
    """A client of the console at `url`, which may end in a path; raises InvalidSettings."""
    _check(url)
    server = _Server(
        url.rstrip("/"),
        f"the console at {url}",
        "does it run, and does IMAGEGATE_CONSOLE name it?",
        f"the console at {url} does not take our token: set IMAGEGATE_CONSOLE_TOKEN to its token, "
        "or IMAGEGATE_CONSOLE_TOKEN_FILE to the file that holds it",
    )
    trusted = client_context(ca) if ca is not None else ssl.create_default_context()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusted),
        headers={"Authorization": f"Bearer {token}"},
    ) as session:
        yield OpsClient(session=session, server=server)


def _check(url: str) -> None:
    if host_of(url, "http", "https"):
        where = urlsplit(url)
        # A password in it would be shown in messages.
        if not (where.username or where.password or where.query or where.fragment):
            return
    raise InvalidSettings(
        "IMAGEGATE_CONSOLE must be http://HOST:PORT or https://HOST:PORT of a console"
    )


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, or a little more than MAX_ANSWER of it."""
    content = bytearray()
    async for part in response.content.iter_any():
        content += part
        if len(content) > MAX_ANSWER:
            break
    return bytes(content)
