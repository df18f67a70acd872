"""Who may ask: callers whose certificate names one of those that are let in.

The handshake has shown that the certificate is of the client CA and for clients. Which name stands
in it is looked at here, since a cluster's CA signs for every kubelet too. What a caller showed is
kept by its connection: to look at it takes half a microsecond, and nothing is remembered.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

from shared.domain.errors import InvalidSettings
from shared.domain.pointer import SECOND
from shared.ports.clock import Clock
from shared.runtime.logging import one_line
from shared.runtime.seldom import Bursts

log = logging.getLogger(__name__)

SAY_EVERY = 60.0
"""Seconds between two lines about strangers: they may call as often as they like."""
MAX_SHOWN = 3
"""Of a certificate's names in the log."""

Certificate: TypeAlias = Mapping[str, Any]
"""As `ssl.SSLObject.getpeercert()` tells it."""


class Callers:
    """Tells callers that are let in from strangers, and those that must show themselves anew."""

    def __init__(
        self,
        *,
        names: Iterable[str],
        clock: Clock,
        is_current: Callable[[ssl.SSLObject], bool] = lambda connection: True,
    ) -> None:
        """`names`: common names and DNS names, one of which a certificate must have; none: each
        certificate of the client CA will do. `is_current`: whether a connection was let in by the
        client CA of now."""
        self._names = frozenset(names)
        self._is_current = is_current
        self._clock = clock
        self._bursts = Bursts(clock=clock, every=SAY_EVERY)

    def is_stranger(self, transport: asyncio.BaseTransport | None) -> bool:
        """Whether the caller is to be refused: then it has been said, once a minute. None: he has
        gone, and nothing is looked at for him."""
        if not self._names:
            return False
        if transport is None:
            return True
        certificate: Certificate = transport.get_extra_info("peercert") or {}
        if not self._names.isdisjoint(names_of(certificate)):
            return False
        more = self._bursts.said("stranger")
        if more is not None:
            log.warning(
                "a caller's certificate has none of the names of IMAGEGATE_CLIENT_NAMES: refused%s",
                more,
                extra={"names": _shown(certificate), "address": _address(transport)},
            )
        return True

    def must_come_anew(self, transport: asyncio.BaseTransport | None) -> bool:
        """Whether the client CA was replaced since the caller connected, or its certificate has
        ended: it is answered, and then its connection ends, so that it shows itself again."""
        connection = transport.get_extra_info("ssl_object") if transport else None
        if transport is None or connection is None:
            return False
        certificate: Certificate = transport.get_extra_info("peercert") or {}
        ends = _moment(certificate.get("notAfter", ""))
        return ends <= self._clock.now() or not self._is_current(connection)


def names_of(certificate: Certificate) -> tuple[str, ...]:
    """The common name and the DNS names, exactly as they stand there."""
    subject = [
        text
        for attributes in certificate.get("subject", ())
        for kind, text in attributes
        if kind == "commonName"
    ]
    alternatives = certificate.get("subjectAltName", ())
    return (*subject, *(text for kind, text in alternatives if kind == "DNS"))


def checked_names(names: Iterable[str], *, has_ca: bool) -> tuple[str, ...]:
    """Those of IMAGEGATE_CLIENT_NAMES; raises InvalidSettings for what could let nobody in, or
    everybody."""
    found = tuple(names)
    if found and not has_ca:
        raise InvalidSettings(
            "IMAGEGATE_CLIENT_NAMES is set without IMAGEGATE_CLIENT_CA: nobody would be asked for "
            "a certificate; set both, or neither"
        )
    for name in found:
        if not name or "*" in name:
            raise InvalidSettings(
                f"IMAGEGATE_CLIENT_NAMES: {name!r} is no name: they are compared exactly, as they "
                "stand in certificates, and divided by commas"
            )
    return found


@lru_cache(maxsize=64)
def _moment(text: str) -> int:
    """When that is (ms); of what is no time long ago. Each answer asks, and nearly all the same."""
    try:
        return ssl.cert_time_to_seconds(text) * SECOND
    except ValueError:
        return 0


def _shown(certificate: Certificate) -> str:
    """What strangers wrote into it, bounded."""
    names = names_of(certificate)
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return f"{', '.join(one_line(name)[:80] for name in names[:MAX_SHOWN])}{more}" or "none"


def _address(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else "unknown"
