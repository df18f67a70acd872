"""How we prove to Anchore who we are: docs/design/anchore-v2.md 1.

Basic for Engine and for Enterprise's own users, Basic under `_api_key` for an API key, a bearer
token that somebody else made, or one that Anchore gives for a user and a password (v2 only; read,
not run). Secrets are asked for anew each time: their files change while we run. No repr shows them.
"""

import asyncio
import base64
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from shared.adapters.anchore.answers import Answer
from shared.adapters.anchore.calls import Call
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.ports.clock import Clock

Kept = Callable[[], str]
"""A secret, as it is now."""

Ask = Callable[[Call], Awaitable[Answer]]
"""Asks the server one question of the login's own, without credentials."""

API_KEY_USER = "_api_key"

RENEWED_AT = 0.8
"""Of a token's life: then another is fetched, while the old one still counts."""
DEFAULT_LIFE = 60.0
"""Seconds, of a token that does not say how long it counts."""
SHORTEST_LIFE = 10.0
"""Seconds: no call need fetch one of its own, whatever is said; what ends sooner is answered 401,
and renewed by that."""


class NoToken(Exception):
    """Anchore gave no token; `answer` is what it said instead."""

    def __init__(self, call: Call, answer: Answer) -> None:
        super().__init__(answer.status)
        self.call = call
        self.answer = answer


class Login(Protocol):
    """One way to log in."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may show."""

    async def header(self, ask: Ask) -> str:
        """`Authorization`; empty: none. Raises NoToken, what `ask` raises, and PermanentFailure
        (misconfigured) for a secret that no header can hold."""

    def refused(self, header: str) -> bool:
        """The server answered 401 to `header`: whether `header()` now gives another."""


class NoLogin:
    """Nothing is proved: the built-in scanner without a password."""

    secrets: tuple[str, ...] = ()

    async def header(self, ask: Ask) -> str:
        """None."""
        return ""

    def refused(self, header: str) -> bool:
        """There is no other."""
        return False


class _OfASecret:
    """A header that is made of a kept secret, as that is now."""

    def __init__(self) -> None:
        self._sent = _Sent()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Those sent lately, plain and as they stood in the header."""
        return self._sent.secrets

    async def header(self, ask: Ask) -> str:
        """With the secret as it is now."""
        return self._header()

    def refused(self, header: str) -> bool:
        """The secret was changed since."""
        return self._header() != header

    def _header(self) -> str:
        raise NotImplementedError


class BasicLogin(_OfASecret):
    """A user and a password, or an API key in its stead."""

    def __init__(self, *, user: str, password: Kept) -> None:
        super().__init__()
        self._user = user
        self._password = password

    def _header(self) -> str:
        password = self._password()
        token = base64.b64encode(f"{self._user}:{password}".encode()).decode()
        self._sent.add(password, token)
        return f"Basic {token}"


class TokenLogin(_OfASecret):
    """A bearer token that somebody else made and renews in its file."""

    def __init__(self, *, token: Kept) -> None:
        super().__init__()
        self._token = token

    def _header(self) -> str:
        token = self._token()
        if not _sendable(token):
            # Else the library refuses it, and quotes it.
            raise PermanentFailure(
                "ANCHORE_TOKEN holds no token: it must be one line of ASCII without spaces; "
                "correct it",
                kind=ErrorKind.MISCONFIGURED,
            )
        self._sent.add(token)
        return f"Bearer {token}"


class OAuthLogin:
    """A token that Anchore gives for a user and a password, renewed before it ends.

    Always by the password, never by the refresh token: one way less, and a password that was
    changed or taken away counts at the next renewal.
    """

    def __init__(self, *, user: str, password: Kept, clock: Clock) -> None:
        self._user = user
        self._password = password
        self._clock = clock
        self._token = ""
        self._renew = self._ends = 0.0
        self._fetching = asyncio.Lock()
        self._sent = _Sent()

    @property
    def secrets(self) -> tuple[str, ...]:
        """Passwords and tokens sent lately."""
        return self._sent.secrets

    async def header(self, ask: Ask) -> str:
        """With a token that still counts; many who ask at once are answered with one."""
        async with self._fetching:
            if self._clock.monotonic() >= self._renew:
                await self._fetch(ask)
        return f"Bearer {self._token}"

    def refused(self, header: str) -> bool:
        """The token is thrown away, unless it is another by now."""
        if header == f"Bearer {self._token}":
            self._renew = self._ends = 0.0
        return True

    async def _fetch(self, ask: Ask) -> None:
        password = self._password()
        self._sent.add(password)
        call = Call(
            operation="oauth_token",
            method="POST",
            path="/v2/oauth/token",
            form={
                "grant_type": "password",
                "username": self._user,
                "password": password,
                "client_id": "anonymous",
            },
        )
        answer = await ask(call)
        try:
            given = msgspec.convert(answer.body, _Given) if answer.status == 200 else None
        except msgspec.ValidationError:
            given = None
        if given is None or not _sendable(given.access_token):
            if self._clock.monotonic() < self._ends:
                self._renew = self._ends
                return
            raise NoToken(call, answer)
        self._token = given.access_token
        self._sent.add(given.access_token)
        life = max(given.expires_in or DEFAULT_LIFE, SHORTEST_LIFE)
        now = self._clock.monotonic()
        self._renew, self._ends = now + RENEWED_AT * life, now + life


def _sendable(token: str) -> bool:
    """Whether a header can hold it."""
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


class _Given(msgspec.Struct):
    access_token: str
    expires_in: float | None = None


class _Sent:
    """The last secrets that were sent: what the server echoes may be about one of before."""

    def __init__(self) -> None:
        self._secrets: deque[str] = deque(maxlen=8)

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(self._secrets)

    def add(self, *secrets: str) -> None:
        for secret in secrets:
            if secret not in self._secrets:
                self._secrets.append(secret)
