"""Thousands of dead letters: looked at and ended in one look."""

import asyncio
import contextlib

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from shared.domain.errors import QueueUnavailable
from shared.domain.step import Lane, encode_step
from shared.ports.steps import MAX_DEAD
from tests.contract.queues import Recorder, a_step, consuming, dead, done, ready, until
from tests.integration.letters import ALL, Looker, died, looks_well, names_of

pytestmark = pytest.mark.servers


async def test_thousands_of_letters_are_looked_at_in_seconds_and_the_oldest_are_kept(
    looker: Looker,
) -> None:
    await looker.put_steps(2_000)
    letters = await looker.letters.letters(limit=3)
    steps = [letter.step.id for letter in letters if letter.step is not None]
    assert steps == ["step-0", "step-1", "step-2"]
    # A part that was looked at stands behind the rest now; the order is that of death.
    async with await aio_pika.connect(looker.broker.url) as other, other.channel() as channel:
        await channel.set_qos(prefetch_count=10)
        queue = await channel.get_queue(f"{looker.prefix}.dead", ensure=False)
        taken = asyncio.Event()

        async def see(_message: AbstractIncomingMessage) -> None:
            taken.set()

        await queue.consume(see)
        await taken.wait()
    whole = await looker.letters.letters(limit=10_000)
    assert len(whole) == 2_000
    ages = [letter.died_at or 0 for letter in whole]
    assert ages == sorted(ages)


async def test_thousands_of_letters_are_ended_in_one_look_and_told_ones_are_gone(
    looker: Looker,
) -> None:
    # More than 32 acks in a row would wait in the channel, and be lost at its end.
    await looker.put_steps(1_900)
    names = names_of(await looker.letters.letters(limit=MAX_DEAD))
    kept = names[1::3]
    meant = [name for name in names if name not in set(kept)]
    assert await looker.letters.requeue(meant[:900]) == done(*meant[:900])
    assert await looker.letters.drop(meant[900:]) == done(*meant[900:])
    assert await dead(looker.queue) == len(kept)
    assert {*await looker.names()} == {*kept}
    assert len(kept) == 633
    assert await ready(looker.queue, Lane.ADMISSION) == 900


async def test_a_connection_that_is_cut_while_many_are_requeued_loses_none(
    looker: Looker,
) -> None:
    images = {f"registry.example/app:{number}" for number in range(900)}
    await looker.put(*(died(encode_step(a_step(reference=image))) for image in images))
    names = await looker.names()
    for _ in range(3):
        ending = asyncio.create_task(looker.letters.requeue(names))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(looker.broker.ctl, "close_all_connections", "a test")
        with contextlib.suppress(QueueUnavailable):
            ended = await ending
            assert {*ended.done, *ended.missing, *ended.failed} == {*names}
        await until(lambda: looks_well(looker))
    letters = await looker.letters.letters(limit=ALL)
    left = {letter.step.reference for letter in letters if letter.step is not None}
    got = Recorder()
    async with consuming(looker.queue, Lane.ADMISSION, got, concurrency=50):
        await until(lambda: {step.reference for step in got.steps} | left == images)
