"""The token, and the cookie that a browser gets for it.

The cookie is its own proof: the second of its end and a MAC over that, with a key made from the
token. No console keeps a list, all consoles with one token believe it, and another token ends it.
"""

import hmac
import re
from hashlib import sha256

from services.console.settings import ConsoleSettings
from shared.domain.errors import InvalidSettings
from shared.runtime.state import ensure_private_folder, ensure_secret

COOKIE = "imagegate_session"
LIFE = 12 * 3600
"""Seconds that a browser stays logged in."""

MIN_TOKEN = 16
TOKEN_FILE = "console.token"

_PURPOSE = b"imagegate console session 1"
_COOKIE = re.compile(r"([1-9][0-9]{0,11})\.([0-9a-f]{64})", re.ASCII)


class Sessions:
    """Whether a token or a cookie holds; compares in constant time."""

    def __init__(self, token: str) -> None:
        # What is compared are digests: a comparison of texts would tell their length.
        self._token = _digest(token)
        self._key = hmac.digest(token.encode(), _PURPOSE, "sha256")

    def is_token(self, given: str) -> bool:
        """Whether it is the token."""
        return hmac.compare_digest(_digest(given), self._token)

    def issue(self, *, now: int) -> str:
        """The value of a cookie that holds from `now` (s) on for LIFE."""
        ends = str(now + LIFE)
        return f"{ends}.{self._mac(ends)}"

    def ends(self, cookie: str, *, now: int) -> int | None:
        """When (s) the session of this cookie ends; None when it does not hold."""
        read = _COOKIE.fullmatch(cookie)
        if read is None or not hmac.compare_digest(read[2], self._mac(read[1])):
            return None
        ends = int(read[1])
        return ends if ends > now else None

    def _mac(self, ends: str) -> str:
        return hmac.digest(self._key, ends.encode(), "sha256").hex()


def token_of(settings: ConsoleSettings) -> str:
    """The token that was set, or the one of the state folder; raises InvalidSettings."""
    if settings.imagegate_console_token:
        return checked(settings.imagegate_console_token.value)
    return ensure_secret(ensure_private_folder(settings.state_folder) / TOKEN_FILE)


def checked(token: str) -> str:
    """The token that was set, if it is long enough and can travel; raises InvalidSettings."""
    if len(token) < MIN_TOKEN:
        raise InvalidSettings(
            f"IMAGEGATE_CONSOLE_TOKEN has {len(token)} characters: use at least {MIN_TOKEN} that "
            "nobody can guess (`openssl rand -hex 32`), or unset it and one is made in the state "
            "folder"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise InvalidSettings(
            "IMAGEGATE_CONSOLE_TOKEN must be letters, digits and signs of ASCII without a space: "
            "it travels in a header"
        )
    return token


def _digest(text: str) -> bytes:
    return sha256(text.encode(errors="surrogateescape")).digest()
