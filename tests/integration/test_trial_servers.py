"""Redis and RabbitMQ of the chart's trial: their files as Helm makes them, on real servers."""

import base64
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
import redis
import redis.asyncio
from aiormq.exceptions import ChannelAccessRefused

from tests.deploy.chart import ANCHORE, Object, rendered
from tests.deploy.running import ComposedRedis
from tests.servers.rabbitmq import RabbitServer

pytestmark = pytest.mark.servers

SERVICES = ("webhook", "worker", "intake", "console", "operator")


def held(objects: list[Object], name: str) -> dict[str, str]:
    """What a Secret of the chart holds."""
    (found,) = (
        one for one in objects if (one["kind"], one["metadata"]["name"]) == ("Secret", name)
    )
    return {key: base64.b64decode(text).decode() for key, text in found["data"].items()}


def container(objects: list[Object], name: str) -> Object:
    (found,) = (
        one
        for one in objects
        if (one["kind"], one["metadata"]["name"]) == ("StatefulSet", f"imagegate-{name}")
    )
    one: Object = found["spec"]["template"]["spec"]["containers"][0]
    return one


@pytest.fixture(scope="module")
def trial() -> list[Object]:
    return rendered(ANCHORE, "values-trial.yaml")


@pytest.fixture(scope="module")
def redis_port(trial: list[Object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("redis")
    files = held(trial, "imagegate-redis")
    configuration = files["redis.conf"].replace("/run/secrets", str(folder))
    (folder / "configuration").write_text(configuration.replace("dir /data", f"dir {folder}"))
    (folder / "redis.acl").write_text(files["redis.acl"])
    own = container(trial, "redis")
    program, _ = own["command"]
    check = [*own["readinessProbe"]["exec"]["command"][:-1], "-p", "6379", "ping"]
    command = [program, str(folder / "configuration")]
    with ComposedRedis(folder / "own", command=command, check=check) as server:
        yield server.port


@pytest.fixture(scope="module")
def rabbit_port(trial: list[Object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("rabbit")
    files = held(trial, "imagegate-rabbitmq")
    (folder / "rabbitmq.json").write_text(files["definitions.json"])
    lines = files["rabbitmq.conf"].replace("/run/secrets", str(folder)).splitlines()
    # What one machine forces: no plugins' fixed ports, and a disk that may be smaller.
    kept = [line for line in lines if not line.startswith(("management", "prometheus", "disk"))]
    server = RabbitServer(
        folder / "node",
        configuration={
            "rabbitmq.conf": "\n".join([*kept, "disk_free_limit.absolute = 1MB", ""]),
            "advanced.config": files["advanced.config"],
            "enabled_plugins": "[].\n",
        },
    )
    try:
        server.start()
        yield server.port
    finally:
        server.stop()


@pytest.mark.parametrize("service", SERVICES)
async def test_redis_takes_the_password_of_each_service(
    service: str, trial: list[Object], redis_port: int
) -> None:
    url = held(trial, f"imagegate-{service}")["redis-url"]
    here = url.replace("imagegate-redis:6379", f"127.0.0.1:{redis_port}")
    async with redis.asyncio.Redis.from_url(here) as client:
        assert await client.ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            await client.flushall()


async def test_redis_takes_nobody_without_one(redis_port: int) -> None:
    async with redis.asyncio.Redis(host="127.0.0.1", port=redis_port) as client:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await client.ping()


@pytest.mark.parametrize("service", SERVICES)
async def test_rabbitmq_takes_the_password_of_each_service(
    service: str, trial: list[Object], rabbit_port: int
) -> None:
    url = held(trial, f"imagegate-{service}")["amqp-url"]
    here = url.replace("imagegate-rabbitmq:5672", f"127.0.0.1:{rabbit_port}")
    async with await aio_pika.connect(here) as connection:
        channel = await connection.channel()
        with pytest.raises(ChannelAccessRefused):
            await channel.declare_queue("another", durable=True)


async def test_rabbitmq_has_no_guest(rabbit_port: int) -> None:
    with pytest.raises(aio_pika.exceptions.AMQPConnectionError):
        await aio_pika.connect(f"amqp://guest:guest@127.0.0.1:{rabbit_port}/")
