"""Who FakeAnchore lets in: Basic, API keys and bearer tokens, each of one account."""

import base64
import json
import secrets
import time

from aiohttp import web

from tests.fakes.anchore_faults import unauthorized
from tests.fakes.anchore_wire import engine_error

ADMIN = "admin"


class Users:
    """`user` and `password` are the admin's, who may ask in any account."""

    def __init__(self, *, user: str, password: str) -> None:
        self.user, self.password = user, password
        self.plain: dict[str, tuple[str, str]] = {}
        """Plain users: name -> (password, account)."""
        self.api_keys: set[str] = set()
        """The admin's."""
        self.tokens: dict[str, tuple[str, float]] = {}
        """Token -> (user, when it ends by time.monotonic)."""
        self.token_seconds = 3600.0

    def name(self, request: web.Request) -> str:
        """Who sent it; empty: nobody who is known."""
        kind, _, proof = request.headers.get("Authorization", "").partition(" ")
        if kind == "Bearer":
            user, ends = self.tokens.get(proof, ("", 0.0))
            return user if time.monotonic() < ends else ""
        if kind != "Basic":
            return ""
        name, _, password = base64.b64decode(proof).decode().partition(":")
        if name == "_api_key":
            return self.user if password in self.api_keys else ""
        return name if self._fits(name, password) else ""

    def account(self, request: web.Request) -> str:
        """In whose account it is asked."""
        return request.headers.get("x-anchore-account", self._own(request))

    def refused(self, request: web.Request) -> web.Response | None:
        """Why it is not let in; None: it is."""
        if not self.name(request):
            return unauthorized()
        if self._own(request) not in (ADMIN, self.account(request)):
            said = "Not authorized. Requires permissions: domain=admin action=listImages target=*"
            return web.json_response(engine_error(403, said), status=403)
        return None

    def allow(self, token: str, *, seconds: float = 3600.0) -> None:
        """The admin may use this token."""
        self.tokens[token] = (self.user, time.monotonic() + seconds)

    async def give_token(self, request: web.Request) -> web.Response:
        """POST /v2/oauth/token with the password grant."""
        form = await request.post()
        user, password = str(form.get("username", "")), str(form.get("password", ""))
        if form.get("grant_type") != "password" or not self._fits(user, password):
            said = {"error": "invalid_grant", "error_description": "Invalid credentials"}
            return web.json_response(said, status=401)
        token = f"token-{secrets.token_hex(16)}"
        self.tokens[token] = (user, time.monotonic() + self.token_seconds)
        given = {
            "access_token": token,
            "expires_in": int(self.token_seconds),
            "refresh_token": f"refresh-{secrets.token_hex(16)}",
            "token_type": "Bearer",
        }
        return web.Response(text=json.dumps(given), content_type="application/json")

    def _own(self, request: web.Request) -> str:
        name = self.name(request)
        return self.plain[name][1] if name in self.plain else ADMIN

    def _fits(self, name: str, password: str) -> bool:
        if (name, password) == (self.user, self.password):
            return True
        return name in self.plain and self.plain[name][0] == password
