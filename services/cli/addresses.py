"""Addresses that people name."""

from urllib.parse import urlsplit


def host_of(url: str, *schemes: str) -> str:
    """The host of an address of one of `schemes`; empty where it is of another, names no host, or
    its port is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.port != 0
    except ValueError:
        return ""
    return (parts.hostname or "") if usable else ""
