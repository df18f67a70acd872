"""Who may say that something is new: a shared token, a login, or a signature over the body.

Every secret is compared, each in constant time: how long a refusal takes tells nothing of them.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Protocol

from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret

SHORTEST = 16
"""Characters: what is shorter can be guessed."""


class Credentials(Protocol):
    """How a sender of one endpoint shows who it is."""

    header: str
    scheme: str
    """For WWW-Authenticate."""
    wanted: str
    """The header as it should be, for whoever sent it wrong."""
    setting: str

    @property
    def configured(self) -> bool:
        """Whether anybody can get in."""

    def may_be(self, value: str) -> bool:
        """Whether the header's value is worth reading the body."""

    def hold(self, value: str, body: bytes) -> bool:
        """Whether the header's value is right for the body."""


class BearerToken:
    """`Authorization: Bearer TOKEN`."""

    header = "Authorization"
    scheme = "Bearer"
    wanted = "Authorization: Bearer TOKEN"
    setting = "IMAGEGATE_EVENTS_TOKEN"

    def __init__(self, tokens: Secret) -> None:
        self._tokens = _lines(tokens, self.setting)

    @property
    def configured(self) -> bool:
        return bool(self._tokens)

    def may_be(self, value: str) -> bool:
        scheme, _, token = value.partition(" ")
        if scheme.lower() != "bearer":
            return False
        return _one_of(self._tokens, token.strip().encode(errors="surrogateescape"))

    def hold(self, value: str, body: bytes) -> bool:
        return self.may_be(value)


class BasicLogin:
    """`Authorization: Basic BASE64`, of a user's name and password: all that Anchore can send."""

    header = "Authorization"
    scheme = 'Basic realm="imagegate"'
    wanted = "Authorization: Basic, with the user and password of IMAGEGATE_EVENTS_PASSWORD"
    setting = "IMAGEGATE_EVENTS_PASSWORD"

    def __init__(self, user: str, passwords: Secret) -> None:
        """Raises InvalidSettings."""
        if not user or ":" in user:
            raise InvalidSettings("IMAGEGATE_EVENTS_USER must be a name without a colon")
        lines = _lines(passwords, self.setting)
        self._logins = tuple(user.encode() + b":" + password for password in lines)

    @property
    def configured(self) -> bool:
        return bool(self._logins)

    def may_be(self, value: str) -> bool:
        scheme, _, encoded = value.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            login = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return _one_of(self._logins, login)

    def hold(self, value: str, body: bytes) -> bool:
        return self.may_be(value)


class BodySignature:
    """`X-Signature: sha256=HEX`, the HMAC-SHA256 of the body."""

    header = "X-Signature"
    scheme = "HMAC-SHA256"
    wanted = "X-Signature: sha256=HEX, the HMAC-SHA256 of the body"
    setting = "IMAGEGATE_EVENTS_HMAC"

    def __init__(self, keys: Secret) -> None:
        self._keys = _lines(keys, self.setting)

    @property
    def configured(self) -> bool:
        return bool(self._keys)

    def may_be(self, value: str) -> bool:
        return self.configured and value.startswith("sha256=")

    def hold(self, value: str, body: bytes) -> bool:
        given = value.removeprefix("sha256=").lower().encode(errors="surrogateescape")
        right = [hmac.new(key, body, hashlib.sha256).hexdigest().encode() for key in self._keys]
        return self.may_be(value) and _one_of(right, given)


def require_any(*credentials: Credentials) -> None:
    """Raises InvalidSettings where no endpoint could be used by anybody."""
    if not any(each.configured for each in credentials):
        names = " or ".join(each.setting for each in credentials)
        raise InvalidSettings(
            f"nobody could send an event: set {names}, or the same name with _FILE to a file "
            f"that holds it (at least {SHORTEST} characters, for instance what "
            "`openssl rand -hex 32` prints)"
        )


def _lines(secret: Secret, setting: str) -> tuple[bytes, ...]:
    """The secrets, one a line; raises InvalidSettings for one that can be guessed."""
    lines = [line.strip() for line in secret.value.splitlines()]
    found = [line for line in lines if line]
    for number, line in enumerate(found, start=1):
        if len(line) < SHORTEST:
            raise InvalidSettings(
                f"{setting}: secret {number} of {len(found)} has {len(line)} characters, it needs "
                f"{SHORTEST} at least: take for instance what `openssl rand -hex 32` prints"
            )
    return tuple(line.encode() for line in found)


def _one_of(secrets: Sequence[bytes], given: bytes) -> bool:
    # All of them, whichever fits.
    fits = [hmac.compare_digest(secret, given) for secret in secrets]
    return any(fits)
