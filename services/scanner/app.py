"""The HTTP edge: Engine's v1 API, as much of it as there is (docs/design/scanner.md)."""

from collections.abc import Callable

from aiohttp import web

from services.scanner.bundles.policy_book import PolicyBook
from services.scanner.catalogue import Catalogue
from services.scanner.checks import Checks
from services.scanner.edge.guard import Guard
from services.scanner.edge.images import ImageRoutes
from services.scanner.edge.policies import PolicyRoutes
from services.scanner.edge.service import ServiceRoutes
from services.scanner.looking import Looking
from services.scanner.matching.port import VulnerabilityData


def scanner_app(
    *,
    catalogue: Catalogue,
    checks: Checks,
    looking: Looking,
    policies: PolicyBook,
    data: VulnerabilityData,
    version: str,
    user: str,
    passwords: Callable[[], tuple[str, ...]],
) -> web.Application:
    """The routes; a slash at the end is accepted, as Engine does."""
    guard = Guard(user=user, passwords=passwords)
    app = web.Application(middlewares=[guard.middleware])
    routes = [
        *ServiceRoutes(catalogue=catalogue, data=data, version=version).routes(),
        *ImageRoutes(catalogue=catalogue, checks=checks, looking=looking).routes(),
        *PolicyRoutes(policies=policies).routes(),
    ]
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
        if path != "/":
            app.router.add_route(method, f"{path}/", handler)
    return app
