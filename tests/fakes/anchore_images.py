"""FakeAnchore's calls about images: add, get, check, events."""

import json
import time
from collections.abc import Callable

from aiohttp import web

from tests.fakes.anchore_dialects import Speech
from tests.fakes.anchore_faults import lie
from tests.fakes.anchore_store import AnchoreStore, Image
from tests.fakes.anchore_wire import (
    Json,
    engine_error,
    full_tag,
    problem,
    registry_error,
)


class ImageCalls:
    """`account` tells whose images a request is about."""

    def __init__(
        self, store: AnchoreStore, account: Callable[[web.Request], str], speech: Speech
    ) -> None:
        self._store = store
        self._account = account
        self._speech = speech

    async def get(self, request: web.Request) -> web.Response:
        image = self._store.find(request.match_info["digest"], self._account(request))
        if image is None or time.monotonic() < image.visible:
            return web.json_response(engine_error(404, "image not found in DB"), status=404)
        return self._images(image)

    async def add(self, request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read())
        except ValueError:
            return problem_response(problem(400, "Bad Request", "Request body is not valid JSON"))
        sent = self._speech.submission(body)
        tag, digest = sent.tag, sent.digest
        if not isinstance(tag, str):
            said = f"{tag!r} is not of type 'string' - 'tag'"
            return problem_response(problem(400, "Bad Request", said))
        if not isinstance(digest, str):
            return web.json_response(registry_error("REGISTRY_IMAGE_NOT_FOUND", tag), status=400)
        self._store.submits[digest] += 1
        tag = full_tag(tag)
        code = self._store.registry.get(digest) or self._store.registry.get(tag)
        if code:
            pull = f"{tag.rpartition(':')[0]}@{digest}"
            return web.json_response(registry_error(code, pull), status=400)
        return self._take(
            tag,
            digest,
            self._account(request),
            dockerfile=sent.dockerfile,
            force=request.query.get("force") == "true",
        )

    def _take(
        self, tag: str, digest: str, account: str, *, dockerfile: str | None, force: bool
    ) -> web.Response:
        image = self._store.find(digest, account)
        if image is None:
            if force:
                said = "image digest must already exist to force re-analyze using tag+digest"
                return web.json_response(engine_error(400, said), status=400)
            image = self._store.add(digest, tag, account)
            image.dockerfile = dockerfile
            return self._images(image)
        if dockerfile and not force:
            said = (
                "Cannot specify dockerfile for an image that already exists unless using "
                "force=True for re-analysis"
            )
            body = engine_error(400, said, digest=digest, tag=tag)
            return web.json_response(body, status=400)
        if tag not in image.tags:
            image.tags.append(tag)
        if force or image.status == "analysis_failed":
            image.dockerfile = dockerfile or image.dockerfile
            self._store.again(image)
        return self._images(image)

    def _images(self, image: Image) -> web.Response:
        if image.status == "analyzed":
            self._store.said_analyzed.setdefault(image.digest, time.monotonic())
        return web.json_response(self._speech.answer(image.record()))

    async def check(self, request: web.Request) -> web.Response:
        tag = request.query.get("tag")
        if tag is None:
            return problem_response(problem(400, "Bad Request", "Missing query parameter 'tag'"))
        account = self._account(request)
        image = self._store.find(request.match_info["digest"], account)
        policies = self._store.policies.get(account, {})
        asked = request.query.get(self._speech.policy)
        wanted = asked or next((name for name in policies if policies[name]["active"]), "")
        said = _why_not(image, asked=asked, known=wanted in policies, account=account)
        if said or image is None:
            return web.json_response(engine_error(404, said), status=404)
        bundle = policies[wanted]["policybundle"]
        return web.json_response(self._evaluate(image, full_tag(tag), bundle, request))

    def _evaluate(self, image: Image, tag: str, bundle: Json, request: web.Request) -> Json:
        final_action, rows = self._store.decision(image.digest, bundle["id"])
        now = time.time()
        kept = (image.digest, tag, json.dumps(bundle, sort_keys=True), json.dumps(rows))
        answer = self._speech.check(
            digest=image.digest,
            tag=tag,
            account=image.account,
            bundle=bundle,
            final_action=final_action,
            rows=rows,
            evaluated=now,
            computed=self._store.computed.setdefault(kept, now),
            detail=request.query.get("detail", "true") != "false",
        )
        fault = self._store.take_fault("image_check", lies=True)
        return lie(fault, answer, self._speech.api) if fault else answer

    async def events(self, request: web.Request) -> web.Response:
        tag = request.query.get("resource_id", "")
        results = [
            self._speech.event(tag, image.digest, image.reason, image.created)
            for image in self._store.images.values()
            if image.status == "analysis_failed" and tag in image.tags
        ]
        return web.json_response(
            {"item_count": len(results), "next_page": False, "page": 1, "results": results}
        )


def _why_not(image: Image | None, *, asked: str | None, known: bool, account: str) -> str:
    """Why there is nothing to evaluate; empty: there is."""
    if image is None:
        return "image not found in DB"
    if image.status != "analyzed":
        return f"image is not analyzed - analysis_status: {image.status}"
    if known:
        return ""
    if asked:
        return f"Policy bundle {asked} not found in DB"
    return f"user has no active policy to evaluate: {account}"


def problem_response(body: Json) -> web.Response:
    """An error of request validation or routing."""
    return web.json_response(body, status=body["status"], content_type="application/problem+json")
