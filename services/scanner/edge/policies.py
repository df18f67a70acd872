"""/v1/policies."""

from aiohttp import web

from services.scanner.bundles.policy_book import PolicyBook, PolicyUpdate
from services.scanner.edge.answers import Route, as_json, body_of
from services.scanner.v1.requests import decode, flag
from services.scanner.v1.wire import policy_record


class PolicyRoutes:
    """Bundles, listed, pushed, activated and removed."""

    def __init__(self, *, policies: PolicyBook) -> None:
        self._policies = policies

    def routes(self) -> list[Route]:
        """For the router."""
        return [
            ("GET", "/v1/policies", self._list),
            ("POST", "/v1/policies", self._add),
            ("GET", "/v1/policies/{id}", self._get),
            ("PUT", "/v1/policies/{id}", self._put),
            ("DELETE", "/v1/policies/{id}", self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        detail = flag(request.query.get("detail"), default=False)
        found = await self._policies.every()
        return as_json([policy_record(policy, detail=detail, meta=True) for policy in found])

    async def _get(self, request: web.Request) -> web.Response:
        detail = flag(request.query.get("detail"), default=True)
        policy = await self._policies.get(request.match_info["id"])
        return as_json([policy_record(policy, detail=detail, meta=True)])

    async def _add(self, request: web.Request) -> web.Response:
        policy = await self._policies.push(await body_of(request))
        return as_json(policy_record(policy, detail=True))

    async def _put(self, request: web.Request) -> web.Response:
        update = decode(await body_of(request), PolicyUpdate)
        active = flag(request.query.get("active"), default=False)
        policy = await self._policies.update(request.match_info["id"], update, active=active)
        return as_json([policy_record(policy, detail=True)])

    async def _delete(self, request: web.Request) -> web.Response:
        await self._policies.delete(request.match_info["id"])
        return as_json("deleted")
