"""A registry over real HTTP that can be told to misbehave.

Speaks what Docker's registry speaks for pulls: manifests by tag and digest, blobs, error
bodies, Basic and Bearer challenges with its own token service under `/token`. Counts what it
is asked and keeps the headers.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from ssl import SSLContext
from types import TracebackType
from typing import Self

import msgspec
from aiohttp import web

from shared.domain.reference import ImageReference, parse_reference
from tests.fakes.images import Content

Fault = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Seen(msgspec.Struct, frozen=True):
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    form: dict[str, str] = {}

    @property
    def authorization(self) -> str | None:
        return self.headers.get("Authorization")


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry wants: tokens from `realm` (its own by default) for a password or an
    identity token, or a password."""

    scheme: str = "Bearer"
    user: str = ""
    password: str = ""
    identity: str = ""
    realm: str = ""
    expires_in: int = 60
    answer: bytes | None = None


class FakeRegistry:
    """`async with FakeRegistry() as registry`, then `registry.put(content, "team/app:1.0")`."""

    def __init__(self, *, ssl_context: SSLContext | None = None) -> None:
        self._ssl = ssl_context
        self._runner: web.AppRunner | None = None
        self.host = ""
        """`127.0.0.1:PORT`, as in a reference."""
        self.requests: list[Seen] = []
        self.names_digests = True
        """Whether answers have Docker-Content-Digest."""
        self.login: Login | None = None
        self.tokens: list[str] = []
        self._manifests: dict[str, tuple[str, bytes]] = {}
        self._blobs: dict[str, bytes] = {}
        self._tags: dict[str, list[str]] = {}
        self.page = 1_000
        """Tags in one answer at most."""
        self._faults: dict[str, Fault] = {}

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/token", self._token)
        app.router.add_post("/token", self._exchange)
        app.router.add_get("/v2/{name:.+}/manifests/{which}", self._manifest)
        app.router.add_get("/v2/{name:.+}/blobs/{digest}", self._blob)
        app.router.add_get("/v2/{name:.+}/tags/list", self._list)
        app.router.add_get("/{anything:.*}", self._unknown)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._ssl)
        await site.start()
        self.host = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"{'https' if self._ssl else 'http'}://{self.host}"

    def put(self, content: Content, name: str) -> ImageReference:
        """Push under `PATH:TAG`; the reference that names it. The tag moves if it was there."""
        reference = parse_reference(f"{self.host}/{name}")
        self._keep(content)
        self._tags[f"{reference.path}:{reference.tag}"] = [content.digest]
        return reference

    def remove(self, reference: ImageReference) -> None:
        """Nobody pushed this tag; the manifest stays."""
        del self._tags[f"{reference.path}:{reference.tag}"]

    def drop(self, content: Content) -> None:
        """The manifest is gone, as after garbage collection; its digest is no longer known."""
        del self._manifests[content.digest]

    def alternate(self, reference: ImageReference, *contents: Content) -> None:
        """Each question by tag is answered with the next of `contents`, round and round."""
        for content in contents:
            self._keep(content)
        self._tags[f"{reference.path}:{reference.tag}"] = [each.digest for each in contents]

    def replace_body(self, digest: str, body: bytes, *, media_type: str | None = None) -> None:
        """Answer for `digest` with something else."""
        if digest in self._manifests:
            self._manifests[digest] = (media_type or self._manifests[digest][0], body)
        else:
            self._blobs[digest] = body

    def fault(self, what: str, fault: Fault) -> None:
        """Answer `manifests`, `blobs`, `token`, or one tag or digest so, until `heal`."""
        self._faults[what] = fault

    def heal(self) -> None:
        self._faults.clear()

    def asked(self, what: str = "", *, method: str = "") -> list[Seen]:
        """The requests whose path holds `what`, by `method`."""
        return [
            seen
            for seen in self.requests
            if what in seen.path and (not method or seen.method == method)
        ]

    def _keep(self, content: Content) -> None:
        self._manifests[content.digest] = (content.media_type, content.manifest)
        self._blobs.update(content.blobs)
        for child in content.children:
            self._keep(child)

    def _see(self, request: web.Request, form: dict[str, str] | None = None) -> None:
        query = dict(request.query)
        seen = Seen(request.method, request.path, query, request.headers, form or {})
        self.requests.append(seen)

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        self._see(request)
        denied = self._denied(request)
        if denied:
            return denied
        which = request.match_info["which"]
        fault = self._faults.get("manifests") or self._faults.get(which)
        if fault:
            return await fault(request)
        digests = self._tags.get(f"{request.match_info['name']}:{which}")
        if digests:
            which = digests[0]
            digests.append(digests.pop(0))
        if which not in self._manifests:
            return problem(404, "MANIFEST_UNKNOWN")
        media_type, body = self._manifests[which]
        headers = {"Content-Type": media_type}
        if self.names_digests:
            headers["Docker-Content-Digest"] = which
        return web.Response(body=body, headers=headers)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        self._see(request)
        denied = self._denied(request)
        if denied:
            return denied
        digest = request.match_info["digest"]
        fault = self._faults.get("blobs") or self._faults.get(digest)
        if fault:
            return await fault(request)
        if digest not in self._blobs:
            return problem(404, "BLOB_UNKNOWN")
        return web.Response(body=self._blobs[digest], content_type="application/octet-stream")

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """Pages of tags, with a link to the next: at most `page` on one, whatever is asked for."""
        self._see(request)
        denied = self._denied(request)
        if denied:
            return denied
        if "tags" in self._faults:
            return await self._faults["tags"](request)
        name = request.match_info["name"]
        tags = [key.rpartition(":")[2] for key in self._tags if key.rpartition(":")[0] == name]
        if not tags:
            return problem(404, "NAME_UNKNOWN")
        left = sorted(tag for tag in tags if tag > request.query.get("last", ""))
        page = left[: min(int(request.query["n"]), self.page)]
        headers = {}
        if len(page) < len(left):
            query = f"last={page[-1]}&n={len(page)}"
            headers["Link"] = f'</v2/{name}/tags/list?{query}>; rel="next"'
        return web.json_response({"name": name, "tags": page}, headers=headers)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self._see(request)
        if "token" in self._faults:
            return await self._faults["token"](request)
        login = self.login or Login()
        if login.user and request.headers.get("Authorization") != basic(login.user, login.password):
            return problem(401, "UNAUTHORIZED")
        return self._grant(login)

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self._see(request, form)
        login = self.login or Login()
        if form.get("grant_type") != "refresh_token" or not form.get("client_id"):
            return problem(400, "UNSUPPORTED")
        if not login.identity or form.get("refresh_token") != login.identity:
            return problem(401, "UNAUTHORIZED")
        return self._grant(login)

    def _grant(self, login: Login) -> web.Response:
        if login.answer is not None:
            return web.Response(body=login.answer, content_type="application/json")
        token = f"token-{len(self.tokens)}"
        self.tokens.append(token)
        return web.json_response({"token": token, "expires_in": login.expires_in})

    async def _unknown(self, request: web.Request) -> web.StreamResponse:
        self._see(request)
        return problem(404, "NAME_UNKNOWN")

    def _denied(self, request: web.Request) -> web.Response | None:
        login = self.login
        if login is None:
            return None
        given = request.headers.get("Authorization", "")
        if login.scheme == "Basic":
            good = given == basic(login.user, login.password)
            challenge = 'Basic realm="a registry"'
        else:
            good = given.startswith("Bearer ") and given.removeprefix("Bearer ") in self.tokens
            realm = login.realm or f"{self.url}/token"
            scope = f"repository:{request.match_info['name']}:pull,push"
            challenge = f'{login.scheme} realm="{realm}",service="a registry",scope="{scope}"'
        if good:
            return None
        return problem(401, "UNAUTHORIZED", headers={"WWW-Authenticate": challenge})


