"""A second admission webhook, asked what imagegate was asked: how the two compare is all it is for.

Any that speaks AdmissionReview v1 over HTTPS. Anchore's own controller stands behind the API
server as an API of its own, so `kubectl proxy` reaches it with whatever credentials kubectl has:
http://127.0.0.1:8001/apis/admission.anchore.io/v1beta1/imagechecks.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.cli.addresses import host_of
from services.cli.webhook_client import TIMEOUT
from shared.domain.errors import InvalidSettings
from shared.domain.host import is_loopback
from shared.runtime.tls import client_context

MAX_ANSWER = 1024 * 1024
MAX_TOKEN = 16 * 1024

AT_A_TIME = 4
EVERY = 0.1
"""Questions under way, and seconds from one to the next: it answers real pods beside."""

GIVE_UP = 5
"""Questions in a row that it does not answer; then nothing else is asked."""


class Theirs(msgspec.Struct, frozen=True):
    """What it answered."""

    allowed: bool | None
    """None: no answer that an API server would take."""
    message: str = ""
    """Why it refused, or why there is no answer."""


class _Status(msgspec.Struct, frozen=True):
    message: str = ""


class _Response(msgspec.Struct, frozen=True):
    allowed: bool
    uid: str = ""
    status: _Status | None = None


class _Envelope(msgspec.Struct, frozen=True):
    response: _Response


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class SecondWebhook:
    """Asks it, slowly, and never so that anything is created (`dryRun`)."""

    def __init__(self, *, url: str, session: aiohttp.ClientSession, every: float = EVERY) -> None:
        self.url = url
        self._session = session
        self._every = every
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._turn = asyncio.Lock()
        self._unanswered = 0

    async def ask(self, review: Mapping[str, Any]) -> Theirs:
        """Its answer to the question of `review`."""
        asked = {**review, "request": {**review["request"], "dryRun": True}}
        async with self._slots:
            if self._unanswered >= GIVE_UP:
                return Theirs(None, f"not asked: it did not answer {GIVE_UP} times in a row")
            async with self._turn:
                await asyncio.sleep(self._every)
            answer = await self._answer(asked)
        self._unanswered = self._unanswered + 1 if answer.allowed is None else 0
        return answer

    async def _answer(self, review: Mapping[str, Any]) -> Theirs:
        try:
            status, content = await self._post(msgspec.json.encode(review))
        except TimeoutError:
            return Theirs(None, f"no answer in {TIMEOUT} s")
        except aiohttp.ClientConnectorCertificateError as error:
            return Theirs(None, f"its certificate is not trusted ({error.certificate_error})")
        except aiohttp.ClientError as error:
            return Theirs(None, f"cannot be reached: {error}")
        if status not in (200, 201):
            return Theirs(None, f"HTTP {status}: {content[:200].decode(errors='replace')}")
        return _read(content, uid=review["request"]["uid"])

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        async with (
            asyncio.timeout(TIMEOUT),
            self._session.post(
                self.url,
                params={"timeout": f"{TIMEOUT}s"},
                data=body,
                headers={"Content-Type": "application/json"},
                allow_redirects=False,
            ) as response,
        ):
            content = b""
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise aiohttp.ClientError(f"it answers with more than {MAX_ANSWER} bytes")
            return response.status, content


@asynccontextmanager
async def second_webhook(
    url: str, *, ca: Path | None = None, token: Path | None = None
) -> AsyncIterator[SecondWebhook]:
    """The webhook at `url`. `ca`: whom to trust, else those that this machine does; `token`: a
    file with a bearer token. Raises InvalidSettings."""
    tls = client_context(ca) if ca else ssl.create_default_context()
    headers = {"Authorization": f"Bearer {_token(token)}"} if token else {}
    connector = aiohttp.TCPConnector(ssl=tls)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield SecondWebhook(url=_checked(url), session=session)


def _checked(url: str) -> str:
    """Raises InvalidSettings for what is no https:// address, but for one on this machine."""
    if host_of(url, "https") or is_loopback(host_of(url, "http")):
        return url
    raise InvalidSettings(
        f"--diff must be https://HOST:PORT/PATH (http only to this machine, as `kubectl proxy` "
        f"has it), not {url}"
    )


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            token = file.read(MAX_TOKEN + 1).decode("ascii", "replace").strip()
    except OSError as error:
        raise InvalidSettings(f"{path}: the token cannot be read: {error.strerror}") from error
    if not token or len(token) > MAX_TOKEN or not token.isprintable() or not token.isascii():
        raise InvalidSettings(f"{path}: holds no token: one line of ASCII, and nothing else")
    return token


def _read(content: bytes, *, uid: str) -> Theirs:
    try:
        response = _ENVELOPE.decode(content).response
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Theirs(None, f"it answered no AdmissionReview: {error}")
    if response.uid != uid:
        return Theirs(None, "it answered another review than was asked")
    return Theirs(response.allowed, response.status.message if response.status else "")
