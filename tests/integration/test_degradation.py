"""Redis, RabbitMQ and Anchore killed while reviews go on (docs/design/behaviour.md 6).

Known images go on being answered, unknown ones are denied inside the review's timeout, all of
it recovers without a hand, and nothing that was asked for is lost. Real servers; the webhook
and the worker run in this process, over the real adapters.
"""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.polls import RedisPolls
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.turns import REVIEW_LIMIT
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.runtime.clock import SystemClock
from tests.fakes.images import tiny_image
from tests.fakes.json_patch import apply_patch
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import CONTROLLER, Answer, Backends, House, house, pod, review_of
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

ANSWERED_WITHIN = 10.0
"""Seconds: the API server waits for five, and the machine may stand still for a moment."""


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis"), persistent=True) as server:
        yield server


@asynccontextmanager
async def real_backends(
    redis: RedisServer,
    rabbit: RabbitServer,
    *,
    prefix: str = "",
    max_ready: int | None = None,
    confirm_timeout: float = PATIENCE,
    limit: float = PATIENCE,
) -> AsyncIterator[Backends]:
    """They wait as long as a busy machine needs; what becomes of a call without an answer shows
    where they do not."""
    prefix = prefix or f"t{time.monotonic_ns()}"
    queue = RabbitQueue(
        rabbit.url,
        clock=SystemClock(),
        prefix=prefix,
        confirm_timeout=confirm_timeout,
        max_ready=max_ready,
    )
    async with (
        RedisLinks(url=redis.url, prefix=f"{prefix}:", limit=limit) as links,
        queue.connect(),
    ):
        await queue.connected(timeout=PATIENCE)
        yield Backends(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
            leases=RedisScanLeases(links=links),
            polls=RedisPolls(links=links),
            queue=queue,
            exceptions=RedisExceptionStore(links=links),
        )


@pytest.fixture
async def home(redis: RedisServer, rabbit: RabbitServer, tmp_path: Path) -> AsyncIterator[House]:
    rabbit.mend()
    async with real_backends(redis, rabbit) as backends, house(tmp_path, backends=backends) as home:
        yield home


@pytest.fixture
async def hurried(redis: RedisServer, rabbit: RabbitServer, tmp_path: Path) -> AsyncIterator[House]:
    """Waits for Redis and RabbitMQ no longer than a webhook does."""
    rabbit.mend()
    async with (
        real_backends(redis, rabbit, confirm_timeout=0.2, limit=REVIEW_LIMIT) as backends,
        house(tmp_path, backends=backends) as home,
    ):
        yield home


class Images:
    """Images of one test: one that is known, and as many unknown ones as it likes."""

    def __init__(self, home: House) -> None:
        self._home = home
        self._count = 0

    def new(self) -> str:
        self._count += 1
        content = tiny_image(config={"Labels": {"number": str(self._count)}})
        return str(self._home.registry.put(content, f"team/app:{self._count}"))

    async def known(self) -> str:
        image = self.new()
        await self._home.asked_until(review(image), lambda answer: answer.allowed)
        return image


async def in_time(home: House, image: str) -> Answer:
    """A controller's review, answered inside the API server's timeout."""
    async with asyncio.timeout(ANSWERED_WITHIN):
        return await home.review(image, user=CONTROLLER)


async def test_the_main_job_on_redis_and_rabbitmq(home: House) -> None:
    image = await Images(home).known()
    calls = home.asked_of_anchore
    for _ in range(10):
        assert (await home.review(image)).allowed
    assert home.asked_of_anchore == calls
    depths = await home.backends.queue.depths()
    assert sum(lane.ready for lane in depths.lanes) == 0
    assert depths.dead == 0
    # The word of the verdict came from Redis, and ended the measuring of its scan.
    assert "\nimagegate_time_to_verdict_seconds_count 1.0\n" in await home.metrics()


@pytest.mark.parametrize("how", ["killed", "hung"])
async def test_redis_away(hurried: House, redis: RedisServer, how: str) -> None:
    images = Images(hurried)
    known, unknown = await images.known(), images.new()
    if how == "killed":
        redis.kill()
    else:
        redis.pause()
    try:
        for _ in range(5):
            assert (await in_time(hurried, known)).allowed
            denied = await in_time(hurried, unknown)
            assert (denied.code, "Redis" in denied.message) == (503, True)
            await asyncio.sleep(1.5)
        assert await hurried.ready() == 200
    finally:
        if how == "killed":
            redis.start_again()
        else:
            redis.resume()
    await hurried.asked_until(review(unknown), lambda answer: answer.allowed)


