"""/v1/images: submitted, listed, looked into, checked, removed."""

from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from services.scanner.catalogue import Catalogue
from services.scanner.checks import Checks
from services.scanner.edge.answers import Route, as_array, as_json, body_of
from services.scanner.looking import Looking
from services.scanner.v1.content import content_answer
from services.scanner.v1.package_types import content_types
from services.scanner.v1.refusals import Malformed
from services.scanner.v1.requests import analysis_status, digests, flag, read_submission
from services.scanner.v1.vulnerabilities import VULNERABILITY_TYPES, vulnerability_answer
from services.scanner.v1.wire import image_record


class ImageRoutes:
    """Images by the digest of their manifest, and by that of their config."""

    def __init__(self, *, catalogue: Catalogue, checks: Checks, looking: Looking) -> None:
        self._catalogue = catalogue
        self._checks = checks
        self._looking = looking

    def routes(self) -> list[Route]:
        """For the router."""
        of_one = [
            ("/check", self._check),
            ("/content", self._content_types),
            ("/content/{type}", self._content),
            ("/vuln", self._vulnerability_types),
            ("/vuln/{type}", self._vulnerabilities),
        ]
        return [
            ("GET", "/v1/images", self._list),
            ("POST", "/v1/images", self._add),
            ("DELETE", "/v1/images", self._delete_several),
            ("GET", "/v1/images/by_id/{id}", self._by_id),
            ("DELETE", "/v1/images/by_id/{id}", self._delete),
            ("GET", "/v1/images/{digest}", self._get),
            ("DELETE", "/v1/images/{digest}", self._delete),
            *(("GET", f"/v1/images/by_id/{{id}}{path}", handler) for path, handler in of_one),
            *(("GET", f"/v1/images/{{digest}}{path}", handler) for path, handler in of_one),
        ]

    async def _list(self, request: web.Request) -> web.StreamResponse:
        status = analysis_status(request.query.get("analysis_status"))
        if fulltag := request.query.get("fulltag"):
            found = await self._catalogue.newest(fulltag)
            return as_json([image_record(found)] if status in (None, found.status) else [])

        async def pages() -> AsyncIterator[list[dict[str, Any]]]:
            async for page in self._catalogue.pages(status):
                yield [image_record(image) for image in page]

        return await as_array(request, pages())

    async def _add(self, request: web.Request) -> web.Response:
        force = flag(request.query.get("force"), default=False)
        submission = read_submission(await body_of(request), force=force)
        return as_json([image_record(await self._catalogue.submit(submission))])

    async def _get(self, request: web.Request) -> web.Response:
        return as_json([image_record(await self._catalogue.image(request.match_info["digest"]))])

    async def _by_id(self, request: web.Request) -> web.Response:
        found = await self._catalogue.of_id(request.match_info["id"])
        return as_json([image_record(image) for image in found])

    async def _delete(self, request: web.Request) -> web.Response:
        force = flag(request.query.get("force"), default=False)
        return as_json(await self._catalogue.delete(await self._digest(request), force=force))

    async def _delete_several(self, request: web.Request) -> web.Response:
        force = flag(request.query.get("force"), default=False)
        named = digests(request.query.get("imageDigests"))
        return as_json([await self._catalogue.delete(digest, force=force) for digest in named])

    async def _check(self, request: web.Request) -> web.Response:
        tag = request.query.get("tag")
        if tag is None:
            raise Malformed("Missing query parameter 'tag'")
        answer = await self._checks.check(
            digest=await self._digest(request),
            tag=tag,
            policy_id=request.query.get("policyId"),
            detail=flag(request.query.get("detail"), default=True),
        )
        return as_json(answer)

    async def _content_types(self, request: web.Request) -> web.Response:
        return as_json(content_types(await self._looking.facts(await self._digest(request))))

    async def _content(self, request: web.Request) -> web.Response:
        digest = await self._digest(request)
        facts = await self._looking.facts(digest)
        return as_json(content_answer(digest, request.match_info["type"], facts))

    async def _vulnerability_types(self, request: web.Request) -> web.Response:
        await self._catalogue.analysed(await self._digest(request))
        return as_json(VULNERABILITY_TYPES)

    async def _vulnerabilities(self, request: web.Request) -> web.Response:
        known = await self._looking.known(await self._digest(request))
        return as_json(vulnerability_answer(request.match_info["type"], known))

    async def _digest(self, request: web.Request) -> str:
        """Of the image that the path names; by its config's, the one that came last."""
        named = request.match_info
        if "digest" in named:
            return str(named["digest"])
        return (await self._catalogue.of_id(named["id"]))[0].digest
