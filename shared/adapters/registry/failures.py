"""What a registry's answer, or its silence, means in the words of the port.

Messages name the repository, the host and what to do. They hold no URL (a redirect's may
carry a signature), no header and no text of a registry's own but an error code.
"""

import re
from asyncio import timeout
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from shared.adapters.registry.limits import MAX_RETRY_AFTER
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure

_CODE = re.compile(r"[A-Z][A-Z_]{1,63}")
_WORTH_A_RETRY = frozenset({408, 425, 429})


class NoAnswer(TransientFailure):
    """Unreachable, silent, or failed by itself (5xx): the server said nothing of what was asked."""


class NotNow(TransientFailure):
    """It answered that it is to be asked again later."""


class _Error(msgspec.Struct):
    code: str = ""


class _Errors(msgspec.Struct):
    errors: list[_Error] = []


def error_code(body: bytes) -> str:
    """The first error code of a registry's error body (`MANIFEST_UNKNOWN`), or nothing."""
    try:
        errors = msgspec.json.decode(body, type=_Errors).errors
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    code = errors[0].code if errors else ""
    return code if _CODE.fullmatch(code) else ""


def failure_of_status(
    name: str, host: str, status: int, *, code: str = "", retry_after: float | None = None
) -> StepFailure:
    """An answer that is not the one asked for; `name` is `host/path` of the image."""
    said = f"{host} answered {status}" + (f" ({code})" if code else "")
    if status >= 500 or status in _WORTH_A_RETRY:
        kind = NoAnswer if status >= 500 else NotNow
        return kind(
            f"{name}: {said}; it is tried again. If it stays so, look at that server",
            retry_after=retry_after,
        )
    if status in (401, 403):
        return PermanentFailure(
            f"{name}: {said}: there is no such repository, or it needs credentials that may "
            "pull it; name a file with them under `registries` in the rules",
            kind=ErrorKind.UNAUTHORISED,
        )
    if status == 404:
        return PermanentFailure(
            f"{name}: {said}: it has no such image; push it, or correct the reference",
            kind=ErrorKind.NOT_FOUND,
        )
    return PermanentFailure(
        f"{name}: {said}, which is no answer of a registry; check the host and `insecure` "
        "under `registries` in the rules",
        kind=ErrorKind.REFUSED,
    )


def failure_of_error(name: str, host: str, error: Exception) -> StepFailure:
    """A call that ended without a whole answer."""
    again = "it is tried again; check that the registry is up and can be reached from here"
    match error:
        case aiohttp.InvalidURL():
            return refused(f"{name}: {host} is not a host that can be asked")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            again = (
                "its certificate is not trusted here or it does not speak TLS: install the "
                "certificate's authority, or set `insecure` under `registries` for plain HTTP"
            )
        case TimeoutError():
            return NoAnswer(f"{name}: {host} did not answer in time; {again}")
        case aiohttp.ClientConnectorDNSError():
            return NoAnswer(
                f"{name}: the name of {host} cannot be looked up; check the image's host and DNS"
            )
        case aiohttp.ClientPayloadError():
            return NoAnswer(f"{name}: {host} broke off in the middle of a body; {again}")
        case _:
            pass
    return NoAnswer(f"{name}: no answer from {host} ({_reason(error)}); {again}")


def refused(message: str) -> PermanentFailure:
    """What the rules, or our own care, do not allow."""
    return PermanentFailure(message, kind=ErrorKind.REFUSED)


def untrusted(message: str) -> PermanentFailure:
    """A body that is not its digest, says two things at once, or is over our limits."""
    return PermanentFailure(message, kind=ErrorKind.UNTRUSTED)


@asynccontextmanager
async def within(seconds: float, name: str, host: str) -> AsyncIterator[None]:
    """One whole call. Raises NoAnswer when the time is over."""
    try:
        async with timeout(seconds):
            yield
    except TimeoutError as error:
        raise NoAnswer(
            f"{name}: {host} did not answer within {seconds:g} s; it is tried again"
        ) from error


def read_retry_after(value: str | None, *, now: int) -> float | None:
    """Seconds of a Retry-After header (seconds or a date), within bounds; None if unreadable.

    `now` is in milliseconds since the epoch.
    """
    if value is None:
        return None
    try:
        if value.strip().isdecimal():
            seconds = float(value)
        else:
            moment = parsedate_to_datetime(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            seconds = moment.timestamp() - now / 1000
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _reason(error: Exception) -> str:
    """The kernel's words where there are any, else the error's kind: never a URL."""
    text = getattr(error, "strerror", None)
    return text.lower() if isinstance(text, str) and text.isprintable() else type(error).__name__
