"""The HTTP edge: Engine's v1 API, as much of it as there is (docs/design/scanner.md)."""

import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from services.scanner.bundles.policy_book import PolicyBook, PolicyUpdate
from services.scanner.catalogue import Catalogue
from services.scanner.checks import Checks
from services.scanner.matching.port import VulnerabilityData
from services.scanner.records import ACCOUNT
from services.scanner.v1.refusals import Malformed, Refusal
from services.scanner.v1.requests import (
    analysis_status,
    basic_credentials,
    decode,
    flag,
    number,
    read_submission,
)
from services.scanner.v1.wire import SERVICE, events_page, feed_records, image_record, policy_record

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_BODY = 2 * 1024**2
_encode = msgspec.json.Encoder().encode


class ScannerApi:
    """Handlers; each answers JSON or raises Refusal or Malformed."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        checks: Checks,
        policies: PolicyBook,
        data: VulnerabilityData,
        version: str,
        user: str,
        password: str,
    ) -> None:
        self._catalogue = catalogue
        self._checks = checks
        self._policies = policies
        self._data = data
        self._version = version
        self._credentials = f"{user}:{password}".encode() if user else b""

    def application(self) -> web.Application:
        """The routes; a slash at the end is accepted, as Engine does."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        routes = [
            ("GET", "/health", self._health),
            ("GET", "/version", self._get_version),
            ("GET", "/v1", self._root),
            ("GET", "/v1/status", self._status),
            ("GET", "/v1/system", self._system),
            ("GET", "/v1/system/feeds", self._feeds),
            ("GET", "/v1/events", self._events),
            ("GET", "/v1/images", self._list_images),
            ("POST", "/v1/images", self._add_image),
            ("GET", "/v1/images/{digest}", self._get_image),
            ("GET", "/v1/images/{digest}/check", self._check),
            ("GET", "/v1/policies", self._list_policies),
            ("POST", "/v1/policies", self._add_policy),
            ("GET", "/v1/policies/{id}", self._get_policy),
            ("PUT", "/v1/policies/{id}", self._put_policy),
            ("DELETE", "/v1/policies/{id}", self._delete_policy),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, handler)
            app.router.add_route(method, f"{path}/", handler)
        app.router.add_get("/", self._root)
        return app

    # the service itself

    async def _health(self, request: web.Request) -> web.Response:
        return _json("ok")

    async def _root(self, request: web.Request) -> web.Response:
        return _json("v1")

    async def _get_version(self, request: web.Request) -> web.Response:
        service = {"name": SERVICE, "version": self._version}
        return _json({"api": {}, "db": {"schema_version": "1"}, "service": service})

    async def _status(self, request: web.Request) -> web.Response:
        return _json(await self._state())

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
        return _json({"service_states": [state]})

    async def _state(self) -> dict[str, Any]:
        return {
            "available": True,
            "busy": False,
            "db_version": "1",
            "detail": {"images": await self._catalogue.counts()},
            "message": "all good",
            "up": True,
            "version": self._version,
        }

    async def _feeds(self, request: web.Request) -> web.Response:
        return _json(feed_records(await self._data.state()))

    async def _events(self, request: web.Request) -> web.Response:
        query = request.query
        page, limit = number(query.get("page"), 1), number(query.get("limit"), 100)
        others = query.get("level", "error") != "error"
        others = others or query.get("resource_type", "image_tag") != "image_tag"
        found = (
            []
            if others
            else await self._catalogue.failures(
                fulltag=query.get("resource_id"), page=page, limit=limit
            )
        )
        base = str(request.url.origin())
        return _json(events_page(found, base_url=base, page=page, limit=limit))

    # images

    async def _list_images(self, request: web.Request) -> web.Response:
        found = await self._catalogue.list_images(
            fulltag=request.query.get("fulltag"),
            status=analysis_status(request.query.get("analysis_status")),
        )
        return _json([image_record(image) for image in found])

    async def _add_image(self, request: web.Request) -> web.Response:
        force = flag(request.query.get("force"), default=False)
        submission = read_submission(await _body(request), force=force)
        return _json([image_record(await self._catalogue.submit(submission))])

    async def _get_image(self, request: web.Request) -> web.Response:
        return _json([image_record(await self._catalogue.image(request.match_info["digest"]))])

    async def _check(self, request: web.Request) -> web.Response:
        tag = request.query.get("tag")
        if tag is None:
            raise Malformed("Missing query parameter 'tag'")
        answer = await self._checks.check(
            digest=request.match_info["digest"],
            tag=tag,
            policy_id=request.query.get("policyId"),
            detail=flag(request.query.get("detail"), default=True),
        )
        return _json(answer)

    # policies

    async def _list_policies(self, request: web.Request) -> web.Response:
        detail = flag(request.query.get("detail"), default=False)
        found = await self._policies.every()
        return _json([policy_record(policy, detail=detail, meta=True) for policy in found])

    async def _get_policy(self, request: web.Request) -> web.Response:
        detail = flag(request.query.get("detail"), default=True)
        policy = await self._policies.get(request.match_info["id"])
        return _json([policy_record(policy, detail=detail, meta=True)])

    async def _add_policy(self, request: web.Request) -> web.Response:
        policy = await self._policies.push(await _body(request))
        return _json(policy_record(policy, detail=True))

    async def _put_policy(self, request: web.Request) -> web.Response:
        update = decode(await _body(request), PolicyUpdate)
        active = flag(request.query.get("active"), default=False)
        policy = await self._policies.update(request.match_info["id"], update, active=active)
        return _json([policy_record(policy, detail=True)])

    async def _delete_policy(self, request: web.Request) -> web.Response:
        await self._policies.delete(request.match_info["id"])
        return _json("deleted")

    # around every request

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path.startswith("/v1/") and not self._authorised(request):
                return web.Response(
                    status=401,
                    text="Unauthorized",
                    content_type="text/html",
                    headers={"WWW-Authenticate": 'basic realm="Authentication required"'},
                )
            if request.headers.get("x-anchore-account", ACCOUNT) != ACCOUNT:
                raise Refusal(403, f"Not authorized. The only account is {ACCOUNT}")
            return await handler(request)
        except (Refusal, Malformed) as error:
            return _json(error.body, status=error.status, shape=type(error))
        except web.HTTPException as error:
            problem = Malformed(error.reason, status=error.status)
            return _json(problem.body, status=error.status, shape=Malformed)
        except Exception:
            log.exception("request failed", extra={"path": request.path})
            failure = Refusal(500, "internal error: the scanner's log says more")
            return _json(failure.body, status=500)

    def _authorised(self, request: web.Request) -> bool:
        if not self._credentials:
            return True
        given = basic_credentials(request.headers.get("Authorization", ""))
        return given is not None and hmac.compare_digest(given, self._credentials)


async def _body(request: web.Request) -> bytes:
    """JSON that is not compressed: aiohttp would unpack it unasked."""
    if request.content_type != "application/json" or "Content-Encoding" in request.headers:
        raise Malformed("expected JSON data, not compressed", status=415)
    return await request.read()


def _json(value: Any, *, status: int = 200, shape: type[Exception] = Refusal) -> web.Response:
    kind = "application/problem+json" if shape is Malformed else "application/json"
    return web.Response(body=_encode(value), status=status, content_type=kind)
