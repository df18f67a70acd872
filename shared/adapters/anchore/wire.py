"""One exchange with an Anchore server: bounded in size, logged in, without redirects."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import quote, quote_plus

import httpx
import msgspec

from shared.adapters.anchore.answers import Answer, answer_of
from shared.adapters.anchore.calls import Call, Limits
from shared.adapters.anchore.faults import Fault
from shared.adapters.anchore.login import Login
from shared.adapters.anchore.wording import MAX_TEXT, one_line

LARGE = 128 * 1024
"""Bytes of JSON above which decoding would hold the loop for more than 2 ms."""

MIN_SECRET = 4
"""Shorter passwords protect nothing, and taking them out would spoil every message."""

Told = Callable[[Call, Answer, float], None]
"""Told of the answers to the login's own questions, and of the seconds that they took."""


class Unreadable(Exception):
    """A body that is too long, or packed."""

    def __init__(self, message: str, *, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


class Reply(msgspec.Struct, frozen=True):
    """An answer, and what its headers say of it."""

    answer: Answer
    retry_after: str = ""
    location: str = ""


class Wire:
    """A pool of connections to one server as one user. Raises what httpx raises, Unreadable,
    and NoToken."""

    def __init__(
        self,
        *,
        server: str,
        login: Login,
        verify: ssl.SSLContext,
        proxy: httpx.Proxy | None,
        limits: Limits,
        told: Told,
    ) -> None:
        self.server = server
        self._login = login
        self._hidden = {proxy.auth[1]} if proxy and proxy.auth else set[str]()
        self._max_bytes = limits.max_bytes
        self._seconds = limits.attempt
        self._told = told
        self._client = httpx.AsyncClient(
            base_url=server,
            verify=verify,
            proxy=proxy,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            # Kept cookies would stand in each request, grow until all are refused, and say who we
            # are where nobody was meant to know, or somebody else by now.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            limits=httpx.Limits(max_keepalive_connections=limits.connections),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def clean(self, text: object, *, limit: int = MAX_TEXT) -> str:
        """What the server said, on one bounded line and without our secrets."""
        said = str(text)
        secrets = [
            written
            for secret in {*self._login.secrets, *self._hidden}
            if len(secret) >= MIN_SECRET
            for written in _written(secret)
        ]
        # The longest first: what is left of one that holds another would tell the rest.
        for secret in sorted(secrets, key=len, reverse=True):
            said = said.replace(secret, "***")
        return one_line(said, limit=limit)

    def hide(self, secret: str) -> None:
        """One more text that no message may hold."""
        self._hidden.add(secret)

    async def exchange(self, call: Call, seconds: float) -> Reply:
        """What the server says, once more where a 401 is answered by a newer login."""
        if call.anonymous:
            return await self._send(call, seconds, "")
        header = await self._login.header(self._ask)
        reply = await self._send(call, seconds, header)
        if reply.answer.status == 401 and self._login.refused(header):
            reply = await self._send(call, seconds, await self._login.header(self._ask))
        return reply

    async def _ask(self, call: Call) -> Answer:
        asked = time.monotonic()
        reply = await self._send(call, self._seconds, "")
        self._told(call, reply.answer, time.monotonic() - asked)
        return reply.answer

    async def _send(self, call: Call, seconds: float, authorization: str) -> Reply:
        headers = {"x-anchore-account": call.account} if call.account else {}
        headers |= {"Authorization": authorization} if authorization else {}
        async with self._client.stream(
            call.method,
            call.path,
            params=call.query or None,
            json=call.body,
            data=call.form,
            headers=headers,
            timeout=seconds,
        ) as response:
            raw = await self._read(response)
        status = response.status_code
        slow = len(raw) > LARGE
        return Reply(
            answer=await asyncio.to_thread(answer_of, status, raw)
            if slow
            else answer_of(status, raw),
            retry_after=response.headers.get("retry-after", ""),
            location=response.headers.get("location", ""),
        )

    async def _read(self, response: httpx.Response) -> bytes:
        # Read as sent: a packed body could unpack to any size inside httpx.
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise Unreadable("it is packed although we did not ask for that", fault=Fault.PACKED)
        body = bytearray()
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._max_bytes:
                raise Unreadable(f"it is longer than {self._max_bytes} bytes", fault=Fault.TOO_LONG)
        return bytes(body)


def _written(secret: str) -> set[str]:
    """A secret as it is, and as it stands in JSON or in a form that somebody quotes."""
    in_json = (json.dumps(secret)[1:-1], msgspec.json.encode(secret).decode()[1:-1])
    return {secret, *in_json, quote(secret, safe=""), quote_plus(secret)}
