"""RabbitMQ over TLS: the CA file in the URL decides whom we talk to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.step import Lane
from shared.runtime.clock import SystemClock
from tests.contract.queues import a_step, ready
from tests.fakes.certificates import server_certificate
from tests.integration.rabbit_process import is_refused, until
from tests.servers.ports import free_ports
from tests.servers.rabbitmq import CONFIGURATION, RabbitServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The amqps:// address of a broker, and the CA that vouches for it."""
    folder = tmp_path_factory.mktemp("secure")
    ca_file, files = server_certificate(folder)
    port = free_ports("amqps")["amqps"]
    more = (
        f"listeners.ssl.default = 127.0.0.1:{port}\n"
        f"ssl_options.cacertfile = {ca_file}\n"
        f"ssl_options.certfile = {files.certificate}\n"
        f"ssl_options.keyfile = {files.key}\n"
    )
    configuration = {**CONFIGURATION, "rabbitmq.conf": CONFIGURATION["rabbitmq.conf"] + more}
    server = RabbitServer(folder / "node", configuration=configuration)
    try:
        server.start()
        yield f"amqps://guest:guest@127.0.0.1:{port}/", ca_file
    finally:
        server.stop()


async def test_a_broker_whose_certificate_the_ca_file_vouches_for_is_spoken_to(
    secure: tuple[str, Path],
) -> None:
    url, ca_file = secure
    async with RabbitQueue(f"{url}?cafile={ca_file}", clock=SystemClock()).connect() as queue:
        await queue.connected(timeout=PATIENCE)
        await queue.publish(a_step())
        assert await ready(queue, Lane.ADMISSION) == 1


async def test_a_broker_that_the_system_does_not_know_is_refused(secure: tuple[str, Path]) -> None:
    url, _ = secure
    async with RabbitQueue(url, clock=SystemClock()).connect() as queue:
        await until(lambda: is_refused(queue, "certificate verify failed"))
