"""The registries that a scanner reads images from, and its logins there."""

from typing import Protocol

import msgspec

from shared.domain.registry_access import RegistryAccess


class KnownRegistry(msgspec.Struct, frozen=True):
    """A registry as the scanner says it has it; it never tells passwords."""

    registry: str
    """A host, or a host with the beginning of repositories (`registry.corp/team/*`)."""
    user: str = ""
    kind: str = "docker_v2"
    verify: bool = True


class Registries(Protocol):
    """The registries of one account (docs/design/anchore-engine.md 3, docs/design/anchore-v2.md 7).

    `account` empty: the account of the credentials.
    Errors: TransientFailure, PermanentFailure (unauthorised: the registry refuses the login;
    refused: the scanner refuses us or the record). No message holds a password.
    """

    async def all(self, *, account: str = "") -> tuple[KnownRegistry, ...]:
        """What the scanner has."""

    async def add(self, access: RegistryAccess, *, account: str = "") -> None:
        """Add it."""

    async def update(self, access: RegistryAccess, *, account: str = "") -> None:
        """Replace what it has of `access.registry`."""
