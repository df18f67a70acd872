"""Which server answers for a host, and which other hosts belong to it.

The table holds what cannot be derived from names: Docker Hub. Every other relation is one that
the operator states by naming the host under `registries` (docs/design/registry.md, "Hosts").
"""

from typing import Self

import msgspec
from yarl import URL

from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.reference import ImageReference
from shared.domain.rules import RegistryRule, Rules

_SERVERS = {"docker.io": "registry-1.docker.io"}
_REALMS = {"docker.io": "auth.docker.io"}

Origin = tuple[str, str, int]
"""Scheme, host, port."""


class Target(msgspec.Struct, frozen=True):
    """A repository on a registry: where it is asked, under which entry of the rules."""

    reference: ImageReference
    rule: RegistryRule
    base: URL

    @classmethod
    def under(cls, rules: Rules, reference: ImageReference) -> Self:
        """Raises PermanentFailure (refused) for a host that the rules do not allow."""
        host = reference.host
        if not rules.allows_registry(host):
            raise PermanentFailure(
                f"{reference.repository}: the rules do not allow the registry {host}; add it to "
                "`allowRegistries`, or use an image from a registry that is allowed",
                kind=ErrorKind.REFUSED,
            )
        rule = rules.registry_for(reference)
        try:
            base = _base(host, insecure=rule.insecure)
        except ValueError as error:
            raise PermanentFailure(
                f"{reference.repository}: {host} is not a host that can be asked; correct the "
                "image reference",
                kind=ErrorKind.REFUSED,
            ) from error
        return cls(reference, rule, base)

    @property
    def name(self) -> str:
        """`host/path`, for messages."""
        return self.reference.repository

    def url(self, what: str, which: str) -> URL:
        """Of `manifests` or `blobs`, by tag or digest."""
        path = f"/v2/{self.reference.path}/{what}/{which}"
        return self.base.with_path(path, encoded=True)

    @property
    def listing(self) -> URL:
        """Of the repository's tags."""
        return self.base.with_path(f"/v2/{self.reference.path}/tags/list", encoded=True)

    def trusts_realm(self, realm: URL, rules: Rules) -> bool:
        """Whether this registry's credentials may go to `realm`, and its token come back."""
        origin, own, named = origin_of(realm), origin_of(self.base), named_origins(rules)
        if origin == own or (origin in named and own in named):
            return True
        known = _REALMS.get(self.reference.host)
        return known is not None and origin == ("https", known, 443)


def origin_of(url: URL) -> Origin:
    """What decides whether two URLs belong to one server."""
    return url.scheme, url.raw_host or "", url.port or 0


def named_origins(rules: Rules) -> frozenset[Origin]:
    """The servers that the rules name under `registries`, in their scheme."""
    origins = set()
    for entry in rules.registries:
        try:
            origins.add(origin_of(_base(entry.host, insecure=entry.insecure)))
        except ValueError:
            continue
        if entry.host in _REALMS:
            origins.add(("https", _REALMS[entry.host], 443))
    return frozenset(origins)


def named_sockets(rules: Rules) -> frozenset[tuple[str, int]]:
    """Host and port of every server that the rules name: these may be on private addresses."""
    return frozenset((host, port) for _, host, port in named_origins(rules))


def _base(host: str, *, insecure: bool) -> URL:
    """Raises ValueError for what is no host, such as a port above 65535."""
    url = URL(f"{'http' if insecure else 'https'}://{_SERVERS.get(host, host)}")
    if not url.raw_host or url.user is not None or url.path != "/" or not url.port:
        raise ValueError(host)
    return url
