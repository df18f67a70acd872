"""imagegate as an operator runs it, every part a process: workers die, and no image is lost."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.domain.step import Lane
from shared.ports.presence import Beat
from shared.runtime.tls import client_context
from tests.bench.site import Site, site
from tests.fakes.images import tiny_image
from tests.house import deploy, pod
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

IMAGES = 16
ANALYSIS = 5.0
"""Seconds."""

DRAIN = 20.0
"""Seconds in which a worker must be gone that has only short steps in hand."""


class Caller:
    """Asks a webhook as the API server does."""

    def __init__(self, running: Site, session: aiohttp.ClientSession) -> None:
        self._running = running
        self._session = session

    async def allowed(self, image: str) -> bool:
        url = f"https://127.0.0.1:{self._running.webhooks[0]}"
        made = await deploy(self._session, url, pod(image), user="system:node:n")
        # 503 where Redis did not answer in a tenth of a second: the machine may be busy.
        assert made.answer.code in (200, 429, 503), made.answer.message
        return made.answer.allowed

    async def all_allowed(self, images: list[str]) -> bool:
        return all(await asyncio.gather(*(self.allowed(image) for image in images)))


async def test_a_worker_killed_in_mid_scan_and_one_told_to_stop_lose_no_image(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, webhooks=1, workers=2) as running:
        context = client_context(running.ca)
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            caller = Caller(running, session)
            await running.order("settle_after", seconds=ANALYSIS)
            contents = [tiny_image(config={"Labels": {"n": str(n)}}) for n in range(IMAGES)]
            images = [
                str(running.registry.put(content, f"team/app:{n}"))
                for n, content in enumerate(contents)
            ]
            for image in images:
                assert not await caller.allowed(image)
                await asyncio.sleep(0.05)
            running.programs["worker0"].kill()
            await asyncio.sleep(1.0)
            told = running.programs["worker1"]
            told.send_signal(signal.SIGTERM)
            async with asyncio.timeout(DRAIN):
                assert await told.wait() == 0
            await running.programs.start_worker("worker2")
            await eventually(lambda: caller.all_allowed(images))
            submits = (await running.anchore_state())["submits"]
            assert set(submits) == {content.digest for content in contents}
            assert max(submits.values()) <= 2


async def test_a_worker_says_that_it_lives_what_it_did_and_what_is_away_until_it_ends(
    tmp_path: Path,
) -> None:
    async with (
        site(tmp_path, webhooks=1, workers=1) as running,
        RedisLinks(url=running.redis.url, limit=PATIENCE) as links,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=client_context(running.ca))
        ) as session,
    ):
        caller, presence = Caller(running, session), RedisPresence(links=links)

        async def beat() -> Beat | None:
            alive = [each.beat for each in await presence.alive()]
            return next((each for each in alive if each.service == "worker"), None)

        async def says(condition: Callable[[Beat], bool]) -> bool:
            heard = await beat()
            return heard is not None and condition(heard)

        await eventually(lambda: says(lambda heard: heard.away == ()))
        image = str(running.registry.put(tiny_image(), "team/app:1"))
        await eventually(lambda: caller.all_allowed([image]))
        await eventually(
            lambda: says(
                lambda heard: (
                    heard.delivered[Lane.ADMISSION] > 0
                    and not any(heard.in_hand.values())
                    and heard.away == ()
                )
            )
        )
        running.programs["anchore"].kill()
        await eventually(lambda: says(lambda heard: heard.away == ("anchore",)))
        running.programs["worker0"].terminate()
        assert await running.programs["worker0"].wait() == 0

        async def is_gone() -> bool:
            return await beat() is None

        await eventually(is_gone)
