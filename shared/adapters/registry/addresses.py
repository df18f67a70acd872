"""Where a request may go: checked on the very address that is connected to.

Link-local and metadata addresses are never asked; loopback and private ones only for hosts
that the rules name under `registries` (docs/design/registry.md, "Addresses"; the incidents
behind it: docs/design/field-notes.md 3b, row 15).
"""

import asyncio
import socket
from collections.abc import Callable
from ipaddress import ip_address

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shared.adapters.addresses import Address, is_never_asked, is_public
from shared.adapters.registry.endpoints import named_sockets
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.rules import Rules


class AddressGuard(AbstractResolver):
    """aiohttp's resolver, and the check of hosts that are addresses already.

    `resolve` leaves out the addresses that may not be asked; none left: PermanentFailure
    (refused). Nothing is cached: a name that changes its mind is checked again at each
    connection, and what was checked is what is connected to.
    """

    def __init__(
        self,
        *,
        rules: Callable[[], Rules],
        timeout: float,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._rules = rules
        self._timeout = timeout
        self._resolver = resolver or ThreadedResolver()

    def check(self, url: URL) -> None:
        """Refuse a URL whose host is an address that may not be asked (aiohttp resolves none)."""
        host, port = url.raw_host or "", url.port or 0
        try:
            address = ip_address(host)
        except ValueError as error:
            # aiohttp resolves no host of digits and dots, and the kernel reads 127.1 and more.
            if ":" in host or host.replace(".", "").isdigit():
                raise _refused(host, port, "it is no address in its usual spelling") from error
            return
        reason = self._forbidden(address, host, port)
        if reason:
            raise _refused(host, port, reason)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look `host` up and keep what may be asked."""
        async with asyncio.timeout(self._timeout):
            found = await self._resolver.resolve(host, port, family)
        kept, reason = [], ""
        for result in found:
            forbidden = self._forbidden(ip_address(result["host"]), host, port)
            reason = reason or forbidden
            if not forbidden:
                kept.append(result)
        if found and not kept:
            raise _refused(host, port, reason)
        return kept

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._resolver.close()

    def _forbidden(self, address: Address, host: str, port: int) -> str:
        """Why `address` may not be asked for `host`, or an empty text."""
        if is_never_asked(address):
            return "link-local, metadata and reserved addresses are never asked"
        if is_public(address) or (host, port) in named_sockets(self._rules()):
            return ""
        return (
            "loopback and private addresses are asked only for hosts that the rules name: "
            "add the host to `registries` if it is yours"
        )


def _refused(host: str, port: int, reason: str) -> PermanentFailure:
    return PermanentFailure(f"{host}:{port} is not asked: {reason}", kind=ErrorKind.REFUSED)
