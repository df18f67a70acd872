"""The stream over HTTP: what a watcher is told, who is let go, and how it ends."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.console.session import COOKIE, LIFE, Sessions
from services.console.watchers import MAX_WATCHERS
from shared.domain.step import Lane
from shared.ports.presence import Beat
from tests.functional.console.test_questions import decision
from tests.functional.console_page.site import TOKEN, Site, served
from tests.waiting import eventually

BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Event(msgspec.Struct, frozen=True):
    name: str
    data: Any


class Reader:
    """Reads a stream as `EventSource` does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def next(self, *names: str) -> Event:
        """The next event, of these names if some are given; EOFError at the end."""
        name = ""
        async with asyncio.timeout(15):
            while True:
                line = (await self.response.content.readline()).decode()
                if not line:
                    raise EOFError
                field, _, value = line.rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                if field == "data" and (not names or name in names):
                    return Event(name, json.loads(value))

    async def end(self) -> None:
        """Read until there is no more."""
        try:
            while True:
                await self.next()
        except EOFError:
            return


@asynccontextmanager
async def watching(
    session: aiohttp.ClientSession, site: Site, headers: dict[str, str] | None = None
) -> AsyncIterator[Reader]:
    url = f"{site.url}/api/stream"
    async with session.get(url, headers=headers or BEARER, read_bufsize=2**22) as response:
        assert response.status == 200
        yield Reader(response)


def watchers(site: Site) -> int:
    lines = site.metrics.render().decode().splitlines()
    (line,) = [one for one in lines if one.startswith("imagegate_console_watchers ")]
    return int(float(line.split()[1]))


async def until_watched_by(site: Site, number: int) -> None:
    await eventually(lambda: watchers(site) == number)


async def test_a_watcher_gets_the_past_and_then_each_look(
    site: Site, session: aiohttp.ClientSession
) -> None:
    await site.presence.beat(Beat("worker@h:1:x", "worker", "1", 5, delivered={Lane.CHECK: 3}))
    async with watching(session, site) as reader:
        assert reader.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert reader.response.headers["Cache-Control"] == "no-store"
        assert "Content-Security-Policy" in reader.response.headers
        told = [await reader.next() for _ in range(5)]
        assert [event.name for event in told[:3]] == ["history", "decisions", "trouble"]
        history, sample = told[0].data, (await reader.next("sample")).data
        assert set(history["lanes"]) == set(Lane)
        assert {len(column) for lane in history["lanes"].values() for column in lane.values()} == {
            len(history["at"])
        }
        assert sample["queue"]["lanes"][0]["lane"] == "resolve"
        assert sample["processes"][0]["beat"]["delivered"] == {"check": 3}
        await site.decisions.write([decision("p")])
        (new,) = (await reader.next("decisions")).data
        assert new["decision"]["name"] == "p"
        site.queue.away = "no rabbit"
        assert (await reader.next("trouble")).data == {"queue": "no rabbit"}
        assert (await reader.next("sample")).data["queue"] is None
        site.queue.away = ""
        assert (await reader.next("trouble")).data == {}


async def test_the_past_of_a_new_connection_fills_the_gap(
    site: Site, session: aiohttp.ClientSession
) -> None:
    async with watching(session, site) as reader:
        assert (await reader.next("decisions")).data == []
        await site.decisions.write([decision("seen")])
        assert len((await reader.next("decisions")).data) == 1
    async with watching(session, site) as reader:
        history = (await reader.next("history")).data
        assert history["at"]
        (last,) = (await reader.next("decisions")).data
        assert last["decision"]["name"] == "seen"


async def test_one_watcher_too_many_is_refused_and_welcome_later(
    site: Site, session: aiohttp.ClientSession
) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as many, AsyncExitStack() as stack:
        for _ in range(MAX_WATCHERS):
            await stack.enter_async_context(watching(many, site))
        assert watchers(site) == MAX_WATCHERS
        async with session.get(f"{site.url}/api/stream", headers=BEARER) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert "watch this console already" in (await response.json())["error"]
    await until_watched_by(site, 0)
    async with watching(session, site) as reader:
        assert (await reader.next()).name == "history"


async def test_who_does_not_read_is_let_go_while_others_are_told(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    site = Site(tmp_path, every=0.2)
    # Samples so large that what lies between us and the reader is soon full.
    for number in range(900):
        name = f"worker@{'h' * 200}:{number}"
        await site.presence.beat(Beat(name, "worker", "1" * 200, 5))
    async with served(site), watching(session, site) as reader:
        await reader.next("sample")
        with _deaf(site):
            await until_watched_by(site, 2)
            await _reads_on(reader, until_watched_by(site, 1))
        assert (await reader.next("sample")).data["processes"]


def _deaf(site: Site) -> socket.socket:
    """A watcher who asks and then reads nothing."""
    host, _, port = site.url.removeprefix("http://").partition(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect((host, int(port)))
    deaf.sendall(
        f"GET /api/stream HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    return deaf


async def _reads_on(reader: Reader, until: Any) -> None:
    waiting = asyncio.ensure_future(until)
    while not waiting.done():
        await reader.next("sample")
    await waiting


async def test_a_stream_ends_with_its_session(site: Site, session: aiohttp.ClientSession) -> None:
    almost_over = site.clock.now() // 1000 - LIFE + 5
    cookie = Sessions(TOKEN).issue(now=almost_over)
    async with watching(session, site, {"Cookie": f"{COOKIE}={cookie}"}) as reader:
        assert (await reader.next()).name == "history"
        await reader.end()
    await until_watched_by(site, 0)


async def test_a_watcher_who_goes_is_forgotten(site: Site, session: aiohttp.ClientSession) -> None:
    async with watching(session, site) as reader:
        await reader.next()
        assert watchers(site) == 1
    await until_watched_by(site, 0)


async def test_the_end_of_the_console_ends_every_stream_at_once(
    site: Site, session: aiohttp.ClientSession
) -> None:
    async with watching(session, site) as one, watching(session, site) as other:
        await one.next("sample")
        # One that went on would have the server wait 5 s for it.
        async with asyncio.timeout(4.5):
            await site.stop()
        await one.end()
        await other.end()
