"""A fake Anchore to measure against: a process of its own, with calls that take their time.

`python -m tests.fakes.anchore_process` prints its URL and serves until it is killed. Levers and
counters as tests.fakes.anchore has them, and besides:

POST /_control/slow      {"seconds": 0.2}: how long each call takes from now on
POST /_control/know_all  {"images": {DIGEST: TAG, ...}}: analysed by somebody before
GET  /_control/counters  {"calls": {OPERATION: N}, "submits": {DIGEST: N}}, without the images
"""

import argparse
import asyncio
import sys
from typing import Any

import uvloop
from aiohttp import web

from tests.fakes.anchore import FakeAnchore, Handler

CONTROL = "/_control/"


class MeasuredAnchore(FakeAnchore):
    """A `FakeAnchore` whose calls take `call_seconds` each, however many there are at a time."""

    def __init__(self, *, call_seconds: float = 0.0, **more: Any) -> None:
        super().__init__(**more)
        self.call_seconds = call_seconds
        self._controls = {
            f"{CONTROL}slow": self._slow,
            f"{CONTROL}know_all": self._know_all,
            f"{CONTROL}counters": self._counters,
        }

    def _app(self) -> web.Application:
        app = super()._app()
        app.middlewares.append(self._at_the_door)
        return app

    @web.middleware
    async def _at_the_door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        own = self._controls.get(request.path)
        if own is not None:
            return await own(request)
        if not request.path.startswith(CONTROL):
            await request.read()  # whoever dies while it waits has asked all the same
            await asyncio.sleep(self.call_seconds)
        return await handler(request)

    async def _slow(self, request: web.Request) -> web.Response:
        self.call_seconds = (await request.json())["seconds"]
        return web.json_response({})

    async def _know_all(self, request: web.Request) -> web.Response:
        for digest, tag in (await request.json())["images"].items():
            self.store.know(digest, tag)
        return web.json_response({})

    async def _counters(self, _: web.Request) -> web.Response:
        return web.json_response({"calls": self.store.calls, "submits": self.store.submits})


async def _serve(arguments: argparse.Namespace) -> None:
    async with MeasuredAnchore(**vars(arguments)) as anchore:
        sys.stdout.write(f"{anchore.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed; the first line of output is the URL."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fakes.anchore_process",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--api", choices=("v1", "v2"), default="v1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--analysis-seconds", type=float, default=1.0)
    parser.add_argument("--call-seconds", type=float, default=0.0)
    parser.add_argument("--final-action", choices=("go", "warn", "stop"), default="go")
    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
