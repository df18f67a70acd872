"""Asks a webhook as an API server does, over real HTTPS: /mutate, then /validate."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from services.cli.pins import Pin, UnusablePatch, pinned
from services.cli.reviews import Answer, Reviewed
from shared.domain.errors import ImagegateError
from shared.domain.review import API_VERSION, KIND

TIMEOUT = 5
"""Seconds that the webhook is given, as `?timeout=`."""


class WebhookUnavailable(ImagegateError):
    """The webhook gave no answer that an API server would take."""


class _Envelope(msgspec.Struct, frozen=True, rename="camel"):
    response: Answer
    api_version: str = ""
    kind: str = ""


_ENVELOPE = msgspec.json.Decoder(_Envelope)


class WebhookClient:
    """Asks one webhook; connections are kept, as an API server keeps them."""

    def __init__(self, *, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self._session = session

    async def create(self, review: Mapping[str, Any]) -> Reviewed:
        """What an API server does with a new object, by the configurations of k8s/chart.

        A /mutate that fails is passed over (failurePolicy Ignore). Raises WebhookUnavailable where
        the person would get a 500.
        """
        began = time.perf_counter()
        request, why = review["request"], ""
        content: Mapping[str, Any] = request["object"]
        pins: tuple[Pin, ...] = ()
        warnings: tuple[str, ...] = ()
        try:
            mutated = await self._ask("/mutate", review)
            warnings = mutated.warnings
            if mutated.patch:
                content, pins = pinned(content, mutated.patch)
        except (WebhookUnavailable, UnusablePatch) as error:
            why = str(error)
        final = {**review, "request": {**request, "object": content}}
        answer = await self._ask("/validate", final)
        took = time.perf_counter() - began
        return Reviewed(answer, took, pins, (*warnings, *answer.warnings), why)

    async def _ask(self, path: str, review: Mapping[str, Any]) -> Answer:
        body = msgspec.json.encode(review)
        try:
            status, content = await self._post(path, body)
        except TimeoutError as error:
            raise WebhookUnavailable(f"{self.url} did not answer in {TIMEOUT} s") from error
        except aiohttp.ClientError as error:
            raise WebhookUnavailable(f"{self.url} cannot be reached: {_why(error)}") from error
        if status != 200:
            raise WebhookUnavailable(
                f"{self.url} answered {status}: {content[:200].decode('utf-8', 'replace')}"
            )
        return _read(content, uid=review["request"]["uid"], url=self.url)

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        async with (
            asyncio.timeout(TIMEOUT),
            self._session.post(
                f"{self.url}{path}",
                params={"timeout": f"{TIMEOUT}s"},
                data=body,
                headers={"Content-Type": "application/json"},
            ) as response,
        ):
            return response.status, await response.read()


@asynccontextmanager
async def webhook_client(url: str, *, tls: ssl.SSLContext) -> AsyncIterator[WebhookClient]:
    """A client of the webhook at `url` that trusts what `tls` trusts."""
    connector = aiohttp.TCPConnector(ssl=tls, limit=64)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield WebhookClient(url=url, session=session)


def _read(content: bytes, *, uid: str, url: str) -> Answer:
    try:
        envelope = _ENVELOPE.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WebhookUnavailable(f"{url} answered no AdmissionReview: {error}") from error
    if (envelope.api_version, envelope.kind) != (API_VERSION, KIND):
        raise WebhookUnavailable(f"{url} answered {envelope.kind!r} of {envelope.api_version!r}")
    if envelope.response.uid != uid:
        raise WebhookUnavailable(f"{url} answered another review than was asked")
    return envelope.response


def _why(error: aiohttp.ClientError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = error.certificate_error
        return f"its certificate is not the one to expect ({reason}); name its CA with --ca"
    if isinstance(error, aiohttp.ClientConnectorError):
        return (
            f"{error.strerror or error}; is the webhook running, and its address right (--webhook)?"
        )
    return f"{error}; is the webhook running, and its address right (--webhook)?"
