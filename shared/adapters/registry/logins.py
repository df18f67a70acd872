"""What tells a registry who asks: a user and a password, or an identity token. Neither shows
itself."""

import base64

from shared.adapters.registry.endpoints import Target
from shared.domain.errors import ErrorKind, PermanentFailure


class Password:
    """A user and a password. `by_helper`: a credential helper gave them."""

    def __init__(self, user: str, password: str, *, by_helper: bool = False) -> None:
        self._pair = f"{user}:{password}".encode()
        self.by_helper = by_helper

    def __repr__(self) -> str:
        return "Password(...)"

    def pair(self) -> tuple[str, str]:
        """User and password, for who logs in there for us."""
        user, _, password = self._pair.decode().partition(":")
        return user, password

    def basic(self) -> str:
        """The Authorization header of HTTP's basic scheme."""
        return f"Basic {base64.b64encode(self._pair).decode()}"


class IdentityToken:
    """What a token service exchanges for its tokens (OAuth 2's refresh token), and nobody else
    takes."""

    def __init__(self, text: str, *, by_helper: bool = False) -> None:
        self.text = text
        self.by_helper = by_helper

    def __repr__(self) -> str:
        return "IdentityToken(...)"


Login = Password | IdentityToken


def unauthorised(target: Target, what: str) -> PermanentFailure:
    """Without credentials, or with others, the registry gives nothing."""
    return unusable(
        target,
        f"the registry {what}; name a file with credentials, or a helper, for "
        f"{target.reference.host} under `registries` in the rules",
    )


def unusable(target: Target, what: str) -> PermanentFailure:
    """Credentials that the rules name and that cannot be used; `what` holds nothing of them."""
    return PermanentFailure(f"{target.name}: {what}", kind=ErrorKind.UNAUTHORISED)
