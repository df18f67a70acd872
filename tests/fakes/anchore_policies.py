"""FakeAnchore's policy calls, with Engine's traps: POST of the active id deactivates it."""

import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_wire import (
    Json,
    engine_error,
    policy_record,
    problem,
    read_policy_record,
)

REQUIRED = ("id", "version", "policies", "mappings")
GATES = ("packages", "vulnerabilities", "dockerfile", "always", "files", "metadata")


class PolicyCalls:
    """The four calls; `account` tells whose policies a request is about."""

    def __init__(self, store: AnchoreStore, account: Callable[[web.Request], str]) -> None:
        self._store = store
        self._account = account

    async def all(self, request: web.Request) -> web.Response:
        detail = request.query.get("detail") == "true"
        policies = self._store.policies.get(self._account(request), {})
        return web.json_response(
            [read_policy_record(record, detail=detail) for record in policies.values()]
        )

    async def get(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        record = self._store.policies.get(self._account(request), {}).get(name)
        if record is None:
            return _error(404, f"Policy bundle {name} not found in DB")
        detail = request.query.get("detail") != "false"
        return web.json_response([read_policy_record(record, detail=detail)])

    async def add(self, request: web.Request) -> web.Response:
        bundle = json.loads(await request.read())
        refused = _invalid(bundle)
        if refused is not None:
            return refused
        account, now = self._account(request), time.time()
        policies = self._store.policies.setdefault(account, {})
        known = bundle["id"] in policies
        # The trap: what was active is not any more, and nothing else is.
        record = policy_record(bundle, active=False, account=account, created=now, updated=now)
        policies[bundle["id"]] = record
        return web.json_response(_echo(record, known=known))

    async def put(self, request: web.Request) -> web.Response:
        name, body = request.match_info["id"], json.loads(await request.read())
        account, now = self._account(request), time.time()
        policies = self._store.policies.get(account, {})
        known = policies.get(name)
        if known is None:
            return _error(404, f"Policy bundle {name} not found in DB")
        if "policyId" not in body:
            return _error(500, "'policyId'")
        if body["policyId"] != name:
            said = "policyId in route is different from policyId in payload"
            return _error(500, f"{said}: {name} != {body['policyId']}")
        active = request.query.get("active") == "true" or bool(body.get("active"))
        if known["active"] and not active:
            said = "cannot deactivate an active policy - can only activate an inactive policy"
            return _error(500, said)
        refused = _invalid(body["policybundle"])
        if refused is not None:
            return refused
        if active:
            for other in policies.values():
                other["active"] = False
        policies[name] = policy_record(
            body["policybundle"],
            active=active,
            account=account,
            created=now,
            updated=now,
        )
        return web.json_response([_echo(policies[name], known=True)])


def _echo(record: Json, *, known: bool) -> Json:
    """POST and PUT answer with more in the bundle than is stored."""
    more = {"active": record["active"]} | ({"last_updated": 1795446327} if known else {})
    return record | {"policybundle": record["policybundle"] | more}


def _invalid(bundle: dict[str, Any]) -> web.Response | None:
    for key in REQUIRED:
        if key not in bundle:
            body = problem(400, "Bad Request", f"'{key}' is a required property")
            return web.json_response(body, status=400, content_type="application/problem+json")
    problems = [
        {
            "details": f"The specified gate is not found (gate={rule['gate']})",
            "problem_type": "GateNotFoundError",
            "severity": "error",
        }
        for policy in bundle["policies"]
        for rule in policy["rules"]
        if rule["gate"] not in GATES
    ]
    if not problems:
        return None
    said = engine_error(400, "Bundle failed validation", validation_details=problems)
    return web.json_response(said, status=400)


def _error(status: int, message: str) -> web.Response:
    return web.json_response(engine_error(status, message), status=status)
