"""The console as a process beside the others: what it shows, and that nobody needs it."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import msgspec
import pytest

from shared.runtime.tls import client_context
from tests.bench.site import Site, site
from tests.fakes.images import tiny_image
from tests.functional.cli.commands import Ran, imagegate
from tests.house import deploy, pod
from tests.servers.ports import free_ports
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

TOKEN = "the-token-of-these-tests-0123456789"
BUDGET = 5.0
"""Seconds that an API server waits for a review."""


class Beside(msgspec.Struct, frozen=True):
    """A console beside running webhooks and workers."""

    running: Site
    session: aiohttp.ClientSession
    trusting: aiohttp.ClientSession
    """Trusts the webhook's certificate."""
    url: str
    health: str

    async def ask(self, path: str) -> Any:
        """What it answers, once it does: 503 says that a server took too long."""
        told: Any = None

        async def answers() -> bool:
            nonlocal told
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with self.session.get(f"{self.url}/api/{path}", headers=headers) as answer:
                assert answer.status in (200, 503), await answer.text()
                told = await answer.json()
                return answer.status == 200

        await eventually(answers)
        return told

    async def services(self) -> list[str]:
        return [one["beat"]["service"] for one in await self.ask("processes")]

    async def review(self, image: str) -> tuple[int, float]:
        """The answer's code (200: allowed), and the seconds that both calls took."""
        url = f"https://127.0.0.1:{self.running.webhooks[0]}"
        began = time.monotonic()
        made = await deploy(self.trusting, url, pod(image), timeout=f"{BUDGET:g}s")
        return made.answer.code, time.monotonic() - began

    async def passes(self, image: str) -> bool:
        return (await self.review(image))[0] == 200

    def image(self, name: str) -> str:
        content = tiny_image(config={"Labels": {"name": name}})
        return str(self.running.registry.put(content, f"team/app:{name}"))


@asynccontextmanager
async def console_beside(folder: Path) -> AsyncIterator[Beside]:
    ports = free_ports("console", "health")
    async with (
        site(folder, webhooks=1, workers=1) as running,
        aiohttp.ClientSession() as session,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=client_context(running.ca))
        ) as trusting,
    ):
        await running.programs.start(
            "console",
            "services.console",
            IMAGEGATE_CONSOLE_PORT=str(ports["console"]),
            IMAGEGATE_HEALTH_PORT=str(ports["health"]),
            IMAGEGATE_CONSOLE_TOKEN=TOKEN,
        )
        url, health = (f"http://127.0.0.1:{ports[name]}" for name in ("console", "health"))
        beside = Beside(running, session, trusting, url, health)
        await eventually(lambda: _ready(session, health))
        yield beside


