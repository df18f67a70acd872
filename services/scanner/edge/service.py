"""What the service says of itself, of its data and of what it understands."""

from typing import Any

from aiohttp import web

from services.scanner.catalogue import Catalogue
from services.scanner.edge.answers import Route, as_json
from services.scanner.matching.port import VulnerabilityData
from services.scanner.records import EventType
from services.scanner.store.schema import SCHEMA_VERSION
from services.scanner.v1.policy_spec import policy_spec
from services.scanner.v1.requests import number
from services.scanner.v1.wire import EVENT_WORDS, SERVICE, data_state, events_page, feed_records


class ServiceRoutes:
    """`/health`, `/version`, `/v1/status`, `/v1/system/...`, `/v1/events`."""

    def __init__(self, *, catalogue: Catalogue, data: VulnerabilityData, version: str) -> None:
        self._catalogue = catalogue
        self._data = data
        self._version = version

    def routes(self) -> list[Route]:
        """For the router."""
        return [
            ("GET", "/health", self._health),
            ("GET", "/version", self._get_version),
            ("GET", "/", self._root),
            ("GET", "/v1", self._root),
            ("GET", "/v1/status", self._status),
            ("GET", "/v1/system", self._system),
            ("GET", "/v1/system/feeds", self._feeds),
            ("GET", "/v1/system/policy_spec", self._policy_spec),
            ("GET", "/v1/events", self._events),
        ]

    async def _health(self, request: web.Request) -> web.Response:
        return as_json("ok")

    async def _root(self, request: web.Request) -> web.Response:
        return as_json("v1")

    async def _get_version(self, request: web.Request) -> web.Response:
        service = {"name": SERVICE, "version": self._version}
        schema = {"schema_version": str(SCHEMA_VERSION)}
        return as_json({"api": {}, "db": schema, "service": service})

    async def _status(self, request: web.Request) -> web.Response:
        return as_json(await self._state())

    async def _system(self, request: web.Request) -> web.Response:
        state = {
            "base_url": str(request.url.origin()),
            "hostid": SERVICE,
            "service_detail": await self._state(),
            "servicename": SERVICE,
            "status": True,
            "status_message": "available",
            "version": "v1",
        }
        return as_json({"service_states": [state]})

    async def _state(self) -> dict[str, Any]:
        data = await self._data.state()
        return {
            "available": True,
            "busy": False,
            "db_version": str(SCHEMA_VERSION),
            "detail": {"feed": data_state(data), "images": await self._catalogue.counts()},
            "message": data.problem or "all good",
            "up": True,
            "version": self._version,
        }

    async def _feeds(self, request: web.Request) -> web.Response:
        return as_json(feed_records(await self._data.state()))

    async def _policy_spec(self, request: web.Request) -> web.Response:
        return as_json(policy_spec())

    async def _events(self, request: web.Request) -> web.Response:
        query = request.query
        page, limit = number(query.get("page"), 1), number(query.get("limit"), 100)
        found = await self._catalogue.events(
            kinds=_kinds(level=query.get("level"), kind=query.get("event_type")),
            fulltag=query.get("resource_id"),
            page=page,
            limit=limit,
        )
        if query.get("resource_type", "image_tag") != "image_tag":
            found = []
        base = str(request.url.origin())
        return as_json(events_page(found, base_url=base, page=page, limit=limit))


def _kinds(*, level: str | None, kind: str | None) -> list[EventType]:
    """The types of events that a level and a type, where they are given, leave."""
    return [
        one
        for one in EventType
        if level in (None, EVENT_WORDS[one][0]) and kind in (None, str(one))
    ]
