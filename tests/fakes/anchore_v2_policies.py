"""FakeAnchore's policy calls as v2 is read to have them: 409 for an id that there is, objects."""

import json
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.fakes.anchore_policies import GATES
from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_v2_wire import policy_record
from tests.fakes.anchore_wire import Json, engine_error, problem
from tests.fakes.anchore_wire import policy_record as kept

DOCUMENT = {
    "allowlisted_images",
    "allowlists",
    "denylisted_images",
    "description",
    "id",
    "mappings",
    "name",
    "rule_sets",
    "version",
}
REQUIRED = ("id", "name", "version", "rule_sets", "mappings")
RECORD = ("policy_id", "name", "active", "account_name", "policy_source")
RULE = ("id", "gate", "trigger", "action", "params")


class PolicyCallsV2:
    """The four calls; `account` tells whose policies a request is about."""

    def __init__(self, store: AnchoreStore, account: Callable[[web.Request], str]) -> None:
        self._store = store
        self._account = account

    async def all(self, request: web.Request) -> web.Response:
        detail = request.query.get("detail") == "true"
        return web.json_response(
            [policy_record(record, detail=detail) for record in self._mine(request).values()]
        )

    async def get(self, request: web.Request) -> web.Response:
        record = self._mine(request).get(request.match_info["id"])
        if record is None:
            return _error(404, f"Policy {request.match_info['id']} not found in DB")
        detail = request.query.get("detail") == "true"
        return web.json_response(policy_record(record, detail=detail))

    async def add(self, request: web.Request) -> web.Response:
        document = json.loads(await request.read())
        refused = _invalid(document)
        if refused is not None:
            return refused
        policies, now = self._mine(request), time.time()
        if document["id"] in policies:
            return _error(409, "policy already exists")
        record = kept(
            document, active=False, account=self._account(request), created=now, updated=now
        )
        policies[document["id"]] = record
        return web.json_response(policy_record(record, detail=True))

    async def put(self, request: web.Request) -> web.Response:
        name, body = request.match_info["id"], json.loads(await request.read())
        policies, now = self._mine(request), time.time()
        known = policies.get(name)
        if known is None:
            return _error(404, f"Policy {name} not found in DB")
        for key in RECORD:
            if key not in body:
                return _problem(f"'{key}' is a required property")
        document = body.get("policy") or known["policybundle"]
        refused = _invalid(document)
        if refused is not None:
            return refused
        active = request.query.get("active") == "true" or bool(body["active"])
        if known["active"] and not active:
            return _error(400, "cannot deactivate an active policy - activate another one")
        if active:
            for other in policies.values():
                other["active"] = False
        policies[name] = kept(
            document, active=active, account=self._account(request), created=now, updated=now
        )
        return web.json_response(policy_record(policies[name], detail=True))

    def _mine(self, request: web.Request) -> dict[str, Json]:
        return self._store.policies[self._account(request)]


def _invalid(document: dict[str, Any]) -> web.Response | None:
    for key in REQUIRED:
        if not document.get(key):
            return _problem(f"'{key}' is a required property")
    for key in set(document) - DOCUMENT:
        return _problem(f"Additional properties are not allowed ('{key}' was unexpected)")
    for rule_set in document["rule_sets"]:
        for rule in rule_set["rules"]:
            for key in RULE:
                if key not in rule:
                    return _problem(f"'{key}' is a required property")
            if rule["gate"] not in GATES:
                problems = [
                    {
                        "details": f"The specified gate is not found (gate={rule['gate']})",
                        "problem_type": "GateNotFoundError",
                        "severity": "error",
                    }
                ]
                said = engine_error(400, "Bundle failed validation", validation_details=problems)
                return web.json_response(said, status=400)
    return None


def _problem(detail: str) -> web.Response:
    body = problem(400, "Bad Request", detail)
    return web.json_response(body, status=400, content_type="application/problem+json")


def _error(status: int, message: str) -> web.Response:
    return web.json_response(engine_error(status, message), status=status)
