"""The edge: questions over HTTP, the stream, the page (docs/design/console.md)."""

from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from services.console.door import Door
from services.console.edge.answers import errors_as_json, questions
from services.console.edge.guard import Guard
from services.console.edge.page import Page
from services.console.edge.stream import Stream
from services.console.files import StaticFile
from services.console.metrics import ConsoleMetrics
from services.console.observer import Observer
from services.console.session import Sessions
from services.console.view import OpsView
from shared.ports.clock import Clock

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer, errors too."""


def console_app(
    *,
    ops: OpsView,
    observer: Observer,
    sessions: Sessions,
    door: Door,
    files: Mapping[str, StaticFile],
    metrics: ConsoleMetrics,
    clock: Clock,
) -> web.Application:
    """The whole console, to be served on a port."""
    guard = Guard(sessions=sessions, door=door, clock=clock)
    page = Page(files)
    stream = Stream(observer=observer, guard=guard)
    app = web.Application(middlewares=[_counted(metrics), errors_as_json, guard.middleware])
    app.on_response_prepare.append(_with_headers)
    app.router.add_routes(questions(ops))
    for path, handle in {
        "/api/session": guard.session,
        "/api/stream": stream.watch,
        "/": page.index,
        "/static/{name}": page.file,
    }.items():
        app.router.add_get(path, handle, allow_head=False)
    app.router.add_post("/login", guard.login)
    app.router.add_post("/logout", guard.logout)
    return app


async def _with_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")


def _counted(metrics: ConsoleMetrics) -> Middleware:
    @web.middleware
    async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        resource = request.match_info.route.resource
        route = "none" if resource is None else resource.canonical
        metrics.answered(route, response.status)
        return response

    return counted
