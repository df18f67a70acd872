"""What kind of place a network address is: anybody's, a private network's, or never to be asked."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address

# Services that hand out a machine's own credentials at addresses outside 169.254.0.0/16:
# AWS and Google over IPv6, Azure's wire server, Alibaba, Oracle.
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "fd00:ec2::254",
        "fd20:ce::254",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
    )
)
_TRANSLATED = (
    IPv6Network("64:ff9b::/96"),
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("::/96"),
)
# Site-local, and translation prefixes whose place of the IPv4 address only their owner knows.
_LOCAL = (IPv6Network("fec0::/10"), IPv6Network("64:ff9b:1::/48"))
_UNSPECIFIED = (ip_network("0.0.0.0/8"), ip_network("::/128"))


def is_never_asked(address: Address) -> bool:
    """Whether it is link-local, reserved, or hands out a machine's own credentials."""
    return any(_never(form) for form in _forms(address))


def is_public(address: Address) -> bool:
    """Whether it is, in every form, an address of the whole Internet."""
    return all(_is_public(form) for form in _forms(address))


def _forms(address: Address) -> Iterator[Address]:
    """The address, and the IPv4 addresses that an IPv6 one may be translated to."""
    yield address
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield from address.teredo
    if any(address in network for network in _TRANSLATED) and int(address) > 1:
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _is_public(address: Address) -> bool:
    local = isinstance(address, IPv6Address) and any(address in network for network in _LOCAL)
    return address.is_global and not local


def _never(address: Address) -> bool:
    return (
        address.is_link_local
        or address.is_multicast
        or address in _METADATA
        or any(address in network for network in _UNSPECIFIED if network.version == address.version)
        or (isinstance(address, IPv4Address) and address.is_reserved)
    )
