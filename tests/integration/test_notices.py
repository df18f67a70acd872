"""Anchore's notices over real Redis and RabbitMQ: a scan is woken, and what is away is said."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

from services.intake.hearing import Hearing
from services.worker.ledger import Ledger
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.domain.reference import ImageReference
from shared.domain.step import Step, StepKind
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.domain.why import Why
from shared.runtime.clock import SystemClock
from tests.fakes.anchore_notices import NoticeSender, analysis_over, verdict_changed
from tests.fakes.images import tiny_image
from tests.fakes.sealing import PlainSealer
from tests.house import House, house, intake
from tests.integration.test_degradation import real_backends
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

FAR = 60
"""Seconds to each scan's next check: what comes sooner was not that."""

SOONER = 45.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The intake has all the time it needs for a notice: none of these is about its limit."""
    monkeypatch.setattr("services.intake.wiring.Hearing", partial(Hearing, within=PATIENCE))


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    server = RabbitServer(tmp_path_factory.mktemp("rabbit")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


class PatientRabbitQueue(RabbitQueue):
    """Checks wait as long as those of analyses that take minutes."""

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        far = FAR if step.kind is StepKind.CHECK else delay
        await super().publish(step, delay=far, expires_in=expires_in)


@asynccontextmanager
async def patient_house(
    redis: RedisServer, rabbit: RabbitServer, state: Path
) -> AsyncIterator[House]:
    """On the real servers; its analyses end when a test says so."""
    prefix = f"t{time.monotonic_ns()}"
    queue = PatientRabbitQueue(
        rabbit.url, clock=SystemClock(), prefix=prefix, confirm_timeout=PATIENCE
    )
    async with (
        real_backends(redis, rabbit, prefix=prefix) as usual,
        queue.connect(),
    ):
        await queue.connected(timeout=PATIENCE)
        backends = msgspec.structs.replace(usual, queue=queue)
        async with house(state, backends=backends, analysis_seconds=None, wait=0.1) as home:
            yield home


async def verdict_of(home: House, image: ImageReference, digest: str) -> Verdict | None:
    sealer = PlainSealer()
    store = home.backends.store
    ledger = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=SystemClock())
    return await ledger.verdict(Subject(image.repository, digest, image.tag), Question())


async def grown_old(home: House, image: ImageReference, digest: str) -> None:
    """Until the verdict is older than a notice of now: evaluations tell whole seconds."""

    async def older() -> bool:
        verdict = await verdict_of(home, image, digest)
        return verdict is not None and verdict.evaluated_at + 1_000 < SystemClock().now()

    await eventually(older)


async def test_a_notice_has_a_scan_judged_and_a_later_one_has_it_judged_anew(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path
) -> None:
    async with patient_house(redis, rabbit, tmp_path) as home, intake(home) as sites:
        content = tiny_image()
        image = home.registry.put(content, "team/app:1")
        sender = NoticeSender(url=sites.events.url, session=home.session)

        async def told(body: bytes, outcome: Outcome, why: Why) -> None:
            assert (await sender.send(body))[0] == 202

            async def judged() -> bool:
                verdict = await verdict_of(home, image, content.digest)
                return verdict is not None and (verdict.outcome, verdict.why) == (outcome, why)

            await eventually(judged, within=SOONER)

        async def submitted() -> bool:
            await home.review(str(image))
            return home.anchore.store.submits.total() == 1

        await eventually(submitted)
        home.anchore.store.finish(content.digest)
        await told(analysis_over(image.tagged, content.digest), Outcome.PASS, Why.ADMISSION)
        home.anchore.store.decide(content.digest, "stop")
        await grown_old(home, image, content.digest)
        await told(verdict_changed(image.tagged, content.digest), Outcome.FAIL, Why.NOTICE)
        assert (await home.review(str(image))).code == 403


async def test_with_the_broker_away_anchore_is_told_to_come_again_and_is_heard_then(
    redis: RedisServer, rabbit: RabbitServer, tmp_path: Path
) -> None:
    async with patient_house(redis, rabbit, tmp_path) as home, intake(home) as sites:
        sender = NoticeSender(url=sites.events.url, session=home.session)
        rabbit.kill()
        try:
            for _ in range(3):
                status, body = await sender.send(analysis_over())
                assert (status, body["outcome"]) == (503, "away")
        finally:
            rabbit.restart()

        async def heard() -> bool:
            return (await sender.send(analysis_over()))[0] == 202

        await eventually(heard, within=60.0)
