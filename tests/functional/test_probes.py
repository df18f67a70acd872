"""Probes and metrics on a plain port of their own, and when a process is ready
(docs/design/behaviour.md 1)."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from services.worker.settings import WorkerSettings
from services.worker.wiring import serve_worker
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.polls import RedisPolls
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.settings import Secret
from shared.runtime.tls import client_context
from tests.fakes.anchore import FakeAnchore
from tests.fakes.certificates import client_certificate
from tests.house import Backends, house, pod, review_of
from tests.servers.ports import free_ports
from tests.waiting import eventually

UNKNOWN = f"registry.test/team/app@sha256:{'a' * 64}"
GONE = json.dumps(review_of(None, operation="DELETE", old=pod(UNKNOWN))).encode()


async def test_a_certificate_that_reviews_need_never_stands_in_the_way_of_probes(
    tmp_path: Path,
) -> None:
    client_ca, caller = client_certificate(tmp_path)
    async with house(tmp_path / "state", worker=False, client_ca=client_ca) as home:
        with pytest.raises(aiohttp.ClientError):
            await home.post(GONE)
        assert await home.ready() == 200
        assert "\nimagegate_reviews_waiting 0.0\n" in await home.metrics()
        async with home.session.get(f"{home.sites.health.url}/livez") as alive:
            assert alive.status == 200
        async with home.session.post(f"{home.sites.health.url}/validate", data=GONE) as nothing:
            assert nothing.status == 404
        trusted = client_context(tmp_path / "state" / "webhook.crt", own=caller)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as api_server,
            api_server.post(
                f"{home.sites.reviews.url}/validate",
                data=GONE,
                headers={"Content-Type": "application/json"},
            ) as answer,
        ):
            assert (await answer.json())["response"]["allowed"] is True


@asynccontextmanager
async def nobody_there() -> AsyncIterator[Backends]:
    """A Redis and a RabbitMQ that do not run."""
    ports = free_ports("redis", "rabbit")
    queue = RabbitQueue(f"amqp://127.0.0.1:{ports['rabbit']}", clock=SystemClock())
    async with (
        RedisLinks(url=f"redis://127.0.0.1:{ports['redis']}") as links,
        queue.connect(),
    ):
        yield Backends(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
            leases=RedisScanLeases(links=links),
            polls=RedisPolls(links=links),
            queue=queue,
            exceptions=RedisExceptionStore(links=links),
        )


async def test_a_webhook_is_ready_without_its_stores_says_what_is_away_and_only_its_end_changes_it(
    tmp_path: Path,
) -> None:
    async with (
        nobody_there() as backends,
        house(tmp_path, backends=backends, worker=False) as home,
    ):
        assert await home.ready() == 200
        answer = await home.review(UNKNOWN)
        assert (answer.code, await home.ready()) == (503, 200)
        away = {f'imagegate_dependency_up{{dependency="{one}"}} 0.0' for one in ("store", "queue")}

        async def said() -> bool:
            return away <= set((await home.metrics()).splitlines())

        await eventually(said)
        home.life.stopping.set()
        assert await home.ready() == 503


async def test_a_worker_is_ready_while_what_it_needs_answers(tmp_path: Path) -> None:
    ports = free_ports("redis", "rabbit", "health")
    async with FakeAnchore() as anchore, aiohttp.ClientSession() as session:
        settings = WorkerSettings(
            imagegate_state=tmp_path,
            imagegate_health_port=ports["health"],
            redis_url=Secret(f"redis://127.0.0.1:{ports['redis']}"),
            amqp_url=Secret(f"amqp://127.0.0.1:{ports['rabbit']}"),
            anchore_url=anchore.url,
            anchore_password=Secret(anchore.password),
        )
        life = Lifecycle(drain_deadline=1.0)
        worker = asyncio.create_task(serve_worker(settings, life))

        async def away() -> set[str]:
            with suppress(aiohttp.ClientConnectionError):
                async with session.get(f"http://127.0.0.1:{ports['health']}/readyz") as answer:
                    assert answer.status == 503
                    return set((await answer.json())["reasons"])
            return set()

        async def so(*names: str) -> bool:
            return await away() == set(names)

        await eventually(lambda: so("store", "queue"))
        await anchore.stop()
        await eventually(lambda: so("store", "queue", "anchore"))
        await anchore.start()
        await eventually(lambda: so("store", "queue"))
        life.stopping.set()
        assert await worker == 0
