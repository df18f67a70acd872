"""What the rules say about how to log in to registries, for handing it on."""

from typing import Protocol

import msgspec

from shared.domain.rules import RegistryRule


class RegistryLogin(msgspec.Struct, frozen=True):
    """A user and a password; `repr` does not show them."""

    user: str
    password: str
    helper: bool = False
    """A credential helper gave it: mostly a token that ends after hours."""

    def __repr__(self) -> str:
        return "RegistryLogin(...)"


class RegistryLogins(Protocol):
    """The files and helpers that the rules name.

    Errors: PermanentFailure (unauthorised) for what is named and cannot be used, or is not a user
    and a password; TransientFailure for a helper that fails. No message holds a secret.
    """

    async def find(self, entry: RegistryRule, path: str) -> RegistryLogin | None:
        """The login for the repository `path` of the entry's host; None where it names none."""

    def parts(self, entry: RegistryRule) -> tuple[str, ...]:
        """The paths on the entry's host for which what it names has logins of their own."""
