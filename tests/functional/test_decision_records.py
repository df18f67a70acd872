"""What a webhook tells people: the last decisions, that it lives, and what it counts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.domain.rules import Mode
from shared.ports.decisions import DecisionRecord
from tests.fakes.images import tiny_image
from tests.fakes.pushes import bearer, envelope, event
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.functional.test_main_job import image
from tests.house import (
    CONTROLLER,
    LONG,
    PATIENT_SERVER,
    House,
    house,
    intake,
    memory_backends,
    pod,
    review_of,
)
from tests.servers.ports import free_ports
from tests.waiting import eventually


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """Who waits for an image gets its verdict with the first answer, however busy the machine."""
    async with house(tmp_path, wait=LONG) as running:
        yield running


async def records(home: House, *, at_least: int = 1) -> list[DecisionRecord]:
    """The oldest first, once so many are written."""
    found: list[DecisionRecord] = []

    async def written() -> bool:
        nonlocal found
        stored = await home.backends.decisions.recent(limit=100)
        found = [each.decision for each in reversed(stored)]
        return sum(record.times for record in found) >= at_least

    await eventually(written)
    return found


def count(metrics: str, series: str) -> float:
    """The value of one series in a scrape; 0 where it is absent."""
    lines = [line for line in metrics.splitlines() if line.startswith(f"{series} ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


async def test_who_asked_for_what_and_why_that_was_the_answer_is_kept(home: House) -> None:
    good, nobody = image(home), f"{home.registry.host}/team/nobody:1"
    assert (await home.settled(good)).allowed
    assert (await home.settled(nobody, user=CONTROLLER)).code == 403
    before = sum(record.times for record in await records(home, at_least=2))
    assert (await home.review(good, dry_run=True)).allowed
    refused = await home.review(nobody, user=CONTROLLER)
    found = await records(home, at_least=before + 2)
    dry = next(record for record in found if record.dry_run)
    assert (dry.allowed, dry.state, dry.code, dry.images) == (True, "pass", 200, (good,))
    assert (dry.kind, dry.namespace, dry.name, dry.operation) == ("Pod", "team", "p", "CREATE")
    assert (dry.user, dry.reason) == ("ada@example.org", "")
    assert 0 < dry.took < 5_000
    denied = next(record for record in reversed(found) if record.state == "error")
    assert (denied.allowed, denied.code, denied.user) == (False, 403, CONTROLLER)
    assert denied.reason == refused.message.partition("\n")[0]


async def test_advice_is_kept_as_a_decision_about_its_workload(home: House) -> None:
    unknown = image(home)
    content = workload(DEPLOYMENT, pod(unknown)["spec"], name="api")
    await home.ask(review_of_workload(DEPLOYMENT, content, name=""))
    (record,) = await records(home)
    assert (record.kind, record.name, record.allowed) == ("Deployment", "api", True)
    assert (record.state, record.images) == ("pending", (unknown,))
    assert record.reason.startswith(f"image {unknown}: not judged yet: pods with it are denied")


async def test_a_kind_that_is_not_judged_is_kept_and_a_body_that_is_no_review_is_not(
    home: House,
) -> None:
    assert (await home.post(b"hello")).http == 400
    assert (await home.mutate(review_of(pod("NOT/A:reference")))).allowed
    assert (await home.ask(review_of(pod("a:1"), kind="Dragon"))).code == 403
    (record,) = await records(home)
    assert (record.kind, record.state, record.images) == ("Dragon", "invalid", ())


async def test_reviews_that_are_alike_are_one_line(home: House) -> None:
    good = image(home)
    assert (await home.settled(good)).allowed
    before = sum(record.times for record in await records(home))
    await asyncio.gather(*(home.review(good, user="one") for _ in range(50)))
    found = await records(home, at_least=before + 50)
    assert len([record for record in found if record.user == "one"]) <= 2


async def test_the_last_decisions_of_a_webhook_that_stops_are_written(tmp_path: Path) -> None:
    backends = memory_backends()
    async with house(tmp_path, backends=backends, mode=Mode.DENY) as home:
        assert (await home.review("app:1")).code == 403
    (stored,) = await backends.decisions.recent(limit=10)
    assert stored.decision.state == "refused"


async def test_a_webhook_lives_under_the_name_that_its_decisions_bear(home: House) -> None:
    async def heard() -> bool:
        return len(await home.backends.presence.alive()) == 1

    await eventually(heard)
    (alive,) = await home.backends.presence.alive()
    assert alive.beat.service == "webhook"
    await home.review("NOT/A:reference")
    (record,) = await records(home)
    assert record.webhook == alive.beat.name
    text = await home.metrics()
    assert count(text, 'imagegate_dependency_up{dependency="store"}') == 1
    assert count(text, 'imagegate_dependency_up{dependency="queue"}') == 1


async def test_a_store_of_decisions_that_is_away_delays_and_fails_no_review(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_ports("nobody")["nobody"]
    async with RedisLinks(url=f"redis://127.0.0.1:{port}") as links:
        backends = msgspec.structs.replace(
            memory_backends(),
            decisions=RedisDecisionLog(links=links),
            presence=RedisPresence(links=links),
        )
        async with house(tmp_path, backends=backends) as home:
            good = image(home)
            assert (await home.settled(good)).allowed
            for _ in range(20):
                assert (await home.review(good)).allowed

            async def lost() -> bool:
                text = await home.metrics()
                left_out = 'imagegate_decisions_left_out_total{reason="store"}'
                answered = 'imagegate_reviews_total{allowed="true",state="pass"}'
                return count(text, left_out) >= count(text, answered) >= 20

            await eventually(lost)
            assert (await home.review(good)).allowed
    said = [record for record in caplog.records if "last decisions are not" in record.message]
    assert len(said) == 1


async def test_look_ups_are_counted_by_what_had_to_be_asked(home: House) -> None:
    unknown = image(home)

    async def layers() -> tuple[float, ...]:
        text = await home.metrics()
        names = ("near_cache", "store", "queue")
        return tuple(count(text, f'imagegate_image_lookups_total{{layer="{n}"}}') for n in names)

    assert await layers() == (0, 0, 0)
    assert (await home.review(unknown, timeout=PATIENT_SERVER)).allowed
    assert await layers() == (0, 0, 1)
    for _ in range(10):
        assert (await home.review(unknown, unknown)).allowed
    assert await layers() == (10, 0, 1)
    await home.review("NOT/A:reference")
    await home.review("auto")
    assert await layers() == (10, 0, 1)
    await home.review(image(home, "team/other:1"), dry_run=True)
    assert await layers() == (10, 1, 1)


async def test_a_push_event_that_warmed_an_image_counts_as_a_hit(home: House) -> None:
    def push(name: str) -> str:
        content = tiny_image(config={"Labels": {"name": name}})
        return str(home.registry.put(content, name))

    warmed, asked = push("team/warm:1"), push("team/cold:1")
    async with intake(home) as ears:
        told = event(repository="team/warm", tag="1", host=home.registry.host)
        url = f"{ears.events.url}/events/distribution"
        async with home.session.post(url, data=envelope(told), headers=bearer()) as answer:
            assert answer.status < 300
        await eventually(lambda: bool(home.anchore.store.submits))

        async def known() -> bool:
            return bool(await home.backends.store.keys("verdict:", limit=10))

        await eventually(known)
    for _ in range(3):
        assert (await home.review(warmed)).allowed
    assert (await home.settled(asked)).allowed
    text = await home.metrics()
    assert count(text, 'imagegate_first_lookups_total{result="prewarmed"}') == 1
    assert count(text, 'imagegate_first_lookups_total{result="asked"}') == 1
    assert count(text, "imagegate_prewarm_hit_ratio") == 0.5


async def test_the_near_cache_announcements_and_questions_are_counted(home: House) -> None:
    unknown = image(home)
    assert (await home.review(unknown, timeout=PATIENT_SERVER)).allowed
    text = await home.metrics()
    assert count(text, "imagegate_near_cache_entries") >= 2
    assert count(text, "imagegate_near_cache_bytes") > 500
    assert count(text, 'imagegate_announcements_total{kind="change"}') >= 2
    assert count(text, 'imagegate_announcements_total{kind="gap"}') == 1
    assert count(text, 'imagegate_asks_total{need="request",outcome="first"}') == 1
    assert count(text, "imagegate_certificate_remaining_seconds") > 86_400
