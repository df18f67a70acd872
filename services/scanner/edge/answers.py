"""Bytes in and JSON out, bounded in size and time."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from services.scanner.v1.refusals import Malformed, Refusal
from shared.runtime.http import BodyLimits, BodyRefused, read_body

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]
"""Method, path, and what answers there."""

BODY = BodyLimits(2 * 1024**2, seconds=10.0)
"""A Dockerfile as base64, or a policy bundle."""

_encode = msgspec.json.Encoder().encode


async def body_of(request: web.Request) -> bytes:
    """The whole body. Raises Malformed (408, 413, 415)."""
    if request.content_type != "application/json":
        raise Malformed("expected JSON data", status=415)
    try:
        return await read_body(request, BODY)
    except BodyRefused as error:
        raise Malformed(str(error), status=error.status) from error


def as_json(value: Any, *, status: int = 200, shape: type[Exception] = Refusal) -> web.Response:
    """A whole answer."""
    kind = "application/problem+json" if shape is Malformed else "application/json"
    return web.Response(body=_encode(value), status=status, content_type=kind)


async def as_array(
    request: web.Request, pages: AsyncIterator[list[dict[str, Any]]]
) -> web.StreamResponse:
    """A long array, of which no more than one page is held: one page is a plain answer, more of
    them go out one by one, each when the client took the one before."""
    nothing: list[dict[str, Any]] = []
    first = await anext(pages, nothing)
    second = await anext(pages, None)
    if second is None:
        return as_json(first)
    answer = web.StreamResponse()
    answer.content_type = "application/json"
    await answer.prepare(request)
    await answer.write(b"[" + _items(first) + b"," + _items(second))
    async for page in pages:
        await answer.write(b"," + _items(page))
    await answer.write(b"]")
    await answer.write_eof()
    return answer


def _items(page: list[dict[str, Any]]) -> bytes:
    return bytes(_encode(page)[1:-1])
