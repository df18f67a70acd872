"""An Anchore Engine that is none: v1's wire format over real HTTP, and levers to pull.

In a test: `async with FakeAnchore() as anchore`, then `anchore.url` and `anchore.store`. As a
process of its own: `python -m tests.fakes.anchore --port N`, with the same levers over HTTP:
`POST /_control/LEVER` with the arguments as a JSON object, `GET /_control/state`.
"""

import argparse
import asyncio
import base64
import random
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

from tests.fakes.anchore_faults import misbehave, unauthorized
from tests.fakes.anchore_images import ImageCalls, problem_response
from tests.fakes.anchore_policies import PolicyCalls
from tests.fakes.anchore_registries import RegistryCalls
from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_wire import engine_error, problem

PORTS = range(20_000, 32_000)
"""Below the ports that the kernel hands to outgoing connections: a fake that was stopped can
come back on its own."""

LEVERS = (
    "add_account",
    "add_policy",
    "know",
    "begin",
    "finish",
    "fail",
    "decide",
    "registry_says",
    "takes_login",
    "index",
    "fault",
    "heal",
    "settle_after",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeAnchore:
    """One server. `user` and `password` are the admin's; others belong to an account of theirs."""

    def __init__(
        self,
        *,
        user: str = "admin",
        password: str = "foobar",
        analysis_seconds: float | None = 0.0,
        final_action: str = "go",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.store = AnchoreStore(analysis_seconds=analysis_seconds, final_action=final_action)
        self.user, self.password, self.port = user, password, port
        self._tls = tls
        self.users: dict[str, tuple[str, str]] = {}
        """Plain users: name -> (password, account)."""
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port it had before if there was one."""
        self._closing = asyncio.Event()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        for port in [self.port] if self.port else random.sample(PORTS, 20):
            try:
                site = web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=self._tls)
                await site.start()
            except OSError:
                if self.port:
                    raise
            else:
                self.port = port
                return
        raise RuntimeError("no free port for FakeAnchore")

    async def stop(self) -> None:
        """Stop listening and drop every connection; what it knows stays."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=4 << 20)
        images = ImageCalls(self.store, self._account)
        policies = PolicyCalls(self.store, self._account)
        registries = RegistryCalls(self.store, self._account)
        for operation, method, path, handler in (
            ("image_get", "GET", "/v1/images/{digest}", images.get),
            ("image_add", "POST", "/v1/images", images.add),
            ("image_check", "GET", "/v1/images/{digest}/check", images.check),
            ("events", "GET", "/v1/events", images.events),
            ("policies", "GET", "/v1/policies", policies.all),
            ("policy_get", "GET", "/v1/policies/{id}", policies.get),
            ("policy_add", "POST", "/v1/policies", policies.add),
            ("policy_put", "PUT", "/v1/policies/{id}", policies.put),
            ("registries", "GET", "/v1/registries", registries.all),
            ("registry_get", "GET", "/v1/registries/{registry:.+}", registries.get),
            ("registry_add", "POST", "/v1/registries", registries.add),
            ("registry_put", "PUT", "/v1/registries/{registry:.+}", registries.put),
        ):
            app.router.add_route(method, path, self._operation(operation, handler))
        app.router.add_get("/version", self._operation("version", self._version, auth=False))
        app.router.add_get("/_control/state", self._state)
        app.router.add_post("/_control/{lever}", self._pull)
        app.router.add_route("*", "/{path:.*}", self._operation("unknown", self._unknown))
        return app

    def _operation(self, name: str, handler: Handler, *, auth: bool = True) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.store.calls[name] += 1
            fault = self.store.take_fault(name, lies=False)
            if fault is not None:
                return await misbehave(fault, request, self._closing)
            if auth:
                refused = self._refused(request)
                if refused is not None:
                    return refused
                if self._account(request) not in self.store.policies:
                    # What Engine says in an account that it does not know, and no error.
                    return web.json_response([])
            return await handler(request)

        return handle

    def _refused(self, request: web.Request) -> web.Response | None:
        name, password = _credentials(request)
        if (name, password) == (self.user, self.password):
            return None
        known, account = self.users.get(name, ("", ""))
        if not known or known != password:
            return unauthorized()
        if request.headers.get("x-anchore-account", account) != account:
            said = "Not authorized. Requires permissions: domain=admin action=listImages target=*"
            return web.json_response(engine_error(403, said), status=403)
        return None

    def _account(self, request: web.Request) -> str:
        name, _ = _credentials(request)
        own = self.users[name][1] if name in self.users else "admin"
        return request.headers.get("x-anchore-account", own)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(
            {"api": {}, "db": {"schema_version": "0.0.16"}, "service": {"version": "1.1.0"}}
        )

    async def _unknown(self, _: web.Request) -> web.Response:
        body = problem(404, "Not Found", "The requested URL was not found on the server.")
        return problem_response(body)

    async def _state(self, _: web.Request) -> web.Response:
        return web.json_response(self.store.state())

    async def _pull(self, request: web.Request) -> web.Response:
        lever = request.match_info["lever"]
        if lever not in LEVERS:
            return web.json_response({"error": f"the levers are {LEVERS}"}, status=404)
        arguments: dict[str, Any] = await request.json() if request.can_read_body else {}
        try:
            getattr(self.store, lever)(**arguments)
        except (TypeError, KeyError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({})


def _credentials(request: web.Request) -> tuple[str, str]:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return "", ""
    name, _, password = base64.b64decode(token).decode().partition(":")
    return name, password


async def _serve(arguments: argparse.Namespace) -> None:
    anchore = FakeAnchore(
        analysis_seconds=arguments.analysis_seconds,
        final_action=arguments.final_action,
        port=arguments.port,
    )
    async with anchore:
        sys.stdout.write(f"{anchore.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed; the first line of output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.anchore", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--analysis-seconds", type=float, default=1.0)
    parser.add_argument("--final-action", choices=("go", "warn", "stop"), default="go")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
