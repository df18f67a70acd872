"""The operator's questions and orders over a Unix socket, for commands beside `imagegate up`.

The socket has mode 0600 in the state folder: who may connect may ask and order. Questions and
answers are the console's (docs/design/console.md); an error is `{"error": "..."}`.
"""

from collections.abc import Awaitable, Callable, Collection

import msgspec
from aiohttp import web

from services.cli.break_glass.desk import ExceptionActions
from services.cli.ops_client import (
    ExceptionPut,
    LettersMeant,
    PrewarmAsked,
    PrewarmWanted,
    ScanWanted,
    SealedRecord,
)
from services.cli.policies.remote import MAX_BODY, policy_routes
from services.cli.scans import MAX_DOCKERFILE, ScansView
from services.console.edge.answers import Ask, answered, errors_as_json, questions
from services.console.view import DeadLetterActions, OpsView
from shared.domain.rules import PolicyChoice
from shared.ports.policies import Policies
from shared.ports.steps import MAX_DEAD, Ended

SOCKET = "ops.sock"


def ops_app(
    *,
    ops: OpsView,
    scans: ScansView,
    letters: DeadLetterActions,
    desk: ExceptionActions,
    policies: Policies,
) -> web.Application:
    """Serve all of it over HTTP; to be bound to a private socket only."""

    async def start(request: web.Request) -> object:
        wanted = msgspec.json.decode(await request.read(), type=ScanWanted)
        return await scans.start(
            wanted.image,
            dockerfile=wanted.dockerfile,
            policy=wanted.policy,
            force=wanted.force,
        )

    async def prewarm(request: web.Request) -> object:
        wanted = msgspec.json.decode(await request.read(), type=PrewarmWanted)
        asked = await scans.prewarm(wanted.image, wanted.question, why=wanted.why)
        return PrewarmAsked(asked)

    async def state(request: web.Request) -> object:
        image, account, policy = (
            request.query.get(name, "") for name in ("image", "account", "policy")
        )
        chosen = PolicyChoice(account=account, id=policy) if account or policy else None
        return await scans.state(image, policy=chosen)

    async def report(request: web.Request) -> object:
        digest, account = (request.query.get(name, "") for name in ("digest", "account"))
        return await scans.report(digest, account=account)

    def ending(act: Callable[[Collection[str]], Awaitable[Ended]]) -> Ask:
        async def end(request: web.Request) -> object:
            return await act(msgspec.json.decode(await request.read(), type=LettersMeant).ids)

        return end

    async def sealed(_: web.Request) -> object:
        return await desk.sealed_exceptions()

    async def put(request: web.Request) -> object:
        wanted = msgspec.json.decode(await request.read(), type=ExceptionPut)
        return await desk.put_exception(wanted.sealed, exception_id=wanted.id, ends=wanted.ends)

    async def record(request: web.Request) -> object:
        return SealedRecord(await desk.sealed_record(request.query.get("key", "")))

    # A policy is the largest; a Dockerfile travels as base64, a third larger than it is.
    most = max(MAX_BODY, 2 * MAX_DOCKERFILE)
    app = web.Application(middlewares=[errors_as_json], client_max_size=most)
    app.router.add_routes(questions(ops, most_letters=MAX_DEAD))
    app.router.add_routes(policy_routes(policies))
    app.router.add_post("/api/scans", answered(start))
    app.router.add_get("/api/scans", answered(state))
    app.router.add_post("/api/prewarm", answered(prewarm))
    app.router.add_get("/api/scans/report", answered(report))
    app.router.add_post("/api/dead/requeue", answered(ending(letters.requeue)))
    app.router.add_post("/api/dead/drop", answered(ending(letters.drop)))
    app.router.add_get("/api/exceptions/sealed", answered(sealed))
    app.router.add_post("/api/exceptions", answered(put))
    app.router.add_get("/api/record", answered(record))
    return app
