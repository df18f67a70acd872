"""What is said and counted of callers that do not get past the handshake.

Else whoever set up the API server's certificate wrongly would see nothing here, and there no more
than "closed connection".
"""

import logging
from collections.abc import Callable

from shared.ports.clock import Clock
from shared.runtime.handshakes import FailedHandshake, HandshakeFault
from shared.runtime.logging import one_line
from shared.runtime.seldom import Bursts

log = logging.getLogger(__name__)

SAY_EVERY = 60.0
"""Seconds between two lines about one reason: anybody may connect as often as he likes."""
MAX_NAME = 80
"""Characters of the name that a caller says he wants."""

WHAT = {
    HandshakeFault.NO_CERTIFICATE: "a caller showed no certificate (IMAGEGATE_CLIENT_CA)",
    HandshakeFault.OTHER_CA: "a caller's certificate is not of the CA in IMAGEGATE_CLIENT_CA",
    HandshakeFault.EXPIRED: "a caller's certificate, or its CA's, has ended or not begun",
    HandshakeFault.NOT_FOR_CLIENTS: "a caller's certificate is not for clients (clientAuth)",
    HandshakeFault.NOT_TRUSTED: "a caller does not trust our certificate: see caBundle",
    HandshakeFault.PROTOCOL: "a caller did not get through the handshake of TLS",
}


class Handshakes:
    """Hears of those that fail."""

    def __init__(self, *, clock: Clock, on_failed: Callable[[HandshakeFault], None]) -> None:
        """`on_failed` counts each."""
        self._on_failed = on_failed
        self._bursts = Bursts(clock=clock, every=SAY_EVERY)

    def failed(self, handshake: FailedHandshake) -> None:
        """One came to nothing: it is counted, and said once a minute and reason."""
        self._on_failed(handshake.why)
        more = self._bursts.said(handshake.why)
        if more is None:
            return
        called = one_line(handshake.called)[:MAX_NAME] or "nothing"
        log.warning(
            "%s: not let in%s",
            WHAT[handshake.why],
            more,
            extra={"called": called, "said": handshake.said},
        )
