"""A Kubernetes API server, as far as the status of what makes pods and Events go.

Speaks what kube-apiserver 1.36 spoke when it was asked (docs/design/kube-facts.md 3 and 8): merge
patches through the status subresource, 422 with causes for another uid, dry runs that change
nothing, 409 for an Event that is there, metadata alone only for who asks for it.
"""

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from shared.domain.owner import RESOURCES, Owner
from tests.fakes.kubernetes import TOKEN, Fault, status

PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
MERGE = "application/merge-patch+json"
EVENTS = "/apis/events.k8s.io/v1/namespaces/{namespace}/events"
REQUIRED = frozenset(
    {"eventTime", "type", "reason", "action", "note", "reportingController", "reportingInstance"}
)
"""Of an Event, besides what it is about."""


class FakeOwners:
    """`async with FakeOwners() as cluster`, then `cluster.put(owner)`."""

    def __init__(self) -> None:
        self.url = ""
        self.allowed = {"status", "events"}
        """What our token may patch and create."""
        self.fault: Fault | None = None
        """What answers instead."""
        self.namespaces = {"team"}
        self.ending: set[str] = set()
        """Those that are being deleted."""
        self.annotations: dict[Owner, dict[str, str]] = {}
        self.nudges: list[Owner] = []
        self.looks: list[Owner] = []
        self.events: dict[str, dict[str, Any]] = {}
        self.asked = 0
        self._above: dict[Owner, Owner] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        for group in ("/api/{version:v1}", "/apis/{version:[a-z]+/v1}"):
            path = f"{group}/namespaces/{{namespace}}/{{resource}}/{{name}}/status"
            app.router.add_patch(path, self._patch_status)
        app.router.add_post(EVENTS, self._create_event)
        app.router.add_patch(f"{EVENTS}/{{name}}", self._patch_event)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def put(self, owner: Owner, *, above: Owner | None = None) -> None:
        """Have it; `above` is its own controller."""
        self.annotations[owner] = {"deployment.kubernetes.io/revision": "1"}
        if above is not None:
            self._above[owner] = above

    def told(self, reason: str) -> list[dict[str, Any]]:
        """The Events of that reason."""
        return [event for event in self.events.values() if event["reason"] == reason]

    async def _refused(self, http: web.Request, what: str) -> web.StreamResponse | None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fault is not None:
            return await self.fault(http)
        if http.headers.get("Authorization") != f"Bearer {TOKEN}":
            return status(401, "Unauthorized")
        if what not in self.allowed:
            return status(403, f'User "us" cannot patch resource "{what}"')
        return None

    async def _patch_status(self, http: web.Request) -> web.StreamResponse:
        refused = await self._refused(http, "status")
        if refused is not None:
            return refused
        if http.content_type != MERGE or http.headers.get("Accept") != PARTIAL:
            return status(415, "the body of the request was in an unknown format")
        owner = self._find(http.match_info)
        if owner is None:
            return status(404, f'"{http.match_info["name"]}" not found')
        patch = (await http.json())["metadata"]
        if patch.pop("uid", owner.uid) != owner.uid:
            return _immutable(owner)
        if http.query.get("dryRun") == "All":
            self.looks.append(owner)
        else:
            self.annotations[owner] |= patch.pop("annotations")
            assert patch == {}, "nothing else is ours to write"
            self.nudges.append(owner)
        return web.json_response(self._partial(owner))

    async def _create_event(self, http: web.Request) -> web.StreamResponse:
        refused = await self._refused(http, "events")
        if refused is not None:
            return refused
        event = await http.json()
        namespace, name = http.match_info["namespace"], event["metadata"]["name"]
        if namespace not in self.namespaces:
            return status(404, f'namespaces "{namespace}" not found')
        if namespace in self.ending:
            return _terminating(namespace)
        if not all(event.get(field) for field in REQUIRED) or len(event["note"].encode()) > 1024:
            return status(422, f'Event "{name}" is invalid')
        assert event["regarding"]["namespace"] == event["metadata"]["namespace"] == namespace
        if name in self.events:
            return status(409, f'events.events.k8s.io "{name}" already exists')
        self.events[name] = event
        return web.json_response(event, status=201)

    async def _patch_event(self, http: web.Request) -> web.StreamResponse:
        refused = await self._refused(http, "events")
        if refused is not None:
            return refused
        name = http.match_info["name"]
        if name not in self.events:
            return status(404, f'events.events.k8s.io "{name}" not found')
        patch = await http.json()
        assert patch.keys() == {"series"}, "all else of an Event cannot be changed"
        self.events[name] |= patch
        return web.json_response(self.events[name])

    def _find(self, at: Mapping[str, str]) -> Owner | None:
        """By its place, whatever uid whoever asks has in mind."""
        for owner in self.annotations:
            resource = RESOURCES[owner.api_version, owner.kind]
            if (owner.api_version, owner.namespace, resource, owner.name) == (
                at["version"],
                at["namespace"],
                at["resource"],
                at["name"],
            ):
                return owner
        return None

    def _partial(self, owner: Owner) -> dict[str, Any]:
        meta: dict[str, Any] = {"name": owner.name, "uid": owner.uid}
        meta["annotations"] = self.annotations[owner]
        above = self._above.get(owner)
        if above is not None:
            meta["ownerReferences"] = [reference_to(above)]
        kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return kind | {"metadata": meta}


def reference_to(owner: Owner, *, controller: bool = True) -> dict[str, Any]:
    """One of `ownerReferences`, as a controller writes it."""
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def _immutable(owner: Owner) -> web.Response:
    cause = {"reason": "FieldValueInvalid", "field": "metadata.uid"}
    said = {
        "kind": "Status",
        "status": "Failure",
        "message": f'"{owner.name}" is invalid: metadata.uid: field is immutable',
        "reason": "Invalid",
        "details": {"name": owner.name, "causes": [cause, cause]},
        "code": 422,
    }
    return web.Response(text=json.dumps(said), status=422, content_type="application/json")


def _terminating(namespace: str) -> web.Response:
    cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}
    said = {
        "kind": "Status",
        "status": "Failure",
        "message": f"unable to create new content in namespace {namespace} because it is being "
        "terminated",
        "reason": "Forbidden",
        "details": {"causes": [cause]},
        "code": 403,
    }
    return web.Response(text=json.dumps(said), status=403, content_type="application/json")
