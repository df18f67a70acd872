"""One HTTP exchange: checked address, no redirect followed, bounded body, our errors.

Nothing here knows of credentials: what a header holds is the caller's business.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from shared.adapters.registry import limits
from shared.adapters.registry.addresses import AddressGuard
from shared.adapters.registry.failures import (
    error_code,
    failure_of_error,
    failure_of_status,
    read_retry_after,
    untrusted,
)
from shared.adapters.registry.limits import Timeouts
from shared.domain.errors import StepFailure
from shared.domain.rules import Rules
from shared.ports.clock import Clock

# Bodies are hashed as they come: unpacking them would also let a small answer grow large.
_HEADERS = {"User-Agent": "imagegate", "Accept-Encoding": "identity"}


class Wire:
    """The HTTP session. An async context manager: nothing is opened before."""

    def __init__(
        self,
        *,
        rules: Callable[[], Rules],
        clock: Clock,
        timeouts: Timeouts,
        ssl_context: SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._timeouts = timeouts
        self._ssl = ssl_context
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._guard: AddressGuard | None = None

    async def __aenter__(self) -> Self:
        self._guard = AddressGuard(
            rules=self._rules, timeout=self._timeouts.connect, resolver=self._resolver
        )
        connector = aiohttp.TCPConnector(
            resolver=self._guard,
            use_dns_cache=False,
            limit=limits.MAX_CONNECTIONS,
            limit_per_host=limits.MAX_CONNECTIONS_PER_HOST,
            ssl=self._ssl or True,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
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
        if self._session and self._guard:
            await self._session.close()
            await self._guard.close()

    async def send(
        self,
        method: str,
        url: URL,
        *,
        name: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
        total: float | None = None,
    ) -> aiohttp.ClientResponse:
        """The answer's head, whatever its status; the caller closes it.

        Raises PermanentFailure (refused) for a place that may not be asked, TransientFailure
        when no answer comes. `form` is what a POST sends; `total` bounds the body too, in seconds.
        """
        if self._session is None or self._guard is None:
            raise RuntimeError("the registry client is not open: use it as `async with`")
        self._guard.check(url)
        timeout = aiohttp.ClientTimeout(
            total=total, sock_connect=self._timeouts.connect, sock_read=self._timeouts.idle
        )
        try:
            return await self._session.request(
                method, url, headers=headers, data=form, allow_redirects=False, timeout=timeout
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of_error(name, host_of(url), error) from error

    async def chunks(
        self, response: aiohttp.ClientResponse, *, name: str, limit: int
    ) -> AsyncIterator[bytes]:
        """The body in pieces. Raises PermanentFailure (untrusted) as soon as it is over `limit`."""
        host = host_of(response.url)
        declared = response.content_length
        received = 0
        try:
            if declared is not None and declared > limit:
                raise _too_large(name, host, limit)
            async for chunk in response.content.iter_chunked(limits.CHUNK_BYTES):
                received += len(chunk)
                if received > limit:
                    raise _too_large(name, host, limit)
                yield chunk
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of_error(name, host, error) from error
        finally:
            if not response.content.at_eof():
                response.close()

    async def read(self, response: aiohttp.ClientResponse, *, name: str, limit: int) -> bytes:
        """The whole body, at most `limit` bytes."""
        return b"".join([chunk async for chunk in self.chunks(response, name=name, limit=limit)])

    async def failure(self, response: aiohttp.ClientResponse, *, name: str) -> StepFailure:
        """What an answer means that is not the one asked for. Reads little of its body."""
        code = ""
        if response.method != "HEAD":
            try:
                code = error_code(
                    await self.read(response, name=name, limit=limits.MAX_ERROR_BYTES)
                )
            except StepFailure:
                code = ""
        wait = read_retry_after(response.headers.get("Retry-After"), now=self._clock.now())
        return failure_of_status(
            name, host_of(response.url), response.status, code=code, retry_after=wait
        )


def media_type_of(headers: Mapping[str, str]) -> str:
    """The Content-Type without parameters, lower case; empty if there is none."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def host_of(url: URL) -> str:
    """`host[:port]` of a URL, for messages."""
    return url.authority.rpartition("@")[2]


def _too_large(name: str, host: str, limit: int) -> StepFailure:
    return untrusted(
        f"{name}: {host} sent more than {limit} bytes where at most that many are taken"
    )