async def _ready(session: aiohttp.ClientSession, health: str) -> bool:
    try:
        async with session.get(f"{health}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_a_console_shows_the_others_and_a_hung_one_changes_no_review(tmp_path: Path) -> None:
    async with console_beside(tmp_path) as beside:
        known = beside.image("known")
        await eventually(lambda: beside.passes(known))
        await shown(beside, known)
        await two_servers_are_enough_for_commands(beside, known)
        await changes_nothing_while_it_hangs(beside, known)
        await ends_at_once_with_a_watcher(beside)
        assert await beside.passes(known)


async def shown(beside: Beside, known: str) -> None:
    """By its API, by a command, and to Prometheus."""
    lanes = (await beside.ask("queue"))["lanes"]
    assert [lane["consumers"] for lane in lanes] == [1] * 5
    assert [row["image"] for row in await beside.ask("verdicts")] == [known]
    await eventually(lambda: _heard(beside, {"console", "webhook", "worker"}))
    await eventually(lambda: _steps_are_counted(beside))
    ran = await imagegate(
        *("queue", "-o", "json"),
        state=beside.running.folder,
        IMAGEGATE_CONSOLE=beside.url,
        IMAGEGATE_CONSOLE_TOKEN=TOKEN,
    )
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["dead"] == 0
    await eventually(lambda: _exports(beside, 'imagegate_lane_consumers{lane="check"} 1.0'))
    await eventually(lambda: _exports(beside, "imagegate_dead_letters 0.0"))


async def _exports(beside: Beside, line: str) -> bool:
    async with beside.session.get(f"{beside.health}/metrics") as answer:
        return line in (await answer.text()).splitlines()


async def _steps_are_counted(beside: Beside) -> bool:
    """RabbitMQ does not tell what is in hand: it comes of the worker's beats."""
    lanes = (await beside.ask("queue"))["lanes"]
    assert all(lane["unacknowledged"] is not None for lane in lanes)
    delivered: int = sum(lane["delivered"] for lane in lanes)
    return delivered > 0


async def _heard(beside: Beside, services: set[str]) -> bool:
    return services <= set(await beside.services())


async def two_servers_are_enough_for_commands(beside: Beside, known: str) -> None:
    """Without a console, Anchore or `imagegate up`."""
    running = beside.running
    servers = {"REDIS_URL": running.redis.url, "AMQP_URL": running.rabbit.url}

    async def run(*arguments: str) -> Ran:
        return await imagegate(*arguments, state=running.folder / "state", **servers)

    connection = await aio_pika.connect(running.rabbit.url)
    async with connection:
        channel = await connection.channel()
        message = aio_pika.Message(b"hello, is this a step?")
        await channel.default_exchange.publish(message, routing_key="imagegate.check")
    await eventually(lambda: _dead(beside, 1))
    ran = await run("dead", "list", "-o", "json")
    (letter,) = json.loads(ran.out)["letters"]
    assert (letter["lane"], letter["kind"]) == ("check", "")
    ran = await run("dead", "show", letter["id"][:12])
    assert "message: hello, is this a step?" in ran.out
    ran = await run("dead", "requeue", letter["id"])
    assert (ran.code, "it cannot be tried again" in ran.out) == (2, True)
    ran = await run("dead", "drop", letter["id"])
    assert (ran.code, ran.err) == (0, "")
    ran = await run("dead", "drop", letter["id"])
    assert ran.code == 1
    assert (await beside.ask("queue"))["dead"] == 0
    ran = await run("status")
    assert (ran.code, "scanner" in ran.out) == (0, False)
    ran = await run("verdicts", known)
    assert ran.out.startswith(f"pass {known}")
    ran = await run("decisions", "-o", "json")
    (image,) = json.loads(ran.out)[0]["decision"]["images"]
    assert image.startswith(f"{known}@sha256:")

    async def idle_lanes() -> bool:
        ran = await run("queue", "-o", "json")
        assert (ran.code, ran.err) == (0, "")
        told = ("ready", "unacknowledged", "consumers", "oldest")
        lanes = [tuple(lane[name] for name in told) for lane in json.loads(ran.out)["lanes"]]
        return lanes == [(0, 0, 1, None)] * 5

    await eventually(idle_lanes)


async def _dead(beside: Beside, letters: int) -> bool:
    dead: int = (await beside.ask("queue"))["dead"]
    return dead == letters


async def changes_nothing_while_it_hangs(beside: Beside, known: str) -> None:
    """Stopped in the midst of looking, with a watcher, for longer than anybody's time limit."""
    process = beside.running.programs["console"]
    async with beside.session.get(
        f"{beside.url}/api/stream", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as stream:
        await stream.content.readline()
        process.send_signal(signal.SIGSTOP)
        try:
            for number in range(3):
                assert (await beside.review(known))[0] == 200
                new = beside.image(f"new-{number}")
                code, took = await beside.review(new)
                assert code in {200, 429}
                assert took < 2 * BUDGET
                await eventually(lambda new=new: beside.passes(new))
        finally:
            process.send_signal(signal.SIGCONT)
        await asyncio.wait_for(stream.content.readuntil(b"event: sample\n"), PATIENCE)
    assert len(await beside.ask("verdicts")) == 4


async def ends_at_once_with_a_watcher(beside: Beside) -> None:
    process = beside.running.programs["console"]
    async with beside.session.get(
        f"{beside.url}/api/stream", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as stream:
        await stream.content.readline()
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(stream.content.read(), 15)
        assert await asyncio.wait_for(process.wait(), 15) == 0
