"""What is set of a worker, and what it measures, in the whole of it: each holds where it is put
together, not only in the part that it is about."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.worker.ledger import Ledger
from services.worker.metrics import WorkerMetrics
from services.worker.settings import WorkerSettings
from services.worker.wiring import anchore as anchore_of
from shared.domain.errors import PermanentFailure
from shared.domain.pointer import MINUTE
from shared.domain.reference import parse_reference
from shared.domain.rules import Mode
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.ports.usage import Use
from shared.runtime.clock import SystemClock
from shared.runtime.metrics import Metrics
from shared.runtime.settings import Secret
from tests.fakes.anchore import FakeAnchore
from tests.fakes.images import tiny_image
from tests.fakes.sealing import PlainSealer
from tests.house import House, house
from tests.waiting import eventually

TWO_TURNS = 5.0
"""Seconds: at first one image is judged anew in two seconds, and what was put off comes again."""

WAITED_FOR = (
    'lane_wait_seconds_count{lane="admission"}',
    'lane_wait_seconds_count{lane="check"}',
    'submit_seconds_count{why="admission"}',
    'analysis_seconds_count{why="admission"}',
    'verdict_seconds_count{why="admission"}',
    'verdict_polls_count{why="admission"}',
    'poll_wait_seconds_count{lane="check"}',
)
"""Everything that a verdict waits for, and how often Anchore was asked for it."""

FROM_RULE = {
    "action": "STOP",
    "gate": "dockerfile",
    "id": "from-uses-tag",
    "params": [{"name": "instruction", "value": "FROM"}],
    "trigger": "instruction",
}


@asynccontextmanager
async def told(
    folder: Path, settings: WorkerSettings, *, mode: Mode = Mode.ENFORCE
) -> AsyncIterator[House]:
    """A house whose worker has these settings, and whose Anchore ends no analysis by itself."""
    async with house(folder, worker_settings=settings, analysis_seconds=None, mode=mode) as home:
        yield home


def new(home: House, name: str = "app") -> str:
    content = tiny_image(config={"Labels": {"name": name}})
    return f"{home.registry.put(content, f'team/{name}:1')}@{content.digest}"


def digest_of(image: str) -> str:
    return image.partition("@")[2]


def counted(home: House, what: str) -> float:
    """What the worker would be scraped for; 0 where that was never counted."""
    text = home.worker_metrics.render().decode()
    found = re.search(rf"^imagegate_{re.escape(what)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def under_way(home: House, number: int = 1) -> None:
    await eventually(lambda: home.anchore.store.submits.total() == number, within=30.0)


async def test_all_that_a_verdict_waits_for_is_measured(tmp_path: Path) -> None:
    async with told(tmp_path, WorkerSettings()) as home:
        image = new(home)
        assert (await home.review(image)).code == 429
        await under_way(home)
        await eventually(lambda: counted(home, 'polls_total{poll="check"}') >= 1, within=30.0)
        home.anchore.store.finish(digest_of(image))
        assert (await home.settled(image, within=60.0)).allowed
        await eventually(lambda: all(counted(home, each) >= 1 for each in WAITED_FOR), within=30.0)
        assert counted(home, 'verdict_polls_sum{why="admission"}') >= 2


async def test_prewarm_has_as_many_places_as_are_set(tmp_path: Path) -> None:
    settings = WorkerSettings(imagegate_prewarm_analyses=1)
    async with told(tmp_path, settings, mode=Mode.WARN) as home:
        for name in ("one", "two"):
            assert (await home.review(new(home, name))).allowed
        put_off = 'prewarm_put_off_total{why="admission"}'
        await eventually(lambda: counted(home, put_off) >= 1, within=30.0)
        await under_way(home)
        await asyncio.sleep(TWO_TURNS)
        assert home.anchore.store.submits.total() == 1


async def test_an_analysis_may_run_for_as_long_as_is_set(tmp_path: Path) -> None:
    async with told(tmp_path, WorkerSettings(imagegate_analysis_limit=1.0)) as home:
        image = new(home)
        assert (await home.review(image)).code == 429
        await under_way(home)
        home.anchore.store.begin(digest_of(image))
        await under_way(home, 2)
        home.anchore.store.begin(digest_of(image))
        answer = await home.settled(image, within=60.0)
        assert (answer.code, "ran for more than 1 s" in answer.message) == (403, True)


async def test_an_image_waits_for_an_analyzer_for_as_long_as_is_set(tmp_path: Path) -> None:
    async with told(tmp_path, WorkerSettings(imagegate_waiting_limit=1.0)) as home:
        answer = await home.settled(new(home), within=60.0)
        assert (answer.code, "its analysis has not begun for" in answer.message) == (403, True)


async def test_who_has_no_turn_to_look_is_put_off(tmp_path: Path) -> None:
    async with told(tmp_path, WorkerSettings(imagegate_polls=0.2)) as home:
        for name in ("one", "two", "three"):
            assert (await home.review(new(home, name))).code == 429
        await eventually(lambda: counted(home, 'polls_total{poll="put_off"}') >= 1, within=30.0)


async def test_a_from_that_nobody_checked_is_what_is_set(tmp_path: Path) -> None:
    async with told(tmp_path, WorkerSettings(imagegate_from_not_checked="stop")) as home:
        bundle = home.anchore.store.policies["admin"]["fake-baseline"]["policybundle"]
        bundle["policies"][0]["rules"].append(FROM_RULE)
        home.anchore.store.settle_after(0.0)
        answer = await home.settled(new(home), within=60.0)
        assert (answer.code, "FROM was not checked" in answer.message) == (403, True)


async def test_no_more_is_judged_anew_in_a_second_than_is_set(tmp_path: Path) -> None:
    async with told(tmp_path, WorkerSettings(imagegate_refresh_rate=0.25)) as home:
        await eventually(lambda: counted(home, "refresh_rate") == 0.25, within=30.0)


async def test_a_registry_is_asked_for_no_more_images_in_a_second_than_is_set(
    tmp_path: Path,
) -> None:
    async with told(tmp_path, WorkerSettings(imagegate_refresh_heads=0.001)) as home:
        await home.backends.usage.record(
            {Use(await due(home, name), Question()): SystemClock().now() for name in "ab"}
        )
        asked = 'refreshes_total{outcome="asked",stand="due"}'
        await eventually(lambda: counted(home, asked) >= 1, within=60.0)
        await asyncio.sleep(TWO_TURNS)
        assert counted(home, asked) == 1


async def due(home: House, name: str) -> str:
    """An image that passed fifty minutes ago."""
    image = new(home, name)
    reference = parse_reference(image)
    subject = Subject(reference.repository, digest_of(image), reference.tag)
    at = SystemClock().now() - 50 * MINUTE
    sealer = PlainSealer()
    store = home.backends.store
    ledger = Ledger(store=store, sealer=sealer, unsealer=sealer, clock=SystemClock())
    await ledger.write_verdict(
        Verdict(subject, Question(), Outcome.PASS, evaluated_at=at), chain=""
    )
    home.anchore.store.know(digest_of(image), subject.scan_tag)
    return image


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnchore]:
    async with FakeAnchore() as running:
        yield running


def settings_for(fake: FakeAnchore, *, password: str, calls: float = 100.0) -> WorkerSettings:
    return WorkerSettings(
        anchore_url=fake.url, anchore_password=Secret(password), imagegate_anchore_calls=calls
    )


SUBJECT = Subject("registry.test/team/app", "sha256:" + "a" * 64, "1")


async def test_anchore_is_called_no_more_often_than_is_set(fake: FakeAnchore) -> None:
    settings = settings_for(fake, password=fake.password, calls=1.0)
    async with anchore_of(settings, WorkerMetrics(Metrics())) as (scanner, _):
        began = time.monotonic()
        await asyncio.gather(*(scanner.analysis(SUBJECT, Question()) for _ in range(3)))
        assert time.monotonic() - began > 1.0


async def test_each_call_and_what_its_answer_stands_for_is_counted(fake: FakeAnchore) -> None:
    metrics = Metrics()
    settings = settings_for(fake, password="of-yesterday")
    async with anchore_of(settings, WorkerMetrics(metrics)) as (scanner, _):
        with pytest.raises(PermanentFailure, match="refuses our credentials"):
            await scanner.analysis(SUBJECT, Question())
    text = metrics.render().decode()
    assert 'calls_total{operation="image_get",outcome="401"} 1.0' in text
    assert 'faults_total{fault="credentials",operation="image_get"} 1.0' in text
    assert 'breaker_state{state="closed"} 1.0' in text
