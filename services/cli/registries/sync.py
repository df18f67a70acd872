"""Anchore is given the registries of the rules file, with their logins.

What Anchore has and the rules do not name is left alone, and so is what it logs in to by itself.
Anchore tells nobody a password, so that what is there is sent again: its password may be another.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from services.cli.registries.wanted import Unsaid, Wanted, accounts_of, wanted_of
from shared.domain.errors import StepFailure
from shared.domain.registry_access import RegistryAccess
from shared.domain.rules import Rules
from shared.ports.registries import DOCKER_V2, KnownRegistry, Registries
from shared.ports.registry_logins import RegistryLogin, RegistryLogins

PASSING = (
    "its login is a credential helper's: a token that may end after hours (of ECR after 12), and "
    "then Anchore reads nothing there. Run sync again before, from a CronJob for instance"
)
"""It is sent all the same: without it Anchore could not read the images at all."""


class Done(StrEnum):
    """What became of a registry."""

    ADDED = "added"
    UPDATED = "updated"
    WOULD_ADD = "would be added"
    WOULD_UPDATE = "would be updated"
    ALONE = "left alone"
    OPEN = "needs no login"
    UNSAID = "left out"
    FAILED = "failed"


class SyncRow(msgspec.Struct, frozen=True):
    """One registry of one account."""

    account: str | None
    """None: of all of them, since it is about the rules; empty: that of the credentials."""
    registry: str
    """Empty: the account could not be asked for what it has."""
    done: Done
    user: str = ""
    verify: bool = True
    remark: str = ""


class RegistrySync:
    """Carries the rules' registries to one Anchore."""

    def __init__(self, *, rules: Rules, registries: Registries, logins: RegistryLogins) -> None:
        self._rules = rules
        self._registries = registries
        self._logins = logins

    async def run(self, *, accounts: Sequence[str] = (), dry: bool = False) -> tuple[SyncRow, ...]:
        """Into these accounts; into those that the rules ask in where none is named. No failure of
        one keeps the others from their turn."""
        wanted, unsaid = wanted_of(self._rules)
        rows = [_unsaid(one) for one in unsaid]
        accesses: list[tuple[RegistryAccess, str]] = []
        for one in wanted:
            found = await self._access(one)
            if isinstance(found, SyncRow):
                rows.append(found)
                continue
            accesses.append(found)
            rows += self._parts(one)
        for account in accounts or accounts_of(self._rules):
            named = {one.registry for one in wanted}
            rows += await self._into(account, accesses, named, dry=dry)
        return tuple(rows)

    async def _access(self, wanted: Wanted) -> tuple[RegistryAccess, str] | SyncRow:
        """What to send, with a remark; or why there is nothing to send."""
        try:
            login = await self._logins.find(wanted.entry, wanted.path)
        except StepFailure as failure:
            return SyncRow(None, wanted.registry, Done.FAILED, remark=str(failure))
        if login is None:
            why = "the rules name no login there; Anchore asks without one"
            return SyncRow(None, wanted.registry, Done.OPEN, remark=why)
        return _access(wanted, login), PASSING if login.helper else ""

    def _parts(self, wanted: Wanted) -> list[SyncRow]:
        """Logins for parts of a host that the entry is for as a whole."""
        parts = () if wanted.entry.repositories else self._logins.parts(wanted.entry)
        why = "has a login of its own: name it under `repositories` in an entry of its own"
        return [
            SyncRow(None, f"{wanted.registry}/{part}", Done.UNSAID, remark=why) for part in parts
        ]

    async def _into(
        self,
        account: str,
        accesses: Sequence[tuple[RegistryAccess, str]],
        named: set[str],
        *,
        dry: bool,
    ) -> list[SyncRow]:
        try:
            known = {one.registry: one for one in await self._registries.all(account=account)}
        except StepFailure as failure:
            return [SyncRow(account, "", Done.FAILED, remark=str(failure))]
        rows = [
            await self._carry(account, access, known.get(access.registry), remark, dry=dry)
            for access, remark in accesses
        ]
        return rows + [_alone(account, one) for one in known.values() if one.registry not in named]

    async def _carry(
        self,
        account: str,
        access: RegistryAccess,
        known: KnownRegistry | None,
        remark: str,
        *,
        dry: bool,
    ) -> SyncRow:
        row = SyncRow(
            account,
            access.registry,
            Done.WOULD_UPDATE if known else Done.WOULD_ADD,
            access.user,
            access.verify,
            remark,
        )
        if known is not None and known.kind != DOCKER_V2:
            why = f"of type {known.kind} there: Anchore logs in by itself"
            return msgspec.structs.replace(row, done=Done.ALONE, user=known.user, remark=why)
        if dry:
            return row
        try:
            if known is None:
                await self._registries.add(access, account=account)
            else:
                await self._registries.update(access, name=known.name, account=account)
        except StepFailure as failure:
            return msgspec.structs.replace(row, done=Done.FAILED, remark=str(failure))
        return msgspec.structs.replace(row, done=Done.UPDATED if known else Done.ADDED)


def _unsaid(one: Unsaid) -> SyncRow:
    return SyncRow(None, one.what, Done.UNSAID if one.matters else Done.ALONE, remark=one.why)


def _access(wanted: Wanted, login: RegistryLogin) -> RegistryAccess:
    return RegistryAccess(
        registry=wanted.registry,
        user=login.user,
        password=login.password,
        verify=not wanted.entry.insecure,
    )


def _alone(account: str, known: KnownRegistry) -> SyncRow:
    why = "the rules do not name it"
    return SyncRow(account, known.registry, Done.ALONE, known.user, known.verify, why)
