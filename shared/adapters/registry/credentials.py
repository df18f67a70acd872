"""Where the login for a repository comes from: what its entry of `registries` names.

It is for that entry's host alone (docs/design/registry.md, "Credentials").
"""

from collections.abc import Mapping

from shared.adapters.registry.credential_helper import CredentialHelpers
from shared.adapters.registry.docker_config import Helper, read_docker_config
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.kept_files import KeptFiles, one_text, one_user
from shared.adapters.registry.limits import (
    MAX_CREDENTIAL_FILE_BYTES,
    MAX_SECRET_FILE_BYTES,
    Timeouts,
)
from shared.adapters.registry.logins import Login, Password, unusable
from shared.ports.clock import Clock


class Credentials:
    """The files and helpers that the rules name."""

    def __init__(
        self, *, clock: Clock, timeouts: Timeouts, environ: Mapping[str, str] | None = None
    ) -> None:
        """`environ`: as of `CredentialHelpers`."""
        limit = MAX_SECRET_FILE_BYTES
        self._users = KeptFiles(what="the userFile", limit=limit, parse=one_user)
        self._passwords = KeptFiles(what="the passwordFile", limit=limit, parse=one_text)
        self._configs = KeptFiles(
            what="the credentials file", limit=MAX_CREDENTIAL_FILE_BYTES, parse=read_docker_config
        )
        self._helpers = CredentialHelpers(clock=clock, timeouts=timeouts, environ=environ)

    async def find(self, target: Target) -> Login | None:
        """The login for a repository; None if its entry of the rules names none.

        Raises PermanentFailure (unauthorised) when what is named cannot be used, and
        TransientFailure when a helper fails.
        """
        rule = target.rule
        if rule.helper:
            return await self._helpers.ask(rule.helper, target)
        if rule.user_file or rule.password_file:
            return self._pair(target)
        if not rule.credentials:
            return None
        config = self._configs.read(rule.credentials, target=target)
        try:
            found = config.login(target)
        except ValueError as error:
            what = f"the credentials file {rule.credentials} {error}"
            raise unusable(target, what) from error
        if isinstance(found, Helper):
            return await self._helpers.ask(found.program, target)
        return found

    def parts(self, target: Target) -> tuple[str, ...]:
        """The paths on the target's host that the entry's file has logins of their own for. Raises
        PermanentFailure (unauthorised) where it cannot be used."""
        path = target.rule.credentials
        if not path:
            return ()
        return self._configs.read(path, target=target).parts(target.reference.host)

    def outdated(self, login: Login | None) -> bool:
        """Whether a login that was refused is a helper's, and another may be had by now."""
        return login is not None and self._helpers.outdated(login)

    async def close(self) -> None:
        """End the helpers that run."""
        await self._helpers.close()

    def _pair(self, target: Target) -> Password:
        rule = target.rule
        if not (rule.user_file and rule.password_file):
            lacking = "passwordFile" if rule.user_file else "userFile"
            raise unusable(target, f"its entry of `registries` has no {lacking}; name both files")
        user = self._users.read(rule.user_file, target=target)
        return Password(user, self._passwords.read(rule.password_file, target=target))
