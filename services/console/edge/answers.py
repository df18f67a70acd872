"""Questions and their answers as JSON: for a console and for a private socket."""

import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from services.console.door import TooManyTries
from services.console.view import OpsView
from services.console.watchers import TooManyWatchers
from shared.domain.errors import ImagegateError
from shared.ports.decisions import MAX_DECISIONS
from shared.runtime.http import BodyRefused

log = logging.getLogger(__name__)

MAX_VERDICTS = 10_000
MAX_LETTERS = 1_000
"""Far fewer than there may be: each look has all that it tells in memory, twice."""

SAID = {
    404: "there is nothing at this path",
    405: "this path does not take this method",
}

Ask = Callable[[web.Request], Awaitable[object]]


def questions(ops: OpsView, *, most_letters: int = MAX_LETTERS) -> list[web.RouteDef]:
    """What can be asked; says nothing about who may ask."""

    async def queue(_: web.Request) -> object:
        return await ops.queue()

    async def verdicts(request: web.Request) -> object:
        image = request.query.get("image", "")
        return await ops.verdicts(limit=_limit(request, MAX_VERDICTS), image=image)

    async def status(_: web.Request) -> object:
        return await ops.status()

    async def dead(request: web.Request) -> object:
        return await ops.dead(limit=_limit(request, most_letters))

    async def letter(request: web.Request) -> object:
        return await ops.dead_letter(request.match_info["id"])

    async def decisions(request: web.Request) -> object:
        after = request.query.get("after", "")
        return await ops.decisions(limit=_limit(request, MAX_DECISIONS), after=after)

    async def processes(_: web.Request) -> object:
        return await ops.processes()

    async def exceptions(_: web.Request) -> object:
        return await ops.exceptions()

    async def emergencies(_: web.Request) -> object:
        return await ops.emergencies()

    asks = {
        "/api/queue": queue,
        "/api/verdicts": verdicts,
        "/api/status": status,
        "/api/dead": dead,
        "/api/dead/{id}": letter,
        "/api/decisions": decisions,
        "/api/processes": processes,
        "/api/exceptions": exceptions,
        "/api/emergency": emergencies,
    }
    return [web.get(path, answered(ask), allow_head=False) for path, ask in asks.items()]


def answered(ask: Ask) -> Handler:
    """What `ask` returns as JSON; 404 for None."""

    async def answer(request: web.Request) -> web.Response:
        content = await ask(request)
        if content is None:
            return refusal(404, "it is not there (any more)")
        return web.Response(body=msgspec.json.encode(content), content_type="application/json")

    return answer


def refusal(status: int, text: str, **headers: str) -> web.Response:
    """`{"error": text}`."""
    body = msgspec.json.encode({"error": text})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.Response(body=body, status=status, content_type="application/json", headers=named)


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is one sentence for people."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return refusal(error.status, SAID.get(error.status, error.reason), **allowed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return refusal(400, f"bad request: {error}")
    except BodyRefused as error:
        return refusal(error.status, str(error))
    except TooManyTries as error:
        return refusal(429, str(error), Retry_After="1")
    except TooManyWatchers as error:
        return refusal(503, str(error), Retry_After="5")
    except ImagegateError as error:
        return refusal(502, str(error))
    except Exception:
        log.exception("a question failed", extra={"path": request.path})
        return refusal(500, "imagegate failed while it answered this; its log says why")


def _limit(request: web.Request, most: int) -> int:
    limit = msgspec.convert(request.query.get("limit", "100"), int, strict=False)
    return max(1, min(limit, most))
