"""A webhook that answers as it is told, over the real wire."""

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
    what `known` says is known."""

    def __init__(
        self,
        *,
        answers: Mapping[str, Response],
        pending: int = 0,
        known: Callable[[str], bool] = lambda image: False,
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.queries: list[str] = []
        self.asked: Counter[str] = Counter()
        self._answers = answers
        self._pending = pending
        self._known = known

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/validate", self._validate)
        return app

    async def _validate(self, http: web.Request) -> web.Response:
        request = (await http.json())["request"]
        self.requests.append(request)
        self.queries.append(http.query_string)
        content = request["object"]
        spec = content["spec"] if content["kind"] == "Pod" else content["spec"]["template"]["spec"]
        image = spec["containers"][0]["image"]
        self.asked[image] += 1
        told = self._known(image) or self.asked[image] > self._pending
        answer = self._answers[image] if told else PENDING
        response = {"uid": request["uid"], **answer}
        return web.json_response(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        )