@pytest.mark.parametrize("how", ["killed", "hung"])
async def test_while_redis_is_away_known_tags_are_pinned_and_unknown_ones_left(
    hurried: House, redis: RedisServer, how: str
) -> None:
    images = Images(hurried)
    known, unknown = await images.known(), images.new()
    await pinned(hurried, known)
    if how == "killed":
        redis.kill()
    else:
        redis.pause()
    try:
        for _ in range(3):
            assert await pinned(hurried, known) is not None
            assert await pinned(hurried, unknown) is None
            await asyncio.sleep(2)
        workload_allowed = await hurried.ask(review_of_workload(DEPLOYMENT, of_pod(unknown)))
        assert workload_allowed.allowed
        assert "Redis" in workload_allowed.response["warnings"][0]
    finally:
        if how == "killed":
            redis.start_again()
        else:
            redis.resume()

    async def pinned_again() -> bool:
        return await pinned(hurried, unknown) is not None

    await eventually(pinned_again)


async def test_redis_emptied(home: House, redis: RedisServer) -> None:
    images = Images(home)
    known = await images.known()
    redis.command("FLUSHALL")
    await asyncio.sleep(5.5)
    submits = home.anchore.store.submits.copy()
    assert (await in_time(home, known)).allowed
    assert (await home.settled(images.new())).allowed

    async def written_again() -> bool:
        await in_time(home, known)
        return any(
            "team/app@" in key for key in await home.backends.store.keys("verdict:", limit=9)
        )

    await eventually(written_again)
    assert all(home.anchore.store.submits[digest] == n for digest, n in submits.items())


async def test_what_no_webhook_remembers_of_an_emptied_redis_is_judged_from_its_analysis(
    home: House, redis: RedisServer
) -> None:
    image = Images(home).new()
    await home.backends.queue.publish(
        Step(
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.ADMISSION,
            reference=image,
            question=Question(),
            first_seen=SystemClock().now(),
            why=Why.OPERATOR,
        )
    )

    async def judged() -> bool:
        return bool(await home.backends.store.keys("verdict:", limit=1))

    await eventually(judged)
    redis.command("FLUSHALL")
    assert (await in_time(home, image)).code in (200, 429)
    assert (await home.settled(image)).allowed
    assert home.anchore.store.submits.total() == 1


REFUSALS = {
    "read-only": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "refuses-us": (("ACL", "SETUSER", "default", "resetkeys"), ("ACL", "SETUSER", "default", "~*")),
}


TROUBLES = {"read-only": "refused", "full": "refused", "refuses-us": "misconfigured"}


@pytest.mark.parametrize("how", REFUSALS)
async def test_redis_that_takes_nothing(home: House, redis: RedisServer, how: str) -> None:
    images = Images(home)
    known, unknown = await images.known(), images.new()
    refuse, take = REFUSALS[how]
    redis.command(*refuse)
    try:
        await asyncio.sleep(5.5)
        assert (await in_time(home, known)).allowed
        assert (await in_time(home, unknown)).code == 503
        assert TROUBLES[how] in await troubles(home)
    finally:
        redis.command(*take)
    await home.asked_until(review(unknown), lambda answer: answer.allowed)


