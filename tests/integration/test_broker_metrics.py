"""What docs/operations.md says of RabbitMQ's own metrics, on a real broker."""

import asyncio
import re
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest
from aio_pika.abc import AbstractConnection

from shared.adapters.rabbitmq.topology import Topology
from shared.domain.step import Lane
from tests.servers.ports import free_ports
from tests.servers.rabbitmq import CONFIGURATION, RabbitServer
from tests.unit.docs.exported import FOREIGN
from tests.waiting import eventually

pytestmark = pytest.mark.servers

SERIES = re.compile(r"(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
EXPIRED = "rabbitmq_global_messages_dead_lettered_expired_total"


class Watched(RabbitServer):
    """A broker with its Prometheus plugin; `flags`: the feature flags that are on, else all."""

    def __init__(self, folder: Path, *, flags: str = "") -> None:
        self.metrics_port = free_ports("metrics")["metrics"]
        self._flags = flags
        listen = f"prometheus.tcp.port = {self.metrics_port}\nprometheus.tcp.ip = 127.0.0.1\n"
        super().__init__(
            folder,
            configuration={
                "rabbitmq.conf": CONFIGURATION["rabbitmq.conf"] + listen,
                "enabled_plugins": "[rabbitmq_prometheus].\n",
            },
        )

    def _environment(self) -> dict[str, str]:
        more = {"RABBITMQ_FEATURE_FLAGS": self._flags} if self._flags else {}
        return super()._environment() | more

    def series(self) -> dict[tuple[str, str], float]:
        """Of both paths that the document has scraped, by name and labels."""
        paths = ("metrics", "metrics/detailed?family=queue_coarse_metrics")
        found: dict[tuple[str, str], float] = {}
        for path in paths:
            url = f"http://127.0.0.1:{self.metrics_port}/{path}"
            with urllib.request.urlopen(url) as answer:
                lines = answer.read().decode().splitlines()
            matches = (SERIES.fullmatch(line) for line in lines)
            found |= {(m["name"], m["labels"] or ""): float(m["value"]) for m in matches if m}
        return found

    def sum_of(self, name: str, *labels: str) -> float:
        return sum(
            value
            for (of, those), value in self.series().items()
            if of == name and all(label in those for label in labels)
        )


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    server = Watched(tmp_path_factory.mktemp("watched") / "rabbitmq")
    server.start()
    yield server
    server.stop()


@asynccontextmanager
async def declared(broker: Watched) -> AsyncIterator[AbstractConnection]:
    """Our queues, declared as every process of ours does it."""
    async with await aio_pika.connect(broker.url) as connection:
        await Topology(prefix="imagegate").declare(connection)
        yield connection


async def delayed(connection: AbstractConnection, lane: Lane) -> None:
    """One message that has a second to wait, and then is to come to `lane`."""
    async with connection.channel() as channel:
        exchange = await channel.get_exchange("imagegate.delay.1s", ensure=False)
        await exchange.publish(aio_pika.Message(b"a step"), routing_key=f"imagegate.{lane}")


def stuck(broker: Watched, queue: str) -> float:
    """As the document's query has it."""
    total, ready, unacked = (
        broker.sum_of(f"rabbitmq_detailed_queue_messages{part}", f'queue="{queue}"')
        for part in ("", "_ready", "_unacked")
    )
    return total - ready - unacked


async def test_the_names_in_the_document_are_the_brokers(broker: Watched) -> None:
    async with declared(broker):
        there: dict[tuple[str, str], float] = {}

        def all_there() -> bool:
            there.update(broker.series())
            return any("imagegate." in labels for _, labels in there)

        await eventually(all_there)
    for name, family in FOREIGN.items():
        if name.startswith("rabbitmq_"):
            series = [labels for of, labels in there if of == name]
            assert series, name
            assert all(f'{label}="' in labels for label in family.labels for labels in series)


async def test_what_cannot_arrive_is_what_is_neither_ready_nor_in_hand(broker: Watched) -> None:
    async with declared(broker) as connection:
        async with connection.channel() as channel:
            await channel.queue_delete("imagegate.check")
        await delayed(connection, Lane.CHECK)
        await eventually(lambda: stuck(broker, "imagegate.delay.1s") == 1)
        once = 'dead_letter_strategy="at_least_once"'
        await eventually(lambda: broker.sum_of(EXPIRED, once) == 1)


OLD = "quorum_queue,implicit_default_bindings,virtual_host_metadata,maintenance_mode_status"


async def test_a_missing_feature_flag_shows_and_a_policy_makes_queues_look_again(
    tmp_path: Path,
) -> None:
    broker = Watched(tmp_path / "rabbitmq", flags=OLD)
    try:
        await asyncio.to_thread(broker.start)
        once = 'dead_letter_strategy="at_most_once"'

        async def expired(times: int) -> None:
            await delayed(connection, Lane.CHECK)
            await eventually(lambda: broker.sum_of(EXPIRED) == times)

        async with declared(broker) as connection:
            await expired(1)
            broker.ctl("enable_feature_flag", "all")
            await expired(2)
            assert broker.sum_of(EXPIRED, once) == 2, "the flag alone changes no queue"
            broker.ctl(
                "set_policy", "look-again", r"^imagegate\.", '{"max-length-bytes": 1073741824}'
            )
            broker.ctl("clear_policy", "look-again")
            await asyncio.sleep(1)
            await expired(3)
            assert broker.sum_of(EXPIRED, once) == 2
    finally:
        broker.stop()
