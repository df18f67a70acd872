"""Where Redis is, and who we are there."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.credentials import UsernamePasswordCredentialProvider

from shared.adapters.redis_store.connections import PlainConnection, TlsConnection
from shared.domain.errors import InvalidSettings
from shared.domain.host import is_loopback

SHAPE = "redis[s]://[user:password@]host[:port][/database]"
PORT = 6379


@dataclass(frozen=True)
class RedisAddress:
    """One server. Its text never shows name or password."""

    host: str
    port: int
    database: int
    trust: ssl.SSLContext | None = field(repr=False)
    """Whom to believe; None: without TLS."""
    user: str = field(repr=False)
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine's own."""
        return is_loopback(self.host)

    def connection_options(self) -> dict[str, Any]:
        """How redis-py makes a connection to it."""
        options: dict[str, Any] = {
            "connection_class": PlainConnection,
            "host": self.host,
            "port": self.port,
            "db": self.database,
        }
        if self.trust is not None:
            options |= {"connection_class": TlsConnection, "trust": self.trust}
        if self.user or self.password:
            # A provider, because a pool's repr shows plain options.
            options["credential_provider"] = UsernamePasswordCredentialProvider(
                self.user, self.password
            )
        return options


def parse_address(url: str, *, ca_file: Path | None = None) -> RedisAddress:
    """Read a URL; raises InvalidSettings, whose message does not repeat the URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORT
        database = int(parts.path.strip("/") or 0)
    except ValueError:
        # What urlsplit says may hold the password: neither said nor chained.
        raise InvalidSettings(f"REDIS_URL cannot be read: write it as {SHAPE}") from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise InvalidSettings(f"REDIS_URL must name a scheme and a host: {SHAPE}")
    if parts.query or parts.fragment:
        raise InvalidSettings(f"REDIS_URL takes no options after ? or #: {SHAPE}")
    return RedisAddress(
        host=parts.hostname,
        port=port,
        database=database,
        trust=_trust(ca_file, tls=parts.scheme == "rediss"),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _trust(ca_file: Path | None, *, tls: bool) -> ssl.SSLContext | None:
    """Now, and not as a connection error at every call; to read the system's takes 20 ms."""
    if not tls:
        if ca_file is not None:
            raise InvalidSettings(
                "REDIS_CA needs a rediss:// address in REDIS_URL: change one of the two"
            )
        return None
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise InvalidSettings(
            f"REDIS_CA {ca_file} cannot be used: {error}: name a PEM file"
        ) from error
