"""A Kubernetes API server, as far as namespaces go, that can be told to misbehave; and lists of
whole pods and nodes (`kubernetes_lists`).

Speaks what kube-apiserver 1.36 spoke when it was asked (docs/design/kube-facts.md 7): pages with
continue tokens, watches that go on from a version and end with a bookmark where there is something
new, 410 for what is compacted, Status objects for errors, metadata alone only for who asks for it.
Counts what it is asked.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from tests.fakes.kubernetes_lists import Lists
from tests.servers.ports import free_port

TOKEN = "a-token-of-this-cluster"
VERBS = frozenset({"get", "list", "watch"})
_AS = "application/json;as={};g=meta.k8s.io;v=v1"

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Asked(msgspec.Struct, frozen=True):
    """One request as it came."""

    verb: str
    """get, list or watch"""
    name: str
    query: dict[str, str]
    headers: Mapping[str, str]


class _Namespace(msgspec.Struct):
    labels: dict[str, str]
    version: int
    annotations: dict[str, str]


class FakeKubernetes:
    """`async with FakeKubernetes() as cluster`, then `cluster.put("team-a", {"tier": "prod"})`."""

    def __init__(self, *, ssl_context: SSLContext | None = None, port: int = 0) -> None:
        self._ssl = ssl_context
        self._port = port
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.tokens = {TOKEN}
        """Those that count; empty: nobody need show one."""
        self.allowed = {*VERBS, "list pods", "list nodes"}
        self.asked: list[Asked] = []
        self.lists = Lists()
        """Its pods and nodes; they are listed where `allowed` has "list pods", "list nodes"."""
        self.faults: dict[str, Fault] = {}
        """By verb, or by "list pods" and "list nodes": what answers instead; `hang`, `broken_off`
        and others are ready-made."""
        self.slow = 0.0
        """Seconds before each answer."""
        self.second = 1.0
        """How long a second of `timeoutSeconds` lasts."""
        self.end_after: float | None = None
        """Seconds after which each watch ends, whatever was asked for."""
        self.watching = 0
        """Watches that are open now."""
        self._version = 100
        self._compacted = 0
        self._restores = 0
        self._there: dict[str, _Namespace] = {}
        self._events: list[tuple[int, bytes]] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/api/v1/namespaces", self._all)
        app.router.add_get("/api/v1/namespaces/{name}", self._one)
        app.router.add_get("/api/v1/{resource:pods|nodes|replicationcontrollers}", self._listed)
        app.router.add_get("/apis/{group}/v1/{resource}", self._listed)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        # Nobody else gets it while it is away.
        self._port = self._port or free_port()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._ssl)
        await site.start()
        self.url = f"http{'s' if self._ssl else ''}://127.0.0.1:{self._port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Away: every connection ends, and nothing listens."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def count(self, verb: str) -> int:
        """How often it was asked to do that."""
        return sum(asked.verb == verb for asked in self.asked)

    @property
    def listings(self) -> int:
        """How often all were asked for."""
        return sum(
            asked.verb == "list" and "continue" not in asked.query and asked.query["limit"] != "1"
            for asked in self.asked
        )

    def put(
        self, name: str, labels: dict[str, str], annotations: dict[str, str] | None = None
    ) -> None:
        """Make a namespace, or give it other labels."""
        self._version += 1
        kind = "MODIFIED" if name in self._there else "ADDED"
        whole = {"kubernetes.io/metadata.name": name, **labels}
        self._there[name] = _Namespace(whole, self._version, annotations or {})
        self._tell(kind, _partial(name, self._there[name]))

    def remove(self, name: str) -> None:
        """Delete a namespace."""
        self._version += 1
        gone = self._there.pop(name)
        gone.version = self._version
        self._tell("DELETED", _partial(name, gone))

    def compact(self) -> None:
        """Forget what has changed until now: who goes on from before gets 410."""
        self._compacted = self._version

    def restore(self, version: int) -> None:
        """As after a restore of etcd: watches end, and the version is smaller than what was told
        before."""
        self._version = version
        self._events.clear()
        self._restores += 1
        self._wake()

    def say(self, line: bytes) -> None:
        """Send something to every watch, as it is."""
        self._version += 1
        self._log(line)

    def _tell(self, kind: str, object_: Any) -> None:
        event = json.dumps({"type": kind, "object": object_}, separators=(",", ":"))
        self._log(event.encode() + b"\n")

    def _log(self, line: bytes) -> None:
        self._events.append((self._version, line))
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _all(self, http: web.Request) -> web.StreamResponse:
        return await self._answer(http, "watch" if "watch" in http.query else "list")

    async def _one(self, http: web.Request) -> web.StreamResponse:
        return await self._answer(http, "get")

    async def _answer(self, http: web.Request, verb: str) -> web.StreamResponse:
        name = http.match_info.get("name", "")
        self.asked.append(Asked(verb, name, dict(http.query), dict(http.headers)))
        await asyncio.sleep(self.slow)
        fault = self.faults.get(verb)
        if fault is not None:
            return await fault(http)
        if not self._knows(http):
            return status(401, "Unauthorized")
        if verb not in self.allowed:
            return status(403, f'namespaces is forbidden: User "us" cannot {verb} resource')
        form = "PartialObjectMetadataList" if verb == "list" else "PartialObjectMetadata"
        if http.headers.get("Accept") != _AS.format(form):
            return status(406, "only the following media types are accepted: ...")
        return await {"get": self._get, "list": self._list, "watch": self._watch}[verb](http)

    async def _listed(self, http: web.Request) -> web.StreamResponse:
        resource = http.match_info["resource"]
        await asyncio.sleep(self.slow)
        fault = self.faults.get(f"list {resource}")
        if fault is not None:
            return await fault(http)
        if not self._knows(http):
            return status(401, "Unauthorized")
        if f"list {resource}" not in self.allowed:
            return status(403, f'{resource} is forbidden: User "us" cannot list resource')
        page = self.lists.page(resource, http.query)
        if page is None:
            return status(410, "The provided continue parameter is too old")
        return page

    def _knows(self, http: web.Request) -> bool:
        shown = http.headers.get("Authorization", "").removeprefix("Bearer ")
        return not self.tokens or shown in self.tokens

    async def _get(self, http: web.Request) -> web.StreamResponse:
        name = http.match_info["name"]
        if name not in self._there:
            return status(404, f'namespaces "{name}" not found')
        return web.json_response(_partial(name, self._there[name]))

    async def _list(self, http: web.Request) -> web.StreamResponse:
        version, _, after = http.query.get("continue", f"{self._version}:").partition(":")
        if int(version) < self._compacted:
            return status(410, "The provided continue parameter is too old")
        names = sorted(name for name in self._there if name > after)
        limit = int(http.query["limit"])
        meta: dict[str, Any] = {"resourceVersion": version}
        if len(names) > limit:
            meta["continue"] = f"{version}:{names[limit - 1]}"
            meta["remainingItemCount"] = len(names) - limit
        items = [_partial(name, self._there[name]) for name in names[:limit]]
        kind = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return web.json_response({**kind, "metadata": meta, "items": items})

    async def _watch(self, http: web.Request) -> web.StreamResponse:
        version = int(http.query["resourceVersion"])
        lasts = float(http.query["timeoutSeconds"]) * self.second
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(http)
        self.watching += 1
        try:
            if version < self._compacted:
                message = f"too old resource version: {version} ({self._compacted})"
                error = {"type": "ERROR", "object": _status(410, message)}
                await response.write(json.dumps(error).encode() + b"\n")
                return response
            with suppress(ConnectionError):
                async for line in self._lines(version, lasts):
                    await response.write(line)
        finally:
            self.watching -= 1
        return response

    async def _lines(self, version: int, lasts: float) -> AsyncIterator[bytes]:
        """What a watch from `version` is told, with a bookmark shortly before its end."""
        loop = asyncio.get_running_loop()
        # A version that is ahead of us is taken, and nothing is said (kube-facts 7).
        ahead = version > self._version
        ends = loop.time() + (lasts if self.end_after is None else self.end_after)
        told, restores = 0, self._restores
        while (left := ends - loop.time()) > 0:
            changed = self._changed
            if restores != self._restores:
                return
            for at, line in self._events[told:]:
                if at > version and not ahead:
                    yield line
            told = len(self._events)
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left)
        # None where nothing is newer than what is known already (kube-facts 7).
        if self._version > version:
            meta = {"resourceVersion": str(self._version)}
            bookmark = {"type": "BOOKMARK", "object": {**_KIND, "metadata": meta}}
            yield json.dumps(bookmark).encode() + b"\n"


_KIND = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def _partial(name: str, namespace: _Namespace) -> dict[str, Any]:
    meta = {
        "name": name,
        "uid": f"0494a4d6-eb9a-4c48-8d66-{namespace.version:012x}",
        "resourceVersion": str(namespace.version),
        "creationTimestamp": "2026-11-25T19:07:31Z",
        "labels": namespace.labels,
        "managedFields": [{"manager": "kubectl-create", "operation": "Update", "fieldsV1": {}}],
    }
    if namespace.annotations:
        meta["annotations"] = namespace.annotations
    return {**_KIND, "metadata": meta}


def _status(code: int, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": HTTPStatus(code).phrase.replace(" ", ""),
        "code": code,
    }


def status(code: int, message: str) -> web.Response:
    """An error as the API server says it."""
    return web.json_response(_status(code, message), status=code)


def answers(code: int, message: str = "") -> Fault:
    """A fault: this error, each time."""

    async def fault(_: web.Request) -> web.StreamResponse:
        return status(code, message)

    return fault


def sends(body: bytes) -> Fault:
    """A fault: 200 with this body."""

    async def fault(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return fault


async def hang(_: web.Request) -> web.StreamResponse:
    """A fault: not a byte comes."""
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits that long")


async def silence(http: web.Request) -> web.StreamResponse:
    """A fault: the head of an answer, and then nothing for ever."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(http)
    await asyncio.sleep(3600)
    return response


def breaks_off(after: bytes) -> Fault:
    """A fault: the connection ends in the middle of a body, behind `after`."""

    async def fault(http: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(http)
        await response.write(after)
        if http.transport is not None:
            http.transport.abort()
        return response

    return fault
