"""What somebody else needs to read images from a registry."""

import msgspec


class RegistryAccess(msgspec.Struct, frozen=True):
    """A registry and a login there. Its password is a secret: `repr` does not show it."""

    registry: str
    """A host, or a host with the beginning of repositories (`registry.corp/team/*`)."""
    user: str
    password: str
    verify: bool = True
    """False for plain HTTP, or a certificate that nobody checks."""

    def __repr__(self) -> str:
        return f"RegistryAccess({self.registry!r}, user={self.user!r}, password=***)"
