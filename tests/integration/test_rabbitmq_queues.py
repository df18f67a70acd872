"""The queues as the broker has them, and the connections that we use them by
(docs/design/behaviour.md 5, docs/design/broker-facts.md 7)."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.retry import DELAYS
from shared.domain.step import Lane
from shared.ports.steps import MAX_DEAD
from shared.runtime.clock import SystemClock
from tests.contract.queues import Recorder, a_step, consuming, until
from tests.servers.rabbitmq import RabbitServer
from tests.waiting import PATIENCE

pytestmark = pytest.mark.servers

Table = dict[str, Any]


@pytest.fixture
async def queue(broker: RabbitServer) -> AsyncIterator[RabbitQueue]:
    made = RabbitQueue(broker.url, clock=SystemClock(), prefix=f"queues-{uuid.uuid4().hex[:8]}")
    async with made.connect():
        await made.connected(timeout=PATIENCE)
        yield made


async def asked(broker: RabbitServer, *words: str) -> list[Table]:
    said = await asyncio.to_thread(broker.ctl, *words, "--formatter", "json", "--silent")
    told: list[Table] = json.loads(said)
    return told


async def arguments(broker: RabbitServer, queue: RabbitQueue) -> dict[str, Table]:
    """Of each of our queues, by its name without the prefix."""
    rows = await asked(broker, "list_queues", "name", "durable", "arguments")
    prefix = queue.topology.lane(Lane.CHECK).removesuffix(str(Lane.CHECK))
    ours = {row["name"].removeprefix(prefix): row for row in rows if row["name"].startswith(prefix)}
    assert all(row["durable"] for row in ours.values())
    return {name: {key: value for key, _, value in row["arguments"]} for name, row in ours.items()}


async def test_each_queue_is_what_a_step_must_be_able_to_rely_on(
    broker: RabbitServer, queue: RabbitQueue
) -> None:
    said = await arguments(broker, queue)
    lanes = {name: said.pop(name) for name in map(str, Lane)}
    dead = said.pop("dead")
    assert len(said) == len(DELAYS)
    assert {table["x-queue-type"] for table in (*lanes.values(), *said.values(), dead)} == {
        "quorum"
    }
    assert {table["x-overflow"] for table in (*lanes.values(), *said.values())} == {
        "reject-publish"
    }
    assert all(table["x-max-length"] > 0 for table in lanes.values())
    # Every expired question would become a dead letter.
    resolve = lanes.pop("resolve")
    assert "x-dead-letter-exchange" not in resolve
    strategies = {table["x-dead-letter-strategy"] for table in (*lanes.values(), *said.values())}
    assert strategies == {"at-least-once"}
    assert {table["x-delivery-limit"] for table in lanes.values()} == {20}
    assert {table["x-message-ttl"] for table in said.values()} == {1000 * each for each in DELAYS}
    assert (dead["x-overflow"], dead["x-max-length"]) == ("drop-head", MAX_DEAD)


async def test_each_lane_is_consumed_on_a_channel_of_its_own_and_published_to_by_another_connection(
    broker: RabbitServer, queue: RabbitQueue
) -> None:
    got = Recorder()
    async with AsyncExitStack() as stack:
        for lane in Lane:
            await stack.enter_async_context(consuming(queue, lane, got))
        await queue.publish(a_step(Lane.CHECK))
        await until(lambda: len(got.ended) == 1)
        channels = await asked(broker, "list_channels", "connection", "consumer_count", "confirm")
    ours = [channel for channel in channels if channel["consumer_count"] or channel["confirm"]]
    consuming_by = [each["connection"] for each in ours if each["consumer_count"]]
    publishing_by = {each["connection"] for each in ours if each["confirm"]}
    assert [each["consumer_count"] for each in ours if each["consumer_count"]] == [1] * len(Lane)
    assert len(set(consuming_by)) == 1
    assert len(publishing_by) == 1
    assert not publishing_by & set(consuming_by)