def basic(user: str, password: str) -> str:
    """The header of a user and a password."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def problem(status: int, code: str, *, headers: dict[str, str] | None = None) -> web.Response:
    """An error body as registries send it."""
    document = {"errors": [{"code": code, "message": "made up", "detail": None}]}
    spelt = {"Content-Type": "application/json", **(headers or {})}
    return web.Response(body=json.dumps(document).encode(), status=status, headers=spelt)


def answer(status: int, code: str = "UNKNOWN", **headers: str) -> Fault:
    """Always this status; header names with `_` for `-`."""
    spelt = {name.replace("_", "-"): value for name, value in headers.items()}

    async def fault(_request: web.Request) -> web.StreamResponse:
        return problem(status, code, headers=spelt)

    return fault


def redirect(location: str, *, status: int = 307) -> Fault:
    """Somewhere else; `{path}` in `location` stands for the path that was asked."""

    async def fault(request: web.Request) -> web.StreamResponse:
        return web.Response(
            status=status, headers={"Location": location.replace("{path}", request.path)}
        )

    return fault


def say(body: bytes, *, content_type: str) -> Fault:
    """Always this body, and no digest."""

    async def fault(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, headers={"Content-Type": content_type})

    return fault


async def hang(_request: web.Request) -> web.StreamResponse:
    """No answer, until the client goes."""
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits that long")


def endless(*, content_type: str, status: int = 200, chunk: bytes = b" " * 65_536) -> Fault:
    """A body without end, and without a length."""

    async def fault(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Type": content_type})
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            while True:
                await response.write(chunk)
        return response

    return fault


def cut(body: bytes, *, content_type: str) -> Fault:
    """Half of a body, then the connection is gone."""

    async def fault(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    return fault


async def collect(chunks: AsyncIterator[bytes]) -> bytes:
    """A whole body."""
    return b"".join([chunk async for chunk in chunks])
