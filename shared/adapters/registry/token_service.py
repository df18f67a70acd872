"""Tokens from a registry's token service: for one repository, to pull, for a realm that we follow.

The protocol is the distribution project's: a GET, with a password or with nothing, or a POST
that exchanges an identity token (OAuth 2).
"""

import re
from collections.abc import Callable

import msgspec
from yarl import URL

from shared.adapters.registry import limits
from shared.adapters.registry.challenges import Challenge
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.failures import refused
from shared.adapters.registry.logins import IdentityToken, Login, Password, unauthorised
from shared.adapters.registry.wire import Wire, host_of
from shared.domain.errors import TransientFailure
from shared.domain.rules import Rules

CLIENT = "imagegate"

_DEFAULT_LIFE = 60.0  # the token specification's own default
_MARGIN = 5.0
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class _Answer(msgspec.Struct):
    token: str = ""
    access_token: str = ""
    expires_in: float = _DEFAULT_LIFE


class TokenService:
    """Asks the realm of a challenge."""

    def __init__(self, *, wire: Wire, rules: Callable[[], Rules], timeout: float) -> None:
        self._wire = wire
        self._rules = rules
        self._timeout = timeout

    def realm(self, target: Target, challenge: Challenge) -> URL:
        """Where to ask. Raises PermanentFailure (refused) for a realm that is not followed."""
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

    async def token(
        self, target: Target, challenge: Challenge, realm: URL, login: Login | None
    ) -> tuple[str, float]:
        """An Authorization header, and the seconds that it is good for. Raises StepFailure."""
        fields = {
            "service": challenge.parameters.get("service", ""),
            "scope": f"repository:{target.reference.path}:pull",
        }
        fields = {key: value for key, value in fields.items() if value}
        method, url, headers, form = "GET", realm, {}, None
        if isinstance(login, IdentityToken):
            method = "POST"
            form = {"grant_type": "refresh_token", "client_id": CLIENT, **fields}
            form["refresh_token"] = login.text
        else:
            url = realm.extend_query(fields)
            headers = {"Authorization": login.basic()} if isinstance(login, Password) else {}
        response = await self._wire.send(
            method, url, name=target.name, headers=headers, form=form, total=self._timeout
        )
        async with response:
            if response.status != 200:
                raise await self._wire.failure(response, name=target.name)
            limit = limits.MAX_TOKEN_BYTES
            body = await self._wire.read(response, name=target.name, limit=limit)
        return _read(target, body, host_of(realm))


def _read(target: Target, body: bytes, host: str) -> tuple[str, float]:
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise TransientFailure(
            f"{target.name}: {host} answered with something that is no token; it is tried again"
        ) from error
    token = answer.token or answer.access_token
    if not _VISIBLE.fullmatch(token):
        raise unauthorised(target, f"got no usable token from {host}")
    return f"Bearer {token}", answer.expires_in - _MARGIN
