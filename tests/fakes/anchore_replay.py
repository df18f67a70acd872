"""Serves recordings of a real Engine (tests/data/anchore) as they are."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

FOLDER = Path(__file__).parent.parent / "data" / "anchore"


class Recording(msgspec.Struct, frozen=True):
    """One call that was made, and what it was answered with."""

    name: str
    method: str
    path: str
    query: dict[str, str]
    request_body: Any
    status: int
    content_type: str
    body: Any
    """Decoded, or the text where it is not JSON."""
    is_json: bool

    def response(self) -> web.Response:
        kind, _, _ = self.content_type.partition(";")
        text = json.dumps(self.body) if self.is_json else self.body
        return web.Response(status=self.status, text=text, content_type=kind)


def recording(name: str) -> Recording:
    """The recording in `tests/data/anchore/NAME.json`."""
    told = json.loads((FOLDER / f"{name}.json").read_text())
    request, response = told["request"], told["response"]
    url = urlsplit(request["url"])
    return Recording(
        name=name,
        method=request["method"],
        path=url.path,
        query=dict(parse_qsl(url.query)),
        request_body=request["body"],
        status=response["status"],
        content_type=response["headers"].get("Content-Type", ""),
        body=response["body"],
        is_json=response["body_is_json"],
    )


class Asked(msgspec.Struct, frozen=True):
    """A request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class Replay:
    """Answers calls with the recordings of the same method, in order; the last one repeats.

    Paths are not compared, so that the answer to one question can be given to another.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._left = list(recordings)
        self.asked: list[Asked] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app)

    @property
    def url(self) -> str:
        return str(self._server.make_url("/"))

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.asked.append(
            Asked(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers=dict(request.headers),
                body=json.loads(raw) if raw else None,
            )
        )
        fitting = [told for told in self._left if told.method == request.method]
        if len(fitting) > 1:
            self._left.remove(fitting[0])
        return fitting[0].response()
