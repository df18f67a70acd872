"""Posting notices to imagegate's intake (docs/design/anchore-notifications.md)."""

import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from services.scanner.notifying import NotTaken
from shared.runtime.logging import one_line

TIMEOUT = aiohttp.ClientTimeout(total=5.0)
MAX_ANSWER = 4_096
_OVER = "over"
"""The intake's word for more than it has judged anew at a time: later there is room again."""


class _Taken(msgspec.Struct):
    outcome: str = ""


class IntakePost:
    """One address, with Basic authentication; redirects are not followed, proxies not used."""

    def __init__(
        self, *, session: aiohttp.ClientSession, url: str, user: str, password: Callable[[], str]
    ) -> None:
        """`password` is asked at each post, so that it can be changed."""
        self._session = session
        self._url = url
        self._user = user
        self._password = password

    async def send(self, body: bytes) -> None:
        """Raises NotTaken."""
        headers = {"Content-Type": "application/json"}
        if self._user:
            login = base64.b64encode(f"{self._user}:{self._password()}".encode())
            headers["Authorization"] = f"Basic {login.decode()}"
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                status, said = answer.status, await answer.content.read(MAX_ANSWER)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = one_line(str(error), limit=200) or type(error).__name__
            raise NotTaken(f"the intake does not answer: {reason}") from error
        _judge(status, said)


@asynccontextmanager
async def open_post(
    *, url: str, user: str, password: Callable[[], str], tls: ssl.SSLContext | None
) -> AsyncIterator[IntakePost]:
    """Connections that are gone at the end; `tls` None: as this machine trusts."""
    connector = aiohttp.TCPConnector(limit=1, ssl=tls or True)
    async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT) as session:
        yield IntakePost(session=session, url=url, user=user, password=password)


def _judge(status: int, said: bytes) -> None:
    """Raises NotTaken for what is no "taken"."""
    if status == 401:
        raise NotTaken(
            "the intake refuses the login (401): IMAGEGATE_SCANNER_NOTIFY_USER and _PASSWORD must "
            "be its IMAGEGATE_EVENTS_USER and _PASSWORD"
        )
    if status in (413, 415):
        raise NotTaken(f"the intake does not read such a body ({status})", final=True)
    if not 200 <= status < 300:
        shown = one_line(said.decode(errors="replace"), limit=200)
        raise NotTaken(f"the intake answers {status}: {shown}")
    try:
        taken = msgspec.json.decode(said, type=_Taken)
    except msgspec.MsgspecError:
        return  # somebody else's server, which took it
    if taken.outcome == _OVER:
        raise NotTaken("the intake has as much judged anew as it may")
