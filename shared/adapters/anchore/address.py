"""Where an Anchore server is, how it is reached, and whose certificate it must show."""

import ssl
from pathlib import Path

import httpx
import msgspec

from shared.domain.errors import InvalidSettings


def server_url(text: str) -> str:
    """ANCHORE_URL as a server's address: with or without `/v1`, `/v2` or a slash at its end.

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
    return str(url).rstrip("/").removesuffix("/v1").removesuffix("/v2").rstrip("/")


class Route(msgspec.Struct, frozen=True):
    """What lies between us and the server, and who must be believed on the way."""

    ca_file: Path | None = None
    """Only its certificates are believed; else the system's."""
    certificate: Path | None = None
    """What we show a server that wants to know its clients, PEM, with `key`."""
    key: Path | None = None
    proxy: str = ""
    """`http://[USER:PASSWORD@]HOST:PORT`."""

    def __repr__(self) -> str:
        return f"Route(ca_file={self.ca_file}, certificate={self.certificate})"

    def trusted(self, server: str) -> ssl.SSLContext:
        """What `server` is verified with. Raises InvalidSettings."""
        if not server.startswith("https://"):
            # Trusts nobody, and need not: loading the public CAs takes as long as all else here.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context = self._believing()
        if self.key and not self.certificate:
            raise InvalidSettings("ANCHORE_CLIENT_KEY is set without ANCHORE_CLIENT_CERTIFICATE")
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key or self.certificate, password="")
            except OSError as error:
                raise InvalidSettings(
                    f"ANCHORE_CLIENT_CERTIFICATE {self.certificate} with its key cannot be used: "
                    f"{error}; both must be PEM, the key without a password"
                ) from error
        return context

    def through(self) -> httpx.Proxy | None:
        """The proxy. Raises InvalidSettings, which does not repeat it."""
        if not self.proxy:
            return None
        try:
            proxy = httpx.Proxy(self.proxy.strip())
        except (httpx.InvalidURL, ValueError):
            proxy = None
        if proxy is None or proxy.url.scheme not in ("http", "https") or not proxy.url.host:
            raise InvalidSettings("ANCHORE_PROXY must be http://HOST:PORT or https://HOST:PORT")
        return proxy

    def _believing(self) -> ssl.SSLContext:
        if self.ca_file is None:
            return ssl.create_default_context()
        try:
            return ssl.create_default_context(cafile=str(self.ca_file))
        except OSError as error:
            raise InvalidSettings(
                f"ANCHORE_CA {self.ca_file} cannot be used: {error}; it must hold PEM certificates"
            ) from error
