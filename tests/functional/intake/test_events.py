"""What registries and pipelines send, over real HTTP, and what becomes of it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.intake.settings import IntakeSettings
from services.intake.wiring import IntakePorts, run_intake
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.links import RedisLinks
from shared.domain.errors import InvalidSettings
from shared.domain.rules import Rules
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.settings import Secret
from shared.runtime.tls import client_context, ensure_certificate
from tests.fakes.pushes import TOKEN, bearer, envelope, event, sample
from tests.functional.intake.conftest import Intake, intake_of
from tests.house import memory_backends
from tests.servers.ports import free_ports

EVENTS_V2 = "application/vnd.docker.distribution.events.v2+json"


@asynccontextmanager
async def away_ports() -> AsyncIterator[IntakePorts]:
    """The real adapters, and nobody at the other end."""
    nobody = free_ports("redis", "amqp")
    url = f"amqp://guest:guest@127.0.0.1:{nobody['amqp']}/"
    queue = RabbitQueue(url, clock=SystemClock(), confirm_timeout=0.1)
    async with (
        RedisLinks(url=f"redis://127.0.0.1:{nobody['redis']}") as links,
        queue.connect(),
    ):
        yield IntakePorts(
            claims=RedisRequestClaims(links=links), queue=queue, store_ping=links.ping
        )


async def test_a_registrys_envelope_is_taken_at_once(intake: Intake) -> None:
    answer = await intake.from_registry(sample("distribution-envelope-push"))
    assert (answer.http, answer.body) == (202, {"queued": 1, "under_way": 0, "ignored": 0})
    assert intake.published == 1


async def test_of_a_mixed_envelope_the_image_is_queued_once_and_the_rest_counted(
    intake: Intake,
) -> None:
    answer = await intake.from_registry(sample("distribution-envelope-mixed"))
    assert answer.http == 202
    assert answer.body == {
        "queued": 1,
        "under_way": 0,
        "ignored": 4,
        "reasons": {"blob": 1, "action": 2, "repeated": 1},
    }


async def test_a_second_event_of_an_image_that_waits_is_under_way(intake: Intake) -> None:
    await intake.from_registry(envelope(event()))
    answer = await intake.from_registry(envelope(event()))
    assert answer.body == {"queued": 0, "under_way": 1, "ignored": 0}
    assert intake.published == 1


async def test_a_replay_is_taken_and_costs_nothing(intake: Intake) -> None:
    body = envelope(event(), event(action="pull"))
    await intake.from_registry(body)
    answer = await intake.from_registry(body)
    assert (answer.http, answer.body["replayed"], intake.published) == (202, 1, 1)


@pytest.mark.parametrize(
    "content_type", [EVENTS_V2, "application/json", "text/plain", "nonsense; ; ="]
)
async def test_a_registry_may_call_its_envelope_what_it_likes(
    intake: Intake, content_type: str
) -> None:
    headers = bearer() | {"Content-Type": content_type}
    assert (await intake.post(envelope(event()), headers=headers)).body["queued"] == 1


@pytest.mark.parametrize("body", [b"", b"hello", b"null", b'{"events": 5}', b"[" * 100_000])
async def test_what_is_no_envelope_is_taken_and_ignored_so_that_the_queue_behind_it_goes_on(
    intake: Intake, body: bytes
) -> None:
    answer = await intake.from_registry(body)
    assert (answer.http, answer.body["reasons"]) == (202, {"unreadable": 1})


async def test_the_url_may_name_the_registry_as_pods_do(intake: Intake, tmp_path: Path) -> None:
    rules = Rules(allow_registries=("registry.corp:5000",))
    async with intake_of(tmp_path, rules=rules) as strict:
        pushed = event(host="10.0.0.7:5000")
        assert (await strict.from_registry(envelope(pushed))).body["ignored"] == 1
        answer = await strict.from_registry(envelope(pushed), query="?registry=registry.corp:5000")
        assert answer.body["queued"] == 1


async def test_only_repositories_of_the_setting_are_asked_for(tmp_path: Path) -> None:
    async with intake_of(tmp_path, imagegate_intake_repositories=("*/team/**",)) as intake:
        answer = await intake.from_registry(envelope(event(), event(repository="other/app")))
        assert answer.body["queued"] == 1
        assert answer.body["reasons"] == {"not_allowed": 1}


@pytest.mark.parametrize(
    "body",
    [
        {"reference": "registry.corp/team/app:1.4.2"},
        {"repository": "registry.corp/team/app", "tag": "1.4.2"},
        {"repository": "registry.corp/team/app", "digest": "sha256:" + "a" * 64},
        {"images": [{"reference": "registry.corp/team/app"}], "id": "pipeline 4711"},
    ],
)
async def test_a_pipelines_event_is_taken(intake: Intake, body: dict[str, Any]) -> None:
    answer = await intake.from_pipeline(json.dumps(body).encode())
    assert (answer.http, answer.body["queued"], intake.published) == (202, 1, 1)


async def test_a_pipelines_mistake_is_400_and_says_what_is_wrong(intake: Intake) -> None:
    answer = await intake.from_pipeline(b'{"repository": "registry.corp/team/app"}')
    assert (answer.http, intake.published) == (400, 0)
    assert answer.body == {"error": "the repository needs a tag, a digest or both"}


async def test_events_and_requests_are_counted_without_an_images_name(intake: Intake) -> None:
    await intake.from_registry(sample("distribution-envelope-mixed"))
    await intake.from_pipeline(b"{}")
    await intake.post(b"{}")
    _, scraped = await intake.get("metrics")
    for line in (
        'imagegate_push_events_total{outcome="queued",source="distribution"} 1.0',
        'imagegate_push_events_total{outcome="ignored_action",source="distribution"} 2.0',
        'imagegate_push_events_total{outcome="ignored_blob",source="distribution"} 1.0',
        'imagegate_push_requests_total{source="distribution",status="202"} 1.0',
        'imagegate_push_requests_total{source="distribution",status="401"} 1.0',
        'imagegate_push_requests_total{source="generic",status="400"} 1.0',
        'imagegate_push_seconds_count{source="distribution"} 2.0',
    ):
        assert line in scraped
    assert "team/app" not in scraped


async def test_one_line_an_envelope_says_which_images_were_asked_for(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        await intake.from_registry(sample("distribution-envelope-mixed"))
        await intake.from_registry(envelope(event(action="pull"), event(action="pull")))
    lines = [record for record in caplog.records if record.name == "services.intake.taking"]
    assert [vars(line)["images"] for line in lines] == ["registry.example.com/team/app:1.4.2"]


async def test_the_health_port_answers_and_a_dead_dependency_leaves_it_ready(
    tmp_path: Path,
) -> None:
    async with away_ports() as ports, intake_of(tmp_path, ports=ports) as intake:
        assert await intake.get("livez") == (200, "ok\n")
        assert (await intake.get("readyz"))[0] == 200
        answer = await intake.from_registry(envelope(event()))
        assert (answer.http, answer.body["away"]) == (503, 1)
        assert (await intake.get("readyz"))[0] == 200


async def test_with_both_away_the_registry_is_told_to_keep_the_event(tmp_path: Path) -> None:
    async with away_ports() as ports, intake_of(tmp_path, ports=ports) as intake:
        url = f"{intake.sites.events.url}/events/distribution"
        for _ in range(2):
            async with intake.session.post(url, data=envelope(event()), headers=bearer()) as answer:
                assert answer.status == 503
                assert int(answer.headers["Retry-After"]) > 0
        # What asks for nothing needs nobody.
        ignored = await intake.from_registry(envelope(event(action="pull")))
        assert (ignored.http, ignored.body["ignored"]) == (202, 1)


async def test_what_is_away_is_said_once_and_each_request_still_has_its_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with away_ports() as ports, intake_of(tmp_path, ports=ports) as intake:
        with caplog.at_level("INFO", logger="services.intake"):
            caplog.clear()
            for _ in range(3):
                await intake.from_registry(envelope(event()))
    said = [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records]
    assert said.count(("WARNING", "the store is away")) == 1
    assert said.count(("WARNING", "the queue does not take what events ask for")) == 1
    assert said.count(("INFO", "push events")) == 3


async def test_it_serves_https_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path)
    tls: dict[str, Any] = {
        "imagegate_intake_certificate": files.certificate,
        "imagegate_intake_certificate_key": files.key,
    }
    async with intake_of(tmp_path, **tls) as intake:
        assert intake.sites.events.url.startswith("https://")
        connector = aiohttp.TCPConnector(ssl=client_context(files.certificate))
        async with aiohttp.ClientSession(connector=connector) as session:
            url = f"{intake.sites.events.url}/events/distribution"
            async with session.post(url, data=envelope(event()), headers=bearer()) as answer:
                assert answer.status == 202


@pytest.mark.parametrize("pattern", ["team", "registry.corp/team-**", "registry.corp/Team/*"])
async def test_a_pattern_that_can_match_no_image_is_named_at_the_start(
    tmp_path: Path, pattern: str
) -> None:
    with pytest.raises(InvalidSettings, match="IMAGEGATE_INTAKE_REPOSITORIES: "):
        async with intake_of(tmp_path, imagegate_intake_repositories=(pattern,)):
            pass


async def test_half_a_certificate_is_a_mistake(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path)
    with pytest.raises(InvalidSettings, match="belong together: set both"):
        async with intake_of(tmp_path, imagegate_intake_certificate=files.certificate):
            pass


async def test_beside_others_it_counts_in_their_metrics_and_opens_no_health_port(
    tmp_path: Path,
) -> None:
    backends, metrics = memory_backends(), Metrics()
    settings = IntakeSettings(imagegate_intake_port=0, imagegate_events_token=Secret(TOKEN))
    ports = IntakePorts(
        claims=backends.claims, queue=backends.queue, store_ping=backends.store.ping
    )
    running = run_intake(
        settings, Lifecycle(), ports=ports, rules=Rules, metrics=metrics, health=False
    )
    async with running as sites, aiohttp.ClientSession() as session:
        assert sites.health is None
        url = f"{sites.events.url}/events/distribution"
        async with session.post(url, data=envelope(event()), headers=bearer()) as answer:
            assert answer.status == 202
    assert b'imagegate_push_requests_total{source="distribution",status="202"} 1.0' in (
        metrics.render()
    )
