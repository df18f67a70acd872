"""Notices: in their order, again until they are taken, none lost with the process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from services.scanner.metrics import ScannerMetrics
from services.scanner.notifying import LIFE, Notifying, NotTaken
from services.scanner.store import outbox
from services.scanner.store.database import Database, open_database
from shared.runtime.metrics import Metrics
from tests.fakes.clock import START, FakeClock
from tests.waiting import eventually


class Post:
    """Takes notices, or not, as it is told."""

    def __init__(self, refusal: NotTaken | None = None) -> None:
        self.refusal = refusal
        self.taken: list[bytes] = []
        self.tried = 0

    async def send(self, body: bytes) -> None:
        self.tried += 1
        if self.refusal is not None:
            raise self.refusal
        self.taken.append(body)


async def write(database: Database, *bodies: bytes, urgent: bool = False) -> None:
    for body in bodies:
        await database.run(outbox.add, kind="policy_eval", body=body, urgent=urgent, now=START)


@asynccontextmanager
async def sending(
    database: Database, post: Post, clock: FakeClock | None = None
) -> AsyncIterator[Callable[[], str]]:
    """While a task sends; what a scrape tells."""
    metrics = Metrics()
    notifying = Notifying(
        database=database,
        post=post,
        metrics=ScannerMetrics(metrics),
        clock=clock or FakeClock(),
        pace=0.0,
    )
    task = asyncio.create_task(notifying.run(look_again=0.05))
    try:
        yield lambda: metrics.render().decode()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_they_are_sent_in_their_order_the_urgent_ones_first(tmp_path: Path) -> None:
    post = Post()
    async with open_database(tmp_path) as database:
        await write(database, b"1", b"2")
        await write(database, b"3", urgent=True)
        async with sending(database, post):
            await eventually(lambda: len(post.taken) == 3)
        assert await database.run(outbox.waiting) == 0

    assert post.taken == [b"3", b"1", b"2"]


async def test_what_was_not_taken_is_sent_by_the_next_process(tmp_path: Path) -> None:
    deaf, willing = Post(NotTaken("away")), Post()
    async with open_database(tmp_path) as database:
        await write(database, b"1", b"2")
        async with sending(database, deaf) as told:
            await eventually(lambda: deaf.tried > 0)
            expected = 'imagegate_scanner_notices_total{kind="policy_eval",outcome="later"}'
            await eventually(lambda: expected in told())
    async with open_database(tmp_path) as database, sending(database, willing):
        await eventually(lambda: willing.taken == [b"1", b"2"])


async def test_it_is_sent_again_when_it_was_not_taken(tmp_path: Path) -> None:
    post = Post(NotTaken("away"))
    async with open_database(tmp_path) as database:
        await write(database, b"1")
        async with sending(database, post):
            await eventually(lambda: post.tried >= 1)
            post.refusal = None
            await eventually(lambda: post.taken == [b"1"])


async def test_what_never_will_be_taken_does_not_stand_in_the_way(tmp_path: Path) -> None:
    post = Post(NotTaken("too large", final=True))
    async with open_database(tmp_path) as database:
        await write(database, b"1", b"2")
        async with sending(database, post) as told:
            await eventually(lambda: post.tried == 2)
            dropped = 'imagegate_scanner_notices_total{kind="policy_eval",outcome="dropped"} 2.0'
            await eventually(lambda: dropped in told())
        assert await database.run(outbox.waiting) == 0


async def test_after_a_day_it_is_given_up(tmp_path: Path) -> None:
    post, clock = Post(), FakeClock()
    async with open_database(tmp_path) as database:
        await write(database, b"old")
        clock.advance(LIFE + 1)
        async with sending(database, post, clock) as told:
            await eventually(lambda: 'kind="any",outcome="dropped"} 1.0' in told())

    assert post.taken == []
