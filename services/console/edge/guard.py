"""Who may ask, and how a browser comes to its cookie."""

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from services.console.door import Door
from services.console.edge.answers import refusal
from services.console.session import COOKIE, LIFE, Sessions
from shared.ports.clock import Clock
from shared.runtime.http import BodyLimits, read_body

PUBLIC = frozenset({"/", "/static/{name}", "/login"})
"""What is answered without credentials; all else wants them, what does not exist, too."""

LIMITS = BodyLimits(4096)

_WHO = (
    "say who you are: log in on the console's page, or send Authorization: Bearer with the token "
    "of IMAGEGATE_CONSOLE_TOKEN or of console.token in the console's state folder"
)


class Login(msgspec.Struct, frozen=True):
    """The body of POST /login."""

    token: str


class Guard:
    """Who may ask, and how browsers come to their cookie."""

    def __init__(self, *, sessions: Sessions, door: Door, clock: Clock) -> None:
        self._sessions = sessions
        self._door = door
        self._clock = clock

    @property
    def middleware(self) -> Middleware:
        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            resource = request.match_info.route.resource
            if resource is not None and resource.canonical in PUBLIC:
                return await handler(request)
            if await self._may(request):
                return await handler(request)
            return refusal(401, _WHO, WWW_Authenticate="Bearer")

        return guarded

    async def _may(self, request: web.Request) -> bool:
        header = request.headers.get("Authorization")
        if header is None:
            return self.left(request) is not None
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            return False
        return await self._door.opens(token.strip(), caller=_caller(request))

    def left(self, request: web.Request) -> float | None:
        """Seconds that the session of its cookie still has; None without one."""
        now = self._clock.now() / 1000
        ends = self._sessions.ends(request.cookies.get(COOKIE, ""), now=int(now))
        return None if ends is None else ends - now

    async def session(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def login(self, request: web.Request) -> web.Response:
        if request.content_type != "application/json":
            return refusal(415, "send the token as application/json")
        given = msgspec.json.decode(await read_body(request, LIMITS), type=Login)
        if not await self._door.opens(given.token, caller=_caller(request)):
            return refusal(401, "this is not the console's token")
        response = web.Response(status=204)
        value = self._sessions.issue(now=self._clock.now() // 1000)
        _set_cookie(request, response, value, life=LIFE)
        return response

    async def logout(self, request: web.Request) -> web.Response:
        response = web.Response(status=204)
        _set_cookie(request, response, "", life=0)
        return response


def _set_cookie(request: web.Request, response: web.Response, value: str, *, life: int) -> None:
    # A stranger who claims TLS only makes his own cookie stricter.
    secure = request.secure or request.headers.get("X-Forwarded-Proto") == "https"
    response.set_cookie(
        COOKIE, value, max_age=life, path="/", httponly=True, samesite="Strict", secure=secure
    )


def _caller(request: web.Request) -> str:
    return request.remote or "a socket"
