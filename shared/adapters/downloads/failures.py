"""What an answer that is no file means: asked again by itself, or said to who reads the message.

Messages name hosts and the URL that was given; where a redirect led may carry a signature.
"""

import aiohttp
from yarl import URL

from shared.adapters.downloads.headers import milliseconds
from shared.ports.downloads import DownloadFailed

_WORTH_A_RETRY = frozenset({408, 425, 429})
_SILENT = "check that it is up and can be reached from here, through the proxy that is set if any"


class Broken(Exception):
    """An attempt that may end otherwise next time. `retry_after`: seconds, as the server asks."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def failure_of_status(given: URL, response: aiohttp.ClientResponse, *, now: int) -> Exception:
    """An answer that is neither the file nor a part of it. `now`: ms since the epoch."""
    status, host = response.status, response.url.raw_host
    if status >= 500 or status in _WORTH_A_RETRY:
        return Broken(
            f"{given}: {host} answered {status}; look at that server",
            retry_after=_seconds(response.headers.get("Retry-After", ""), now=now),
        )
    if status in (404, 410):
        return DownloadFailed(f"{given}: {host} answered {status}: it has no such file")
    if status in (401, 403, 407):
        return DownloadFailed(
            f"{given}: {host} answered {status}: it gives us nothing there; see whether it wants "
            "a login, or whether a proxy refuses"
        )
    return DownloadFailed(
        f"{given}: {host} answered {status}, which is no answer of a file server; check the URL"
    )


def failure_of_error(given: URL, error: Exception, *, host: str | None) -> Exception:
    """A call that ended without a whole answer."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return DownloadFailed(
                f"{given}: the proxy does not let us through (it answered {error.status}); check "
                "the proxy's setting and its login"
            )
        case aiohttp.ClientProxyConnectionError():
            return Broken(f"{given}: no answer from the proxy; check that it is up")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return DownloadFailed(
                f"{given}: the certificate of {host} is not trusted here, or it speaks no TLS; "
                "name the file of its CA in the settings, or correct the URL"
            )
        case aiohttp.ClientConnectorDNSError():
            return Broken(f"{given}: the name {host} cannot be looked up; check the URL and DNS")
        case TimeoutError():
            return Broken(f"{given}: {host} went silent; {_SILENT}")
        case aiohttp.ClientPayloadError():
            return Broken(f"{given}: {host} broke off in the middle; {_SILENT}")
        case _:
            return Broken(f"{given}: no answer from {host} ({_reason(error)}); {_SILENT}")


def _seconds(value: str, *, now: int) -> float | None:
    """Of Retry-After, which holds seconds or a date."""
    if value.strip().isdecimal():
        return float(value)
    at = milliseconds(value)
    return None if at is None else max(0.0, (at - now) / 1000)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None)
    return text.lower() if isinstance(text, str) and text.isprintable() else type(error).__name__
