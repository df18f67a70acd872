"""Proof that we may pull: tokens and passwords, for exactly the registry they are meant for.

The rules of who gets what: docs/design/registry.md, "Credentials".
"""

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

import msgspec
from yarl import URL

from shared.adapters.registry import limits
from shared.adapters.registry.challenges import Challenge, choose, read_challenges
from shared.adapters.registry.credentials import Credentials
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.logins import IdentityToken, Login, unauthorised
from shared.adapters.registry.token_service import TokenService
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.latest import Latest
from shared.ports.clock import Clock

_Key = tuple[URL, str, tuple[str, ...]]

_BASIC_LIFE = 60.0


class _Proof(msgspec.Struct, frozen=True):
    header: str
    ends: float
    """By the monotonic clock."""
    login: Login | None

    def __repr__(self) -> str:
        return "_Proof(...)"


class Authenticator:
    """Keeps the proofs that are still good, bounded, by host, repository and where the login comes
    from."""

    def __init__(self, *, credentials: Credentials, service: TokenService, clock: Clock) -> None:
        self._credentials = credentials
        self._service = service
        self._clock = clock
        self._proofs = Latest[_Key, _Proof](limits.MAX_TOKENS)
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    def known(self, target: Target) -> str | None:
        """The Authorization header that was good the last time, if it has not ended."""
        proof = self._proofs.get(_key(target))
        if proof is None or proof.ends <= self._clock.monotonic():
            return None
        return proof.header

    async def answer(
        self, target: Target, www_authenticate: Sequence[str], *, refused_proof: str | None
    ) -> str:
        """The Authorization header for a registry that answered 401 to `refused_proof`.

        Many who ask at once are answered with one token. Raises PermanentFailure: refused (a
        realm that we do not follow), unauthorised (no credentials, or they are not taken);
        TransientFailure.
        """
        key = _key(target)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            newer = self.known(target)
            if newer is not None and newer != refused_proof:
                return newer
            self._proofs.pop(key, None)
            header, life, login = await self._prove(target, www_authenticate)
            self._keep(key, header, life, login)
        return header

    async def another(
        self, target: Target, www_authenticate: Sequence[str], *, refused_proof: str
    ) -> str | None:
        """The header of a newer login, where what was refused came of a helper's older answer;
        else None, and the refusal stands. Raises as `answer`."""
        used = self._proofs.get(_key(target))
        if used is None:
            return None
        if used.header == refused_proof and not self._credentials.outdated(used.login):
            return None
        return await self.answer(target, www_authenticate, refused_proof=refused_proof)

    async def _prove(
        self, target: Target, www_authenticate: Sequence[str]
    ) -> tuple[str, float, Login | None]:
        challenge = choose(read_challenges(www_authenticate))
        if challenge is None:
            raise unauthorised(target, "asks for a way to log in other than Bearer or Basic")
        if challenge.scheme == "basic":
            return await self._password(target)
        return await self._token(target, challenge)

    async def _password(self, target: Target) -> tuple[str, float, Login | None]:
        login = await self._credentials.find(target)
        if login is None:
            raise unauthorised(target, "wants a user and a password")
        if isinstance(login, IdentityToken):
            raise unauthorised(target, "wants a user and a password, and got an identity token")
        return login.basic(), _BASIC_LIFE, login

    async def _token(self, target: Target, challenge: Challenge) -> tuple[str, float, Login | None]:
        realm = self._service.realm(target, challenge)
        login = await self._credentials.find(target)
        try:
            header, life = await self._service.token(target, challenge, realm, login)
        except PermanentFailure as error:
            if error.kind is not ErrorKind.UNAUTHORISED or not self._credentials.outdated(login):
                raise
            login = await self._credentials.find(target)
            header, life = await self._service.token(target, challenge, realm, login)
        return header, life, login

    def _keep(self, key: _Key, header: str, life: float, login: Login | None) -> None:
        life = min(life, limits.MAX_TOKEN_LIFE)
        if life <= 0:
            return
        self._proofs[key] = _Proof(header, self._clock.monotonic() + life, login)


def _key(target: Target) -> _Key:
    rule = target.rule
    named = (rule.credentials, rule.user_file, rule.password_file, rule.helper)
    return target.base, target.reference.path, named
