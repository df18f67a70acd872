"""A serving certificate that is read again when its files change, without a restart."""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from weakref import WeakSet

import msgspec

from shared.domain.errors import InvalidSettings
from shared.runtime.handshakes import FailedHandshake, Watched, watch_handshakes
from shared.runtime.tls import CertificateFiles, server_context

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
"""Seconds. A Secret's files come a minute after it was changed; nobody is in a hurry."""


class ServedCertificate:
    """`context` is for the server, for good: each handshake is shown what was read last.

    A pair that does not fit, half of it written say, changes nothing: what was read before is
    shown until the files are whole. Raises InvalidSettings where they are not at the start.
    """

    def __init__(
        self,
        files: CertificateFiles,
        *,
        client_ca: Path | None = None,
        every: float = LOOK_EVERY,
        on_read: Callable[[Path], None] = lambda certificate: None,
        on_failed: Callable[[FailedHandshake], None] = lambda handshake: None,
    ) -> None:
        """`client_ca` as in `server_context`, and followed too; `on_read` is told the file of each
        certificate that is shown from now on, `on_failed` of each handshake that fails."""
        self._files = files
        self._client_ca = client_ca
        self._every = every
        self._on_read = on_read
        self._content = self._read()
        self._shown = server_context(files, client_ca=client_ca)
        self._ca = self._content.client_ca
        self._by_this_ca = WeakSet([self._shown])
        self.context = server_context(files, client_ca=client_ca)
        # Called at each handshake, of clients that name no server too.
        self.context.sni_callback = self._show
        watch_handshakes(self.context, on_failed)
        on_read(files.certificate)

    def holds_for(self, connection: ssl.SSLObject) -> bool:
        """Whether its caller was let in by the client CA of now, not by one that was replaced."""
        return connection.context in self._by_this_ca

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            self.look()

    def look(self) -> None:
        """Read the files again if they have changed."""
        content = self._read()
        if content == self._content:
            return
        self._content = content
        try:
            self._shown = server_context(self._files, client_ca=self._client_ca)
            self._let_in_by(content.client_ca)
            self._on_read(self._files.certificate)
        except InvalidSettings as error:
            log.error("the new certificate cannot be used, the one of before is shown: %s", error)
        else:
            log.info("the certificate was read again", extra={"file": str(self._files.certificate)})

    def _let_in_by(self, ca: bytes | None) -> None:
        """The context that is shown lets in by this CA; those of another do no longer count."""
        if ca != self._ca:
            self._ca = ca
            self._by_this_ca.clear()
        self._by_this_ca.add(self._shown)

    def _show(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _of: ssl.SSLContext
    ) -> None:
        connection.context = self._shown
        if isinstance(connection, Watched):
            connection.called = name or ""

    def _read(self) -> "_Content":
        return _Content(
            _bytes(self._files.certificate), _bytes(self._files.key), _bytes(self._client_ca)
        )


class _Content(msgspec.Struct, frozen=True):
    """What stands in the files."""

    certificate: bytes | None
    key: bytes | None
    client_ca: bytes | None


def _bytes(path: Path | None) -> bytes | None:
    """None: it cannot be read, now; what reads it to use it says why."""
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError:
        return None
