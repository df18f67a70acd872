"""Handshakes that fail, told: neither asyncio nor uvloop says a word of them.

Both make the server's half of a connection by the context's `sslobject_class`, and that knows why.
It does not know the caller's address; by which name it was called tells who that may be.
"""

import ssl
from collections.abc import Callable
from enum import StrEnum

import msgspec


class HandshakeFault(StrEnum):
    """Why a handshake failed."""

    NO_CERTIFICATE = "no_certificate"
    """The caller showed none, and has to."""
    OTHER_CA = "other_ca"
    """Nothing leads from the caller's to the client CA."""
    EXPIRED = "expired"
    """The caller's, or its CA's, has ended or not begun."""
    NOT_FOR_CLIENTS = "not_for_clients"
    """The caller's is for something else, a server say."""
    NOT_TRUSTED = "not_trusted"
    """The caller does not trust the certificate that it was shown."""
    PROTOCOL = "protocol"
    """Anything else: no TLS, an old one, no cipher in common."""


class FailedHandshake(msgspec.Struct, frozen=True):
    """One that came to nothing."""

    why: HandshakeFault
    said: str
    """OpenSSL's words, or ours where its own tell nothing."""
    called: str
    """The name of the server that the caller wanted, as it says; empty: it said none."""


class Watched(ssl.SSLObject):
    """The server's half of one connection; `called` is set by whoever hears the name."""

    called: str = ""
    on_failed: Callable[[FailedHandshake], None]

    def do_handshake(self) -> None:
        """Raises what OpenSSL says."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.on_failed(FailedHandshake(_why(error), _said(error), self.called))
            raise


def watch_handshakes(context: ssl.SSLContext, on_failed: Callable[[FailedHandshake], None]) -> None:
    """Have `on_failed` told of each handshake of this context that fails. Who goes away in the
    midst of one, as a probe that only connects does, is not told of."""
    watched = type("WatchedHere", (Watched,), {"on_failed": staticmethod(on_failed)})
    context.sslobject_class = watched


_EXPIRED = (9, 10)
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and CERT_HAS_EXPIRED."""
_PURPOSE = 26
"""X509_V_ERR_INVALID_PURPOSE."""


def _why(error: ssl.SSLError) -> HandshakeFault:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _EXPIRED:
            return HandshakeFault.EXPIRED
        return (
            HandshakeFault.NOT_FOR_CLIENTS
            if error.verify_code == _PURPOSE
            else HandshakeFault.OTHER_CA
        )
    reason = error.reason or ""
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return HandshakeFault.NO_CERTIFICATE
    # The caller's alerts: of a server they are about nothing but its certificate.
    if "_ALERT_" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        return HandshakeFault.NOT_TRUSTED
    return HandshakeFault.PROTOCOL


def _said(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if error.reason == "CALLBACK_FAILED":
        # Ours does nothing that fails, and is not called where there is no text to call it with.
        return "the name that it calls us by is not ASCII"
    return (error.reason or "unknown").replace("_", " ").lower()
