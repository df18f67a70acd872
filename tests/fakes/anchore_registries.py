"""FakeAnchore's registry calls, with Engine's traps: 500 for a duplicate, 406 for a login that its
registry refuses; each account has its own, and no password is ever told."""

import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_wire import Json, engine_error, iso

FIELDS = ("registry", "registry_name", "registry_type", "registry_user", "registry_verify")


class RegistryCalls:
    """The calls of one API, which calls an account `account_key`."""

    def __init__(
        self,
        store: AnchoreStore,
        account: Callable[[web.Request], str],
        *,
        account_key: str = "userId",
    ) -> None:
        self._store = store
        self._account = account
        self._account_key = account_key

    async def all(self, request: web.Request) -> web.Response:
        return web.json_response([self._shown(one) for one in self._mine(request).values()])

    async def get(self, request: web.Request) -> web.Response:
        known = self._mine(request).get(request.match_info["registry"])
        if known is None:
            return _error(404, "registry not found in DB")
        return web.json_response([self._shown(known)])

    async def add(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if body["registry"] in self._mine(request):
            return _error(500, "registry already exists in DB")
        return self._put(request, body)

    async def put(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if request.match_info["registry"] not in self._mine(request):
            return _error(404, "registry not found in DB")
        return self._put(request, body)

    def _put(self, request: web.Request, body: Any) -> web.Response:
        registry, wanted = body["registry"], self._store.logins.get(body["registry"])
        if request.query.get("validate") != "false" and wanted:
            given = f"{body['registry_user']}:{body['registry_pass']}"
            if given != wanted:
                return _error(406, _cannot_log_in(registry, body["registry_user"]))
        now, known = time.time(), self._mine(request).get(registry, {})
        record = {
            **body,
            "registry_name": body.get("registry_name") or registry,
            "account": self._account(request),
            "created_at": known.get("created_at", iso(now)),
            "last_updated": iso(now),
        }
        self._mine(request)[registry] = record
        return web.json_response([self._shown(record)])

    def _mine(self, request: web.Request) -> dict[str, Json]:
        return self._store.registries.setdefault(self._account(request), {})

    def _shown(self, record: Json) -> Json:
        """Without its password."""
        shown = {key: record[key] for key in (*FIELDS, "created_at", "last_updated")}
        return {**shown, self._account_key: record["account"]}


def _cannot_log_in(registry: str, user: str) -> str:
    return (
        "cannot ping supplied registry with supplied credentials - exception: failed check to "
        f"access registry (https://{registry},{user}) - exception: cannot login to registry "
        f"user={user} registry=https://{registry} - invalid username/password"
    )


def _error(status: int, message: str) -> web.Response:
    return web.json_response(engine_error(status, message), status=status)
