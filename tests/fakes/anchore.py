"""An Anchore that is none: the wire format of v1 or v2 over real HTTP, and levers to pull.

In a test: `async with FakeAnchore() as anchore`, then `anchore.url` and `anchore.store`. As a
process of its own: `python -m tests.fakes.anchore --port N`, with the same levers over HTTP:
`POST /_control/LEVER` with the arguments as a JSON object, `GET /_control/state`.
"""

import argparse
import asyncio
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

from tests.fakes.anchore_dialects import REQUEST_ID, SPEECHES
from tests.fakes.anchore_faults import misbehave
from tests.fakes.anchore_images import ImageCalls, problem_response
from tests.fakes.anchore_policies import PolicyCalls
from tests.fakes.anchore_registries import RegistryCalls
from tests.fakes.anchore_reports import ReportCalls
from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_users import Users
from tests.fakes.anchore_v2_policies import PolicyCallsV2
from tests.fakes.anchore_wire import engine_error, problem
from tests.servers.ports import free_port

LEVERS = (
    "add_account",
    "add_policy",
    "know",
    "begin",
    "requeue",
    "finish",
    "fail",
    "decide",
    "holds",
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
        api: str = "v1",
        version_path: str = "",
    ) -> None:
        """`version_path`: the one path of the version that an ingress hands on; else all."""
        self.users = Users(user=user, password=password)
        self.password, self.port = password, port
        self._tls = tls
        self._version_path = version_path
        self._begin(api, analysis_seconds=analysis_seconds, final_action=final_action)
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

    def _begin(self, api: str, *, analysis_seconds: float | None, final_action: str) -> None:
        self.speech = SPEECHES[api]
        self.store = AnchoreStore(
            analysis_seconds=analysis_seconds,
            final_action=final_action,
            record=self.speech.record,
            baseline=self.speech.baseline,
        )

    async def upgrade(self, api: str) -> None:
        """Come back on the same port, with nothing known, as a server of another API."""
        await self.stop()
        self._begin(api, analysis_seconds=self.store.analysis_seconds, final_action="go")
        await self.start()

    async def start(self) -> None:
        """Listen, on the port it had before if there was one: nobody else gets that meanwhile."""
        self._closing = asyncio.Event()
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        self.port = self.port or free_port()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._tls).start()

    async def stop(self) -> None:
        """Stop listening and drop every connection; what it knows stays."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=4 << 20)
        account, base, v2 = self.users.account, f"/{self.speech.api}", self.speech.api == "v2"
        images = ImageCalls(self.store, account, self.speech)
        reports = ReportCalls(self.store, account, self.speech)
        policies = (PolicyCallsV2 if v2 else PolicyCalls)(self.store, account)
        registries = RegistryCalls(
            self.store, account, account_key="account_name" if v2 else "userId"
        )
        for operation, method, path, handler in (
            ("image_get", "GET", f"{base}/images/{{digest}}", images.get),
            ("image_add", "POST", f"{base}/images", images.add),
            ("image_check", "GET", f"{base}/images/{{digest}}/check", images.check),
            ("image_content", "GET", f"{base}/images/{{digest}}/content", reports.kinds),
            ("image_content", "GET", f"{base}/images/{{digest}}/content/{{kind}}", reports.content),
            (
                "image_vulnerabilities",
                "GET",
                f"{base}/images/{{digest}}/vuln/{{kind}}",
                reports.vulnerabilities,
            ),
            ("feeds", "GET", f"{base}/system/feeds", reports.feeds),
            ("events", "GET", f"{base}/events", images.events),
            ("policies", "GET", f"{base}/policies", policies.all),
            ("policy_get", "GET", f"{base}/policies/{{id}}", policies.get),
            ("policy_add", "POST", f"{base}/policies", policies.add),
            ("policy_put", "PUT", f"{base}/policies/{{id}}", policies.put),
            ("registries", "GET", f"{base}/registries", registries.all),
            ("registry_get", "GET", f"{base}/registries/{{registry:.+}}", registries.get),
            ("registry_add", "POST", f"{base}/registries", registries.add),
            ("registry_put", "PUT", f"{base}/registries/{{registry:.+}}", registries.put),
        ):
            app.router.add_route(method, path, self._operation(operation, handler))
        paths = ["/version", f"{base}/version"] if v2 else ["/version"]
        for path in [self._version_path] if self._version_path else paths:
            app.router.add_get(path, self._operation("version", self._version, auth=False))
        if v2:
            give = self._operation("oauth_token", self.users.give_token, auth=False)
            app.router.add_post(f"{base}/oauth/token", give)
        app.router.add_get("/_control/state", self._state)
        app.router.add_post("/_control/{lever}", self._pull)
        app.router.add_route("*", "/{path:.*}", self._operation("unknown", self._unknown))
        return app

    def _operation(self, name: str, handler: Handler, *, auth: bool = True) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.store.calls[name] += 1
            fault = self.store.take_fault(name, lies=False)
            if fault is not None:
                return self._signed(await misbehave(fault, request, self._closing))
            refused = self._refused(request) if auth else None
            return self._signed(await handler(request) if refused is None else refused)

        return handle

    def _refused(self, request: web.Request) -> web.Response | None:
        refused = self.users.refused(request)
        if refused is not None or self.users.account(request) in self.store.policies:
            return refused
        if self.speech.api == "v2":
            return web.json_response(engine_error(404, "User account not found"), status=404)
        # What Engine says in an account that it does not know, and no error.
        return web.json_response([])

    def _signed(self, response: web.StreamResponse) -> web.StreamResponse:
        """v2's own errors name the request by which its log knows them."""
        if self.speech.api == "v2" and isinstance(response, web.Response):
            own = response.status >= 400 and response.content_type == "application/json"
            body = json.loads(response.text or "null") if own else None
            if isinstance(body, dict) and "httpcode" in body:
                response.text = json.dumps(body | {"anchore_request_id": REQUEST_ID})
        return response

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(self.speech.version)

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


async def _serve(arguments: argparse.Namespace) -> None:
    anchore = FakeAnchore(
        analysis_seconds=arguments.analysis_seconds,
        final_action=arguments.final_action,
        port=arguments.port,
        api=arguments.api,
    )
    async with anchore:
        sys.stdout.write(f"{anchore.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed; the first line of output is the URL."""
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.anchore", description=__doc__)
    parser.add_argument("--api", choices=("v1", "v2"), default="v1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--analysis-seconds", type=float, default=1.0)
    parser.add_argument("--final-action", choices=("go", "warn", "stop"), default="go")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
