"""From a process' settings to a server that can be asked."""

from pathlib import Path
from typing import Literal, Protocol

from shared.adapters.anchore.address import Route, server_url
from shared.adapters.anchore.calls import Limits, OnCall, nobody
from shared.adapters.anchore.detect import Api, Detection
from shared.adapters.anchore.faults import OnFault
from shared.adapters.anchore.login import (
    API_KEY_USER,
    BasicLogin,
    Login,
    NoLogin,
    OAuthLogin,
    TokenLogin,
)
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.breaker import Breaker
from shared.domain.errors import InvalidSettings
from shared.ports.clock import Clock

Auth = Literal["auto", "basic", "api-key", "token", "oauth"]
ApiChoice = Literal["auto", "v1", "v2"]


class KeptSecret(Protocol):
    """A secret of the settings, which may stand in a file that changes."""

    def current(self) -> str:
        """What it is now."""

    def __bool__(self) -> bool: ...


class NamesAnchore(Protocol):
    """Settings that say where Anchore is, and who we are there; each is its name in capitals."""

    @property
    def anchore_url(self) -> str: ...
    @property
    def anchore_api(self) -> ApiChoice: ...
    @property
    def anchore_auth(self) -> Auth: ...
    @property
    def anchore_user(self) -> str: ...
    @property
    def anchore_password(self) -> KeptSecret: ...
    @property
    def anchore_api_key(self) -> KeptSecret: ...
    @property
    def anchore_token(self) -> KeptSecret: ...
    @property
    def anchore_ca(self) -> Path | None: ...
    @property
    def anchore_client_certificate(self) -> Path | None: ...
    @property
    def anchore_client_key(self) -> Path | None: ...
    @property
    def anchore_proxy(self) -> KeptSecret: ...


def transport_of(
    settings: NamesAnchore,
    *,
    clock: Clock,
    limits: Limits | None = None,
    breaker: Breaker | None = None,
    on_call: OnCall = nobody,
    on_fault: OnFault = nobody,
) -> AnchoreTransport:
    """The way to the server that the settings name. Raises InvalidSettings."""
    return AnchoreTransport(
        url=server_url(settings.anchore_url),
        login=login_of(settings, clock=clock),
        route=Route(
            ca_file=settings.anchore_ca,
            certificate=settings.anchore_client_certificate,
            key=settings.anchore_client_key,
            proxy=settings.anchore_proxy.current(),
        ),
        limits=limits,
        breaker=breaker,
        on_call=on_call,
        on_fault=on_fault,
    )


def detection_of(settings: NamesAnchore, transport: AnchoreTransport) -> Detection:
    """Which API is spoken: as the settings say, or as the server does."""
    known = None if settings.anchore_api == "auto" else Api(settings.anchore_api)
    return Detection(transport=transport, known=known)


def login_of(settings: NamesAnchore, *, clock: Clock) -> Login:
    """How to log in: as ANCHORE_AUTH says, or by which secret is set.

    Raises InvalidSettings where a secret is missing or one too many: which of two counts, nobody
    should have to guess.
    """
    secrets = {
        "ANCHORE_PASSWORD": settings.anchore_password,
        "ANCHORE_API_KEY": settings.anchore_api_key,
        "ANCHORE_TOKEN": settings.anchore_token,
    }
    given = [name for name, secret in secrets.items() if secret]
    if len(given) > 1:
        raise InvalidSettings(f"{' and '.join(given)} are both set: unset all but one of them")
    if settings.anchore_auth == "auto":
        wanted = given[0] if given else ""
    else:
        wanted = _WANTS[settings.anchore_auth]
        if given != [wanted]:
            too_many = "".join(f", and {name} is set: unset it" for name in given)
            raise InvalidSettings(
                f"ANCHORE_AUTH is {settings.anchore_auth}: set {wanted}{too_many}"
            )
    match wanted:
        case "ANCHORE_API_KEY":
            return BasicLogin(user=API_KEY_USER, password=settings.anchore_api_key.current)
        case "ANCHORE_TOKEN":
            return TokenLogin(token=settings.anchore_token.current)
        case "ANCHORE_PASSWORD":
            return _by_password(settings, clock)
    return NoLogin()


_WANTS: dict[str, str] = {
    "basic": "ANCHORE_PASSWORD",
    "oauth": "ANCHORE_PASSWORD",
    "api-key": "ANCHORE_API_KEY",
    "token": "ANCHORE_TOKEN",
}


def _by_password(settings: NamesAnchore, clock: Clock) -> Login:
    user, password = settings.anchore_user, settings.anchore_password.current
    if not user or ":" in user:
        raise InvalidSettings("ANCHORE_USER must be a user's name, and hold no ':'")
    if settings.anchore_auth == "oauth":
        return OAuthLogin(user=user, password=password, clock=clock)
    return BasicLogin(user=user, password=password)