async def test_redis_that_takes_no_password_of_ours(
    home: House, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    images = Images(home)
    known, unknown = await images.known(), images.new()
    redis.command("ACL", "SETUSER", "other", "on", "nopass", "~*", "&*", "+@all")
    redis.command("ACL", "SETUSER", "default", "resetpass", ">changed")
    redis.command_of("other", "CLIENT", "KILL", "TYPE", "normal")
    try:
        await asyncio.sleep(5.5)
        assert (await in_time(home, known)).allowed
        assert (await in_time(home, unknown)).code == 503
        assert "misconfigured" in await troubles(home)
        (said,) = (line for line in caplog.records if line.getMessage() == "store is away")
        assert "check the user, password and ACL of REDIS_URL" in said.__dict__["why"]
    finally:
        redis.command_of("other", "ACL", "SETUSER", "default", "nopass")
    await home.asked_until(review(unknown), lambda answer: answer.allowed)


async def test_rabbitmq_killed(home: House, rabbit: RabbitServer) -> None:
    images = Images(home)
    known, unknown = await images.known(), images.new()
    await asyncio.sleep(3)  # a queue younger than this may come back without a leader
    rabbit.kill()
    try:
        for _ in range(3):
            assert (await in_time(home, known)).allowed
        denied = await in_time(home, unknown)
        assert (denied.code, "RabbitMQ" in denied.message) == (503, True)
        assert await home.ready() == 200
    finally:
        await asyncio.to_thread(rabbit.start_node)
    await home.asked_until(review(unknown), lambda answer: answer.allowed, within=60)


async def test_while_rabbitmq_is_killed_a_tag_is_pinned_to_what_it_named_last(
    home: House, rabbit: RabbitServer
) -> None:
    images = Images(home)
    known, unknown = await images.known(), images.new()
    await asyncio.sleep(11)  # its pointer is old for a pod that has the registry asked each time
    rabbit.kill()
    try:
        for _ in range(3):
            last = await pinned(home, known, policy="Always")
            assert last is not None
            assert (await in_time(home, last)).allowed
            assert await pinned(home, unknown) is None
    finally:
        await asyncio.to_thread(rabbit.start_node)


async def test_what_was_claimed_while_rabbitmq_was_down_is_published_again_by_itself(
    home: House, rabbit: RabbitServer
) -> None:
    unknown = Images(home).new()
    await asyncio.sleep(3)
    rabbit.kill()
    try:
        assert (await in_time(home, unknown)).code == 503
    finally:
        await asyncio.to_thread(rabbit.start_node)

    async def judged() -> bool:
        return bool(await home.backends.store.keys("verdict:", limit=1))

    await eventually(judged, within=60)
    assert (await in_time(home, unknown)).allowed
    counted = home.worker_metrics.render().decode()
    assert 'imagegate_reconciled_steps_total{kind="request",lane="admission"} ' in counted


async def test_a_broker_that_hangs_holds_no_review(hurried: House, rabbit: RabbitServer) -> None:
    images = Images(hurried)
    known, unknown = await images.known(), images.new()
    with rabbit.paused():
        assert (await in_time(hurried, known)).allowed
        assert (await in_time(hurried, unknown)).code in (429, 503)
    await hurried.asked_until(review(unknown), lambda answer: answer.allowed, within=60)


async def test_a_broker_that_is_blocked_by_its_memory_alarm_holds_no_review(
    hurried: House, rabbit: RabbitServer
) -> None:
    images = Images(hurried)
    known, unknown = await images.known(), images.new()
    with rabbit.memory_alarm():
        assert (await in_time(hurried, known)).allowed
        assert (await in_time(hurried, unknown)).code in (429, 503)
    await hurried.asked_until(review(unknown), lambda answer: answer.allowed, within=60)


async def test_lanes_that_somebody_deletes_are_there_again_with_what_was_wanted(
    home: House, rabbit: RabbitServer
) -> None:
    images = Images(home)
    known, unknown = await images.known(), images.new()
    queue = home.backends.queue
    assert isinstance(queue, RabbitQueue)
    for lane in Lane:
        await asyncio.to_thread(rabbit.ctl, "delete_queue", queue.topology.lane(lane))
    assert (await in_time(home, known)).allowed
    await in_time(home, unknown)
    await home.asked_until(review(unknown), lambda answer: answer.allowed, within=60)


async def test_a_lane_that_is_full_takes_no_more_and_holds_no_review(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path
) -> None:
    rabbit.mend()
    async with (
        real_backends(redis, rabbit, max_ready=2) as backends,
        house(tmp_path, backends=backends, worker=False) as home,
    ):
        images = Images(home)

        async def refused() -> bool:
            denied = await in_time(home, images.new())
            assert denied.code in (429, 503)
            return denied.code == 503 and "takes no request" in denied.message

        await eventually(refused)


async def test_anchore_killed(home: House) -> None:
    images = Images(home)
    known, unknown = await images.known(), images.new()
    await home.anchore.stop()
    for _ in range(3):
        assert (await in_time(home, known)).allowed
        assert (await in_time(home, unknown)).code == 429
    await home.anchore.start()
    assert (await home.settled(unknown, within=60)).allowed


async def test_everything_restarted(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path
) -> None:
    prefix = f"t{time.monotonic_ns()}"
    rabbit.mend()
    async with (
        real_backends(redis, rabbit, prefix=prefix) as backends,
        house(tmp_path, backends=backends) as home,
    ):
        image = await Images(home).known()
        await asyncio.sleep(3)
    redis.restart()
    await asyncio.to_thread(rabbit.restart)
    async with (
        real_backends(redis, rabbit, prefix=prefix) as backends,
        house(tmp_path, backends=backends) as home,
    ):
        assert (await in_time(home, image)).allowed
        assert not home.asked_of_anchore
        assert (await home.settled(Images(home).new())).allowed


async def pinned(home: House, image: str, *, policy: str = "IfNotPresent") -> str | None:
    """What the image becomes, within the API server's timeout; None where it is left."""
    content = pod(image, policy=policy)
    async with asyncio.timeout(ANSWERED_WITHIN):
        answer = await home.mutate(review_of(content, user=CONTROLLER))
    assert answer.allowed
    after = apply_patch(answer.response, content)["spec"]["containers"][0]["image"]
    return None if after == image else str(after)


async def troubles(home: House) -> set[str]:
    """What was wrong with questions that Redis did not answer."""
    return set(re.findall(r'store_failures_total\{trouble="(\w+)"\}', await home.metrics()))


def of_pod(image: str) -> dict[str, object]:
    return workload(DEPLOYMENT, pod(image)["spec"])


def review(image: str) -> dict[str, object]:
    return review_of(pod(image), user=CONTROLLER)
