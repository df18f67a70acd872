"""Proof that we may pull: tokens and passwords, for exactly the registry they are meant for.

The rules of who gets what: docs/design/registry.md, "Credentials".
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

import msgspec
from yarl import URL

from shared.adapters.registry import limits
from shared.adapters.registry.challenges import Challenge, choose, read_challenges
from shared.adapters.registry.credentials import CredentialFiles
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.failures import refused
from shared.adapters.registry.wire import Wire, host_of
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.rules import Rules
from shared.ports.clock import Clock

_Key = tuple[URL, str, str]

_DEFAULT_LIFE = 60.0  # the token specification's own default
_MARGIN = 5.0
_BASIC_LIFE = 60.0
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class _Answer(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float = _DEFAULT_LIFE


class _Proof(msgspec.Struct, frozen=True):
    header: str
    ends: float

    def __repr__(self) -> str:
        return "_Proof(...)"


class Authenticator:
    """Keeps the proofs that are still good, bounded, by host, repository and credentials file."""

    def __init__(
        self, *, wire: Wire, rules: Callable[[], Rules], clock: Clock, timeout: float
    ) -> None:
        self._wire = wire
        self._timeout = timeout
        self._rules = rules
        self._clock = clock
        self._files = CredentialFiles()
        self._proofs: OrderedDict[_Key, _Proof] = OrderedDict()
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
            header, life = await self._prove(target, www_authenticate)
            self._keep(key, header, life)
        return header

    async def _prove(self, target: Target, www_authenticate: Sequence[str]) -> tuple[str, float]:
        challenge = choose(read_challenges(www_authenticate))
        if challenge is None:
            raise _unauthorised(target, "asks for a way to log in other than Bearer or Basic")
        if challenge.scheme == "basic":
            return self._password(target), _BASIC_LIFE
        return await self._token(target, challenge)

    def _password(self, target: Target) -> str:
        credentials = self._files.find(target)
        if credentials is None:
            raise _unauthorised(target, "wants a user and a password")
        return credentials.basic()

    async def _token(self, target: Target, challenge: Challenge) -> tuple[str, float]:
        realm = self._realm(target, challenge)
        credentials = self._files.find(target)
        headers = {"Authorization": credentials.basic()} if credentials else {}
        scope = f"repository:{target.reference.path}:pull"
        query = {"service": challenge.parameters.get("service", ""), "scope": scope}
        url = realm.extend_query({key: value for key, value in query.items() if value})
        response = await self._wire.send(
            "GET", url, name=target.name, headers=headers, total=self._timeout
        )
        async with response:
            if response.status != 200:
                raise await self._wire.failure(response, name=target.name)
            limit = limits.MAX_TOKEN_BYTES
            body = await self._wire.read(response, name=target.name, limit=limit)
        return self._read(target, body, host_of(realm))

    def _realm(self, target: Target, challenge: Challenge) -> URL:
        text = challenge.parameters.get("realm", "")
        try:
            realm = URL(text)
            usable = realm.scheme in ("http", "https") and bool(realm.raw_host and realm.port)
        except ValueError as error:
            raise refused(f"{target.name}: the registry names no usable token realm") from error
        if not usable or realm.raw_user is not None or realm.raw_password is not None:
            raise refused(f"{target.name}: the registry names no usable token realm")
        if not target.trusts_realm(realm, self._rules()):
            raise refused(
                f"{target.name}: the registry sends us to {realm.scheme}://{host_of(realm)} for a "
                "token, which the rules do not name; if that host is trusted with this "
                "registry's credentials, add it to `registries`"
            )
        return realm.with_fragment(None)

    def _read(self, target: Target, body: bytes, host: str) -> tuple[str, float]:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise TransientFailure(
                f"{target.name}: {host} answered with something that is no token; it is tried again"
            ) from error
        token = answer.token or answer.access_token
        if not _VISIBLE.fullmatch(token):
            raise _unauthorised(target, f"got no usable token from {host}")
        return f"Bearer {token}", answer.expires_in - _MARGIN

    def _keep(self, key: _Key, header: str, life: float) -> None:
        life = min(life, limits.MAX_TOKEN_LIFE)
        if life <= 0:
            return
        self._proofs[key] = _Proof(header, self._clock.monotonic() + life)
        self._proofs.move_to_end(key)
        while len(self._proofs) > limits.MAX_TOKENS:
            self._proofs.popitem(last=False)


def _key(target: Target) -> _Key:
    return target.base, target.reference.path, target.rule.credentials


def _unauthorised(target: Target, what: str) -> PermanentFailure:
    return PermanentFailure(
        f"{target.name}: the registry {what}; name a file with credentials for "
        f"{target.reference.host} under `registries` in the rules",
        kind=ErrorKind.UNAUTHORISED,
    )
