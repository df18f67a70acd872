"""Where an Anchore server is, and whose certificate it must show."""

import ssl
from pathlib import Path

import httpx

from shared.domain.errors import InvalidSettings


def server_url(text: str) -> str:
    """ANCHORE_URL as a server's address: with or without a `/v1` or a slash at its end.

    Raises InvalidSettings.
    """
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL as error:
        raise InvalidSettings(f"ANCHORE_URL is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidSettings("ANCHORE_URL must be http://HOST:PORT or https://HOST:PORT")
    if url.userinfo:
        raise InvalidSettings(
            "ANCHORE_URL must not hold credentials: use ANCHORE_USER and ANCHORE_PASSWORD"
        )
    if url.query or url.fragment:
        raise InvalidSettings("ANCHORE_URL must end with the path: remove what follows it")
    return str(url).rstrip("/").removesuffix("/v1").rstrip("/")


def trusted(url: str, ca_file: Path | None) -> ssl.SSLContext | bool:
    """What httpx verifies the server with: only `ca_file`'s certificates where it is given."""
    if ca_file is None and url.startswith("http://"):
        # Trusts nobody, and need not: loading the public CAs takes as long as all else here.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise InvalidSettings(
            f"ANCHORE_CA {ca_file} cannot be used: {error}; it must hold PEM certificates"
        ) from error
