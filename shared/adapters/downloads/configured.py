"""From settings to a client that downloads."""

import ssl
from pathlib import Path

from yarl import URL

from shared.adapters.downloads.client import HttpDownloads
from shared.domain.errors import InvalidSettings
from shared.ports.clock import Clock


def downloads_of(*, proxy: str, ca_file: Path | None, clock: Clock) -> HttpDownloads:
    """By `proxy` (empty: straight), believing `ca_file` alone (None: the system's authorities).

    Raises InvalidSettings, which does not repeat the proxy: it may hold a password.
    """
    return HttpDownloads(
        clock=clock,
        proxy=_proxy(proxy) if proxy else None,
        ssl_context=_believing(ca_file) if ca_file else None,
    )


def _proxy(text: str) -> URL:
    try:
        url = URL(text.strip())
    except ValueError:
        url = URL()
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise InvalidSettings(
            "IMAGEGATE_SCANNER_SYNC_PROXY must be http://HOST:PORT or https://HOST:PORT"
        )
    return url


def _believing(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise InvalidSettings(
            f"IMAGEGATE_SCANNER_SYNC_CA {ca_file} cannot be used: {error}; it must hold PEM "
            "certificates"
        ) from error
