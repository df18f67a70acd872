"""The stream of a session that ends between the guard's look and its own."""

import asyncio

import aiohttp
from aiohttp import web

from services.console.door import Door
from services.console.edge.guard import Guard
from services.console.edge.stream import Stream
from services.console.session import COOKIE, LIFE, Sessions
from shared.runtime.http import serve
from tests.fakes.clock import START, FakeClock
from tests.unit.console.test_observer import Observed, at_work
from tests.unit.console.world import World
from tests.waiting import PATIENCE

SESSIONS = Sessions("a-token-of-this-test")


class Passing(FakeClock):
    """A second passes with each look at it."""

    def now(self) -> int:
        now = super().now()
        self.advance(1000)
        return now


async def test_it_ends_at_once(world: World) -> None:
    clock = Passing()
    cookie = SESSIONS.issue(now=START // 1000 - LIFE + 1)
    door = Door(sessions=SESSIONS, clock=clock, on_refused=lambda: None)
    guard = Guard(sessions=SESSIONS, door=door, clock=clock)
    app = web.Application(middlewares=[guard.middleware])
    async with at_work(Observed(world)) as observed:
        app.router.add_get("/api/stream", Stream(observer=observed.observer, guard=guard).watch)
        async with serve(app) as bound, aiohttp.ClientSession() as session:
            url = f"{bound.url}/api/stream"
            async with session.get(url, headers={"Cookie": f"{COOKIE}={cookie}"}) as answer:
                assert answer.status == 200
                async with asyncio.timeout(PATIENCE):
                    await answer.read()
