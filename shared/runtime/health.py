"""The plain port: `/livez`, `/readyz` and `/metrics`, apart from the port that does the work."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from shared.domain.errors import ImagegateError
from shared.runtime.logging import one_line
from shared.runtime.metrics import CONTENT_TYPE, Metrics

log = logging.getLogger(__name__)

CHECK_TIMEOUT = 2.0
TRY_AGAIN = 0.1

Check = Callable[[], Awaitable[object]]
"""Returns when ready (`store.ping`, `scanner.info`); raises when not, and the error says why."""


def health_app(
    *, ready: Mapping[str, Check], metrics: Metrics, stopping: asyncio.Event
) -> web.Application:
    """An application that answers probes and scrapes.

    `/livez` is 200 as long as the loop turns; `/readyz` is 503 with the reasons when a check
    fails or `stopping` is set: `{"ready": false, "reasons": {"store": "..."}}`.
    """

    async def livez(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        reasons = await unready(ready)
        if stopping.is_set():
            reasons["process"] = "stopping"
        body = {"ready": not reasons, "reasons": reasons}
        return web.json_response(body, status=503 if reasons else 200)

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application(client_max_size=1024)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", scrape)
    return app


async def unready(checks: Mapping[str, Check]) -> dict[str, str]:
    """Which checks fail, and why; all are asked at once, each for at most two seconds."""
    reasons = await asyncio.gather(*(_reason(check) for check in checks.values()))
    return {name: reason for name, reason in zip(checks, reasons, strict=True) if reason}


async def _reason(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT):
            await check()
    except TimeoutError:
        return f"no answer in {CHECK_TIMEOUT:g} s"
    except ImagegateError as error:
        return one_line(str(error), limit=300)
    except Exception as error:  # whatever a check raises, the probe gets an answer
        return type(error).__name__
    return ""


class FirstTry:
    """Asks each dependency once at the start, and says what is away.

    `check` makes a process ready that is to be ready without its dependencies afterwards: three
    unready webhooks would refuse every pod of the cluster, known ones too
    (docs/design/behaviour.md 1).
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._done = False

    async def once(self) -> None:
        """Ask all of them, for two seconds at most."""
        await asyncio.gather(*(self._try(name, check) for name, check in self._checks.items()))
        self._done = True

    async def check(self) -> None:
        """Raises while the first try is under way."""
        if not self._done:
            raise ImagegateError("what it depends on is being tried for the first time")

    async def _try(self, name: str, check: Check) -> None:
        """Again and again for a short time: a connection takes a moment to be made."""
        reason = "no answer"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CHECK_TIMEOUT):
                while True:
                    try:
                        await check()
                    except ImagegateError as error:
                        reason = str(error)
                        await asyncio.sleep(TRY_AGAIN)
                    else:
                        return
        log.warning("%s is away, going on without it: %s", name, reason)
