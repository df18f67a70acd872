"""HTTP to one API server: bounded in time and size, no redirect followed, our errors."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self, TypeVar

import aiohttp

from shared.adapters.kubernetes.access import Access, Server
from shared.adapters.kubernetes.call import JSON, Call
from shared.adapters.kubernetes.failures import (
    failure_of_body,
    failure_of_error,
    too_large,
    unreadable,
)
from shared.adapters.kubernetes.limits import (
    MAX_BODY_BYTES,
    MAX_ERROR_BYTES,
    MAX_LINE_BYTES,
    Pace,
)
from shared.adapters.kubernetes.objects import Unreadable
from shared.domain.errors import ClusterUnreachable

_NOTHING: Mapping[str, str] = MappingProxyType({})
_DONE = (200, 201, 202)
_HEADERS = {"User-Agent": "imagegate", "Accept-Encoding": "identity"}

_LARGE = 128 * 1024
"""Bytes of JSON above which decoding would hold the loop for more than a review may wait."""

Decoded = TypeVar("Decoded")


class Said(NamedTuple):
    """An answer, whatever it is."""

    status: int
    body: bytes
    date: str
    """When, by the API server's clock, as HTTP writes it; empty: it does not say."""


class Wire:
    """What one process asks of an API server. An async context manager: nothing is opened before.

    Everything raises ClusterUnreachable: NotThere, Conflict, Expired and TooLarge where that is
    what it was, ClusterMisconfigured where a person must correct something. `advice` says what to
    do where a right is missing ("bind the ClusterRole ... to ...").
    """

    def __init__(self, *, server: Server, pace: Pace, advice: str) -> None:
        self.access: Access = server.access()
        self.host = server.host
        """For messages."""
        self._url = server.url
        self._pace = pace
        self._answered = pace.answer
        self._advice = advice
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # Without the library's own bound: a watch would wait behind questions that hang.
            connector=aiohttp.TCPConnector(limit=0),
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def get(
        self,
        path: str,
        query: Mapping[str, str] = _NOTHING,
        *,
        doing: str,
        accept: str = JSON,
        within: float | None = None,
    ) -> bytes:
        """The body of an object or of a page; `doing` names the question in messages ("list
        pods"), `within` in seconds, else what the pace gives an answer."""
        call = Call(
            path=path, query=query, accept=accept, doing=doing, within=within or self._answered
        )
        return await self._whole(call)

    async def send(
        self,
        method: str,
        path: str,
        body: bytes,
        query: Mapping[str, str] = _NOTHING,
        *,
        doing: str,
        form: str = JSON,
        accept: str = JSON,
        within: float | None = None,
    ) -> bytes:
        """What the API server answers to a POST, PUT, PATCH or DELETE whose body is of the media
        type `form`: the object as it is now, or a Status."""
        call = Call(
            method=method,
            path=path,
            query=query,
            body=body,
            form=form,
            accept=accept,
            doing=doing,
            within=within or self._answered,
        )
        return await self._whole(call)

    async def lines(
        self, path: str, query: Mapping[str, str], *, doing: str, accept: str = JSON
    ) -> AsyncGenerator[bytes, None]:
        """The lines of a watch until the API server ends it. Who stops in the middle closes it
        (`aclosing`)."""
        call = Call(path=path, query=query, accept=accept, doing=doing, within=None)
        async with (
            self._answer(call) as answer,
            aclosing(self._whole_lines(answer, doing)) as lines,
        ):
            async for line in lines:
                yield line

    async def decoded(self, body: bytes, doing: str, read: Callable[[bytes], Decoded]) -> Decoded:
        """What `read` makes of the body, beside the loop where it is large. `read` raises
        `objects.Unreadable`."""
        try:
            return await asyncio.to_thread(read, body) if len(body) > _LARGE else read(body)
        except Unreadable as error:
            raise unreadable(self.host, doing, str(error)) from error

    async def said(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        query: Mapping[str, str] = _NOTHING,
        *,
        doing: str,
        within: float | None = None,
    ) -> Said:
        """What the API server answers, a refusal as anything else: for who wants to know how."""
        call = Call(
            method=method,
            path=path,
            query=query,
            body=body,
            form=JSON if body is not None else "",
            doing=doing,
            within=within or self._answered,
        )
        async with self._asked(call) as answer:
            whole = await self._read(answer, doing, MAX_BODY_BYTES)
            return Said(answer.status, whole, answer.headers.get("Date", ""))

    async def _whole(self, call: Call) -> bytes:
        """The body of an answer that is what was asked for."""
        async with self._answer(call) as answer:
            return await self._read(answer, call.doing, MAX_BODY_BYTES)

    @asynccontextmanager
    async def _answer(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is what was asked for."""
        async with self._asked(call) as answer:
            if answer.status not in _DONE:
                raise failure_of_body(
                    self.host,
                    call.doing,
                    answer.status,
                    await self._beginning(answer),
                    advice=self._advice,
                    remedies=self.access.remedies,
                )
            yield answer

    @asynccontextmanager
    async def _asked(self, call: Call) -> AsyncIterator[aiohttp.ClientResponse]:
        """Any answer."""
        if self._session is None:
            raise ClusterUnreachable(
                f"the Kubernetes API at {self.host} is not asked: this process has not begun to, "
                "or ends"
            )
        access = self.access
        await access.ready()
        try:
            answering = self._session.request(
                call.method,
                call.url(self._url),
                data=call.body,
                headers=call.headers() | access.headers(),
                ssl=access.trusted(),
                server_hostname=access.server_name or None,
                proxy=access.proxy or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=call.within, sock_connect=self._pace.connect),
            )
            # The head comes in time also where the body takes as long as a watch.
            async with asyncio.timeout(self._pace.answer):
                answer = await answering
            async with answer:
                yield answer
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of_error(
                self.host, call.doing, error, remedies=access.remedies
            ) from error

    async def _beginning(self, answer: aiohttp.ClientResponse) -> bytes:
        try:
            async with asyncio.timeout(self._pace.connect):
                return await answer.content.read(MAX_ERROR_BYTES)
        except (aiohttp.ClientError, OSError):
            return b""

    async def _read(self, answer: aiohttp.ClientResponse, doing: str, limit: int) -> bytes:
        """The whole body."""
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > limit:
                answer.close()
                raise too_large(self.host, doing, limit)
        return bytes(body)

    async def _whole_lines(
        self, answer: aiohttp.ClientResponse, doing: str
    ) -> AsyncGenerator[bytes, None]:
        """Whole lines; what is left unfinished at the end is none."""
        rest = b""
        async for chunk in answer.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield line
            if len(rest) > MAX_LINE_BYTES:
                raise too_large(self.host, doing, MAX_LINE_BYTES)
