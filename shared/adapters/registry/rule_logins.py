"""The logins that the rules name, in plain, for a scanner that reads the same registries."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Self

import msgspec

from shared.adapters.registry.credentials import Credentials
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.limits import Timeouts
from shared.adapters.registry.logins import Password, unusable
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules
from shared.ports.clock import Clock
from shared.ports.registry_logins import RegistryLogin

PATIENT = Timeouts(helper_wait=10.0)
"""Nobody waits for an answer about a pod here: a helper has its whole time."""


class RuleLogins(AbstractAsyncContextManager["RuleLogins"]):
    """`shared.ports.registry_logins.RegistryLogins` on files and helpers."""

    def __init__(self, *, clock: Clock, environ: Mapping[str, str] | None = None) -> None:
        """`environ`: what helpers are started with; None: all that we have."""
        self._credentials = Credentials(clock=clock, timeouts=PATIENT, environ=environ)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._credentials.close()

    async def find(self, entry: RegistryRule, path: str) -> RegistryLogin | None:
        """What a pull of the repository would log in with."""
        target = _target(entry, path)
        login = await self._credentials.find(target)
        if login is None:
            return None
        if not isinstance(login, Password):
            raise unusable(
                target,
                "its login is an identity token, which a token service takes and nobody else; name "
                "a user and a password in the rules, of a robot account if there is such a thing",
            )
        user, password = login.pair()
        return RegistryLogin(user=user, password=password, helper=login.by_helper)

    def parts(self, entry: RegistryRule) -> tuple[str, ...]:
        """Of a dockerconfigjson file, whose keys may have paths."""
        return self._credentials.parts(_target(entry, "any"))


def _target(entry: RegistryRule, path: str) -> Target:
    """A repository that the entry is taken to be for, whatever its patterns say."""
    everywhere = msgspec.structs.replace(entry, repositories=())
    reference = parse_reference(f"{entry.host}/{path}")
    return Target.under(Rules(registries=(everywhere,)), reference)
