"""`Downloads` over HTTP: goes on where the last attempt broke off, believes only what fits.

Range with If-Range (RFC 9110, 13 and 14): a server whose file changed meanwhile, or that knows no
ranges, sends all of it, and what came before is thrown away.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from shared.adapters.downloads.failures import Broken, failure_of_error, failure_of_status
from shared.adapters.downloads.limits import BLOCK, MAX_REDIRECTS, STEP, Limits
from shared.adapters.downloads.one_file import OneFile
from shared.adapters.downloads.partial import Note, Partial
from shared.adapters.downloads.places import Places
from shared.adapters.threads import to_its_end
from shared.ports.clock import Clock
from shared.ports.downloads import Download, DownloadFailed, Told, nobody

_HEADERS = {"User-Agent": "imagegate", "Accept-Encoding": "identity"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class HttpDownloads:
    """See `shared.ports.downloads.Downloads`.

    `proxy`: `http://[USER:PASSWORD@]HOST:PORT`; what the environment says of proxies is not used.
    `ssl_context` and `resolver` (names to addresses) are the system's unless given.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        proxy: URL | None = None,
        limits: Limits | None = None,
        ssl_context: SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._clock = clock
        self._proxy = proxy
        self._limits = limits or Limits()
        self._ssl = ssl_context
        self._resolver = resolver

    async def fetch(self, url: str, into: Path, *, max_bytes: int, told: Told = nobody) -> Download:
        """See the port."""
        one = OneFile(URL(url), Partial(into, url=url), max_bytes=max_bytes, told=told)
        furthest, fruitless = one.partial.size, 0
        try:
            while True:
                try:
                    return await self._attempt(one)
                except Broken as broken:
                    size = one.partial.size
                    fruitless = 0 if size >= furthest + STEP else fruitless + 1
                    furthest = max(furthest, size)
                    wait = self._wait(broken, fruitless)
                    if wait is None:
                        raise DownloadFailed(_given_up(broken, size)) from broken
                await asyncio.sleep(wait)
        except OSError as error:
            raise DownloadFailed(
                f"cannot write {into}: {(error.strerror or str(error)).lower()}; make room there, "
                "or name another folder"
            ) from error

    def _wait(self, broken: Broken, fruitless: int) -> float | None:
        """Seconds before the next attempt; None: there is none."""
        own = self._limits.backoff * 2.0 ** max(0, fruitless - 1)
        wait = max(own, broken.retry_after or 0.0)
        asked_too_much = (broken.retry_after or 0.0) > self._limits.max_wait
        if fruitless >= self._limits.attempts or asked_too_much:
            return None
        return min(wait, self._limits.max_wait)

    async def _attempt(self, one: OneFile) -> Download:
        """Raises Broken when another one may do better."""
        begun = await to_its_end(one.begun)
        whole = await to_its_end(one.partial.whole)
        async with self._answer(one, one.conditions(begun, whole)) as response:
            if response.status == 304 and whole:
                await to_its_end(one.partial.discard)
                return whole[1]
            note = await to_its_end(one.state_of, response, begun)
            if note is None:
                raise failure_of_status(one.url, response, now=self._clock.now())
            await self._receive(one, response, note)
            resumed = response.status == 206
        return await to_its_end(one.finish, note, resumed=resumed)

    async def _receive(self, one: OneFile, response: aiohttp.ClientResponse, note: Note) -> None:
        """Append the body, and keep what came of it when it breaks off."""
        block, size = bytearray(), one.partial.size
        one.told(size, note.length)
        try:
            async with asyncio.timeout(self._limits.stall) as patience:
                mark = size
                while piece := await response.content.readany():
                    block += piece
                    size += len(piece)
                    if size > one.max_bytes:
                        block.clear()
                        raise one.too_large()
                    if size - mark >= STEP:
                        mark = size
                        patience.reschedule(asyncio.get_running_loop().time() + self._limits.stall)
                    if len(block) >= BLOCK:
                        # Before it is written: whoever is cancelled meanwhile would write it twice.
                        full, block = bytes(block), bytearray()
                        await to_its_end(one.partial.append, full)
                        one.told(size, note.length)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise failure_of_error(one.url, error, host=response.url.raw_host) from error
        finally:
            if block:
                one.partial.append(bytes(block))
            one.told(size, note.length)

    @asynccontextmanager
    async def _answer(
        self, one: OneFile, conditions: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The head of what the URL, or where it leads, answers. A connection of its own: who is
        asked once in hours keeps none."""
        places = Places(
            one.url,
            proxy=self._proxy,
            timeout=self._limits.connect,
            resolver=self._resolver,
        )
        connector = aiohttp.TCPConnector(
            resolver=places, use_dns_cache=False, force_close=True, ssl=self._ssl or True
        )
        async with aiohttp.ClientSession(
            connector=connector,
            headers=_HEADERS,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        ) as session:
            url = one.url
            for _ in range(MAX_REDIRECTS + 1):
                places.check(url)
                response = await self._send(session, one, url, conditions)
                try:
                    if response.status not in _REDIRECTS:
                        yield response
                        return
                    url = _next(one, response)
                finally:
                    response.close()
        raise DownloadFailed(f"{one.url}: more than {MAX_REDIRECTS} redirects; check the URL")

    async def _send(
        self, session: aiohttp.ClientSession, one: OneFile, url: URL, conditions: dict[str, str]
    ) -> aiohttp.ClientResponse:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._limits.connect, sock_read=self._limits.stall
        )
        try:
            return await session.get(
                url,
                headers=conditions,
                proxy=self._proxy,
                allow_redirects=False,
                timeout=timeout,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise failure_of_error(one.url, error, host=url.raw_host) from error


def _next(one: OneFile, response: aiohttp.ClientResponse) -> URL:
    """Where a redirect leads."""
    try:
        return response.url.join(URL(response.headers["Location"]))
    except (KeyError, ValueError) as error:
        raise DownloadFailed(
            f"{one.url}: {response.url.raw_host} sends us on without saying where; check the URL"
        ) from error


def _given_up(broken: Broken, size: int) -> str:
    if broken.retry_after:
        again = f"it asks to be left alone for {broken.retry_after:.0f} s: try again then"
    else:
        again = "given up after several attempts"
    kept = f"; the {size} bytes that came are kept, the next run goes on from there" if size else ""
    return f"{broken}; {again}{kept}"
