"""The registries that a scanner reads images from, and its logins there."""

from typing import Protocol

import msgspec

from shared.domain.registry_access import RegistryAccess

DOCKER_V2 = "docker_v2"
"""The kind of registry that takes a user and a password."""


class KnownRegistry(msgspec.Struct, frozen=True):
    """A registry as the scanner says it has it; it never tells passwords."""

    registry: str
    """A host, or a host with the beginning of repositories (`registry.corp/team/*`)."""
    user: str = ""
    name: str = ""
    """What people call it there."""
    kind: str = DOCKER_V2
    verify: bool = True


class Registries(Protocol):
    """The registries of one scanner (docs/design/anchore-engine.md 3, docs/design/anchore-v2.md 7).

    `account` empty: the account of the credentials. Each account has its own.
    Errors: TransientFailure, PermanentFailure (unauthorised: the registry refuses the login;
    misconfigured: credentials, rights, an unknown account; refused: the scanner refuses the record;
    untrusted: the answer is for another account). No message holds a password.
    """

    async def all(self, *, account: str = "") -> tuple[KnownRegistry, ...]:
        """What the scanner has; an account that it does not know is an error."""

    async def add(self, access: RegistryAccess, *, account: str = "") -> None:
        """Add one that it does not have; where the scanner can try the login, it must work."""

    async def update(self, access: RegistryAccess, *, name: str = "", account: str = "") -> None:
        """Replace what it has of `access.registry`; `name`: what people go on calling it."""
