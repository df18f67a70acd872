"""A webhook that answers as it is told, over the real wire."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

Response = Mapping[str, Any]


def allowed(**more: Any) -> Response:
    return {"allowed": True, **more}


def denied(code: int, message: str, **details: Any) -> Response:
    status = {"code": code, "message": message}
    return {"allowed": False, "status": status | ({"details": details} if details else {})}


PENDING = denied(429, "image x: not judged yet, its scan is under way: try again.")


class FakeWebhook:
    """Answers `answers` by image, each only after `pending` answers that say try again; at once
    what `known` says is known. /mutate pins the first container by `pins`."""

    def __init__(
        self,
        *,
        answers: Mapping[str, Response],
        pending: int = 0,
        known: Callable[[str], bool] = lambda image: False,
        pins: Mapping[str, str] | None = None,
        mutated: Response | None = None,
    ) -> None:
        """`mutated`: what /mutate answers instead."""
        self._pins = pins or {}
        self._mutated = mutated
        self.calls: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.queries: list[str] = []
        self.asked: Counter[str] = Counter()
        self._answers = answers
        self._pending = pending
        self._known = known

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/mutate", self._mutate)
        app.router.add_post("/validate", self._validate)
        return app

    async def _mutate(self, http: web.Request) -> web.Response:
        request = (await http.json())["request"]
        self.calls.append(http.path)
        if self._mutated is not None:
            return _answer(request, self._mutated)
        where, image = _first_image(request["object"])
        if image not in self._pins:
            return _answer(request, allowed())
        operation = {"op": "replace", "path": where, "value": self._pins[image]}
        patch = base64.b64encode(json.dumps([operation]).encode()).decode()
        return _answer(request, allowed(patch=patch, patchType="JSONPatch"))

    async def _validate(self, http: web.Request) -> web.Response:
        request = (await http.json())["request"]
        self.calls.append(http.path)
        self.requests.append(request)
        self.queries.append(http.query_string)
        _, image = _first_image(request["object"])
        self.asked[image] += 1
        told = self._known(image) or self.asked[image] > self._pending
        answer = self._answers[image] if told else PENDING
        return _answer(request, answer)


def _first_image(content: Mapping[str, Any]) -> tuple[str, str]:
    """Its JSON Pointer, and the image of the first container."""
    pod, where = (
        (content, "")
        if content["kind"] == "Pod"
        else (content["spec"]["template"], "/spec/template")
    )
    return f"{where}/spec/containers/0/image", pod["spec"]["containers"][0]["image"]


def _answer(request: Mapping[str, Any], answer: Response) -> web.Response:
    response = {"uid": request["uid"], **answer}
    return web.json_response(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    )
