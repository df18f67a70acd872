"""HTTP to one API server: bounded in time and size, no redirect followed, our errors."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from shared.adapters.kubernetes import objects
from shared.adapters.kubernetes.access import Access, ApiServer
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
from shared.adapters.kubernetes.objects import Event, Page, Partial, Unreadable
from shared.domain.errors import ClusterUnreachable

PATH = "/api/v1/namespaces"
_HEADERS = {"User-Agent": "imagegate", "Accept-Encoding": "identity"}

_LARGE = 128 * 1024
"""Bytes of JSON above which decoding would hold the loop for more than a review may wait."""

Decoded = TypeVar("Decoded")


class Wire:
    """What can be asked about namespaces. An async context manager: nothing is opened before.

    Everything raises ClusterUnreachable: NotThere, Expired and TooLarge where that is what it was,
    ClusterMisconfigured where a person must correct something.
    """

    def __init__(self, *, server: ApiServer, pace: Pace) -> None:
        self.access = Access(server)
        self.host = server.host
        """For messages."""
        self._url = server.url
        self._pace = pace
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

    async def page(self, *, limit: int, more: str = "") -> Page:
        """Some namespaces, `more` is the token of the page before; what is the newest."""
        query = {"limit": str(limit)} | ({"continue": more} if more else {})
        doing = "list namespaces"
        body = await self._body(PATH, query, objects.LIST, doing, within=self._pace.answer)
        return await self._decoded(body, doing, objects.read_page)

    async def namespace(self, name: str) -> Partial:
        """One namespace, as it is now."""
        doing = "get a namespace"
        path = f"{PATH}/{quote(name, safe='')}"
        body = await self._body(path, {}, objects.ONE, doing, within=self._pace.read)
        return await self._decoded(body, doing, lambda body: objects.read_namespace(body, name))

    async def watch(self, version: str) -> AsyncGenerator[Event, None]:
        """What changed after `version`, until the API server ends it. Who stops in the middle
        closes it (`aclosing`)."""
        doing = "watch namespaces"
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(self._pace.watch),
        }
        async with (
            self._answer(PATH, query, objects.ONE, doing, total=None) as answer,
            aclosing(self._lines(answer, doing)) as lines,
        ):
            async for line in lines:
                yield await self._decoded(line, doing, objects.read_event)

    async def _body(
        self, path: str, query: Mapping[str, str], accept: str, doing: str, *, within: float
    ) -> bytes:
        async with self._answer(path, query, accept, doing, total=within) as answer:
            return await self._read(answer, doing, MAX_BODY_BYTES)

    @asynccontextmanager
    async def _answer(
        self, path: str, query: Mapping[str, str], accept: str, doing: str, *, total: float | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer with status 200."""
        if self._session is None:
            raise ClusterUnreachable(
                f"the Kubernetes API at {self.host} is not asked: this process has not begun to, "
                "or ends"
            )
        try:
            answering = self._session.get(
                URL(f"{self._url}{path}?{urlencode(query)}", encoded=True),
                headers={"Accept": accept, **self.access.headers()},
                ssl=self.access.trusted(),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=total, sock_connect=self._pace.connect),
            )
            # The head comes in time also where the body takes as long as a watch.
            async with asyncio.timeout(self._pace.answer):
                answer = await answering
            async with answer:
                if answer.status != 200:
                    body = await self._beginning(answer)
                    raise failure_of_body(self.host, doing, answer.status, body)
                yield answer
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of_error(self.host, doing, error) from error

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

    async def _lines(
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

    async def _decoded(self, body: bytes, doing: str, read: Callable[[bytes], Decoded]) -> Decoded:
        try:
            return await asyncio.to_thread(read, body) if len(body) > _LARGE else read(body)
        except Unreadable as error:
            raise unreadable(self.host, doing, str(error)) from error
