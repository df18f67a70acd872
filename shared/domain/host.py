"""Hosts, as addresses name them."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether it is this machine's own, by its text alone: no name is looked up, so that of names
    only `localhost` is."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
