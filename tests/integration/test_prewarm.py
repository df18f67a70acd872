"""`imagegate prewarm` on real Redis and RabbitMQ, with a worker behind them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.cli.prewarm.found import Found
from services.cli.prewarm.rows import Outcome
from shared.adapters.signatures import new_keys
from shared.domain.step import Lane
from tests.fakes.images import tiny_image
from tests.functional.cli.commands import started
from tests.functional.prewarming import Prewarm
from tests.house import House, house
from tests.integration.test_degradation import real_backends
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.waiting import eventually

pytestmark = [pytest.mark.servers, pytest.mark.timeout(420)]

BUSY = 180.0
"""Seconds: a broker starts within 20 where nothing else is done."""

OWN = "imagegate"
"""The prefix that a process has, in Redis and on RabbitMQ."""


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), persistent=True) as server:
        yield server


@pytest.fixture
async def home(redis: RedisServer, rabbit: RabbitServer, tmp_path: Path) -> AsyncIterator[House]:
    async with (
        real_backends(redis, rabbit) as backends,
        house(tmp_path, backends=backends) as home,
    ):
        yield home


def images_of(home: House, *outcomes: str) -> dict[str, str]:
    """New images by name, of which the policy will say so."""
    images = {}
    for number, outcome in enumerate(outcomes):
        content = tiny_image(config={"Labels": {"number": str(number)}})
        image = str(home.registry.put(content, f"team/app{number}:1"))
        home.anchore.store.decide(content.digest, outcome)
        images[image] = outcome
    return images


async def test_a_hundred_images_are_judged_each_once(home: House) -> None:
    images = images_of(home, *(["go"] * 90 + ["stop"] * 10))
    rows = await Prewarm(home).rows(Found("shop", tuple(images), title="Pod shop/p", runs=True))
    assert {row.image: row.outcome for row in rows} == {
        image: Outcome.PASS if outcome == "go" else Outcome.FAIL
        for image, outcome in images.items()
    }
    assert set(home.anchore.store.submits.values()) == {1}
    depths = await home.backends.queue.depths()
    assert (sum(lane.ready for lane in depths.lanes), depths.dead) == (0, 0)


async def test_a_broker_that_is_away_for_a_while_ends_nothing(
    home: House, rabbit: RabbitServer
) -> None:
    images = images_of(home, *["go"] * 6)
    prewarm = Prewarm(home, at_once=2)
    running = asyncio.create_task(prewarm.rows(Found("shop", tuple(images)), timeout=BUSY))
    await eventually(lambda: prewarm.most_under_way > 0)
    await asyncio.to_thread(rabbit.kill)
    await eventually(lambda: bool(prewarm.trouble), within=BUSY)
    await asyncio.to_thread(rabbit.start_node)
    rows = await asyncio.wait_for(running, BUSY)
    assert {row.outcome for row in rows} == {Outcome.PASS}


async def test_ctrl_c_tells_what_is_under_way_and_what_was_asked_for_stays(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path
) -> None:
    new_keys(tmp_path / "keys")
    async with (
        real_backends(redis, rabbit, prefix=OWN) as backends,
        house(tmp_path / "house", backends=backends, analysis_seconds=None) as home,
    ):
        (tmp_path / "images").write_text("\n".join(images_of(home, "go", "go")))
        async with started(
            *("prewarm", "--images", str(tmp_path / "images"), "--at-once=1"),
            state=tmp_path,
            terminal=True,
            REDIS_URL=redis.url,
            AMQP_URL=rabbit.url,
        ) as running:
            await running.printed("1 under way")
            running.interrupt()
            assert await running.ended() == 130
            await running.printed("2 images: 0 pass, 0 fail, 0 error, 2 unfinished")
            await running.printed("run it again")
        waiting = await backends.leases.oldest()
        assert Lane.CHECK_PREWARM in waiting
