"""A scanner's policies over the socket of `imagegate up`: both ends."""

from collections.abc import Awaitable
from typing import Protocol, TypeVar

import msgspec
from aiohttp import web

from services.cli.policies.documents import MAX_DOCUMENT
from services.console.edge.answers import answered
from shared.domain.policy import Bundle, Policy
from shared.domain.policy_forms import Form
from shared.ports.policies import Policies

MAX_BODY = 2 * MAX_DOCUMENT

Answer = TypeVar("Answer")


class PolicyPushed(msgspec.Struct, frozen=True):
    """The body of POST /api/policies."""

    bundle: Bundle
    account: str = ""
    activate: bool = True


class PolicyMeant(msgspec.Struct, frozen=True):
    """The body of POST /api/policies/activate."""

    id: str
    account: str = ""


class _Found(msgspec.Struct, frozen=True):
    """The answer to GET /api/policies/one."""

    policy: Policy | None


class Ask(Protocol):
    """Asks the other end."""

    def __call__(
        self, method: str, path: str, wanted: type[Answer], *, body: bytes = b"", **query: str
    ) -> Awaitable[Answer]: ...


class RemotePolicies:
    """`shared.ports.policies.Policies`; every error is the other end's sentence."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def form(self) -> Form:
        """See `Policies`."""
        return await self._ask("GET", "/api/policies/form", Form)

    async def all(self, *, account: str = "") -> tuple[Policy, ...]:
        """See `Policies`."""
        return await self._ask("GET", "/api/policies", tuple[Policy, ...], account=account)

    async def get(self, policy_id: str, *, account: str = "") -> Policy | None:
        """See `Policies`."""
        found = await self._ask("GET", "/api/policies/one", _Found, id=policy_id, account=account)
        return found.policy

    async def push(self, bundle: Bundle, *, account: str = "", activate: bool = True) -> Policy:
        """See `Policies`."""
        body = msgspec.json.encode(PolicyPushed(bundle, account, activate))
        return await self._ask("POST", "/api/policies", Policy, body=body)

    async def activate(self, policy_id: str, *, account: str = "") -> Policy:
        """See `Policies`."""
        body = msgspec.json.encode(PolicyMeant(policy_id, account))
        return await self._ask("POST", "/api/policies/activate", Policy, body=body)


def policy_routes(policies: Policies) -> list[web.RouteDef]:
    """What the socket answers them with."""

    async def form(_: web.Request) -> object:
        return await policies.form()

    async def every(request: web.Request) -> object:
        return await policies.all(account=request.query.get("account", ""))

    async def one(request: web.Request) -> object:
        account = request.query.get("account", "")
        return _Found(await policies.get(request.query.get("id", ""), account=account))

    async def push(request: web.Request) -> object:
        wanted = msgspec.json.decode(await request.read(), type=PolicyPushed)
        return await policies.push(wanted.bundle, account=wanted.account, activate=wanted.activate)

    async def activate(request: web.Request) -> object:
        wanted = msgspec.json.decode(await request.read(), type=PolicyMeant)
        return await policies.activate(wanted.id, account=wanted.account)

    return [
        web.get("/api/policies/form", answered(form)),
        web.get("/api/policies/one", answered(one)),
        web.get("/api/policies", answered(every)),
        web.post("/api/policies", answered(push)),
        web.post("/api/policies/activate", answered(activate)),
    ]
