"""Where a download may lead: whoever configured a URL named its host, whoever answers names others.

A redirect is a stranger's word. It leads to https, and to a public address unless the host that
was named is none itself; no word leads to link-local or metadata addresses.
"""

import asyncio
import socket
from ipaddress import ip_address

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shared.adapters.addresses import Address, is_never_asked, is_public
from shared.domain.host import is_loopback
from shared.ports.downloads import DownloadFailed


class Places(AbstractResolver):
    """aiohttp's resolver for one download, and the check of each URL on its way.

    What is checked is what is connected to; nothing is cached.
    """

    def __init__(
        self,
        given: URL,
        *,
        proxy: URL | None,
        timeout: float,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._given = given
        self._proxy = proxy.raw_host if proxy else None
        self._timeout = timeout
        self._resolver = resolver or ThreadedResolver()
        self._inside = False
        """Whether the named host turned out to be on a private network."""

    def check(self, url: URL) -> None:
        """Raises DownloadFailed for a URL that may not be asked."""
        host = url.raw_host
        if url.scheme not in ("http", "https") or not host or url.user is not None:
            raise _refused(self._given, url, "it is no plain http:// or https:// address")
        address = _address(host)
        if url.scheme == "http" and self._given.scheme != "http" and not is_loopback(host):
            raise _refused(self._given, url, "that is plain HTTP, and https was asked for")
        if address is not None:
            self._check(host, address)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of `host`, if all of them may be asked."""
        async with asyncio.timeout(self._timeout):
            found = await self._resolver.resolve(host, port, family)
        if host != self._proxy:
            for result in found:
                self._check(host, ip_address(result["host"]))
        return found

    async def close(self) -> None:
        """Close the resolver underneath."""
        await self._resolver.close()

    def _check(self, host: str, address: Address) -> None:
        url = URL.build(scheme="https", host=host)
        if is_never_asked(address):
            raise _refused(self._given, url, "link-local and metadata addresses are never asked")
        if host == self._given.raw_host:
            self._inside = self._inside or not is_public(address)
        elif not self._inside and not is_public(address):
            raise _refused(self._given, url, "that is an address of a private network")


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refused(given: URL, url: URL, reason: str) -> DownloadFailed:
    if url.raw_host == given.raw_host and url.scheme == given.scheme:
        return DownloadFailed(f"{given.raw_host} is not asked: {reason}; correct the URL")
    return DownloadFailed(
        f"{given.raw_host} sends us on to {url.scheme}://{url.raw_host}, which is not asked: "
        f"{reason}; if that server is yours, name it itself as the URL"
    )
