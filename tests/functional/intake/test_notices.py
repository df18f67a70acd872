"""What Anchore sends by itself, over real HTTP, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.intake.wiring import MAX_NOTICE
from shared.domain.rules import Mode, Rule, Rules
from shared.domain.step import Lane, Step, StepKind
from shared.domain.why import Why
from shared.ports.steps import Settle
from tests.fakes.anchore_notices import (
    DIGEST,
    TAG,
    Dialect,
    NoticeSender,
    analysis_over,
    login,
    notice_sample,
    notification,
    verdict_changed,
)
from tests.functional.intake.conftest import Intake, intake_of
from tests.functional.intake.test_events import away_ports
from tests.waiting import eventually

STRICT = Rules(allow_registries=("registry.corp",))


def sender(intake: Intake) -> NoticeSender:
    return NoticeSender(url=intake.sites.events.url, session=intake.session)


async def steps_of(intake: Intake, lane: Lane, number: int) -> list[Step]:
    """The `number` steps that wait in a lane; they wait no more after this."""
    steps: list[Step] = []

    async def take(step: Step) -> Settle:
        steps.append(step)
        return Settle.ACK

    taking = asyncio.create_task(intake.queue.consume(lane, take, concurrency=8))
    await eventually(lambda: len(steps) == number)
    await intake.queue.drain(timeout=1)
    await taking
    return steps


def published(intake: Intake) -> dict[Lane, int]:
    """How many steps were published, by lane."""
    return {each.lane: each.published for each in intake.queue.carried.steps() if each.published}


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_an_analysis_that_is_over_is_taken_at_once_and_wakes_its_scan(
    intake: Intake, dialect: Dialect
) -> None:
    status, body = await sender(intake).send(analysis_over(dialect=dialect))
    assert (status, body) == (202, {"kind": "analysis", "outcome": "queued"})
    (step,) = await steps_of(intake, Lane.CHECK, 1)
    assert (step.kind, step.reference) == (StepKind.WAKE, f"{TAG}@{DIGEST}")


@pytest.mark.parametrize("kind", ["policy_eval", "vuln_update"])
async def test_a_verdict_that_may_have_changed_is_asked_for_anew_behind_people(
    intake: Intake, kind: str
) -> None:
    status, body = await sender(intake).send(verdict_changed(kind=kind))
    assert (status, body["outcome"]) == (202, "queued")
    (step,) = await steps_of(intake, Lane.PREWARM, 1)
    assert (step.kind, step.why) == (StepKind.REQUEST, Why.NOTICE)


@pytest.mark.parametrize(
    ("sample", "kind", "outcome"),
    [
        ("engine-analysis-update", "analysis", "queued"),
        ("engine-policy-eval", "policy", "queued"),
        ("engine-vuln-update", "vulnerabilities", "queued"),
        ("engine-tag-update", "tag", "ignored_no_news"),
        ("engine-test-analysis-update", "analysis", "ignored_no_image"),
        ("enterprise-analysis-update", "analysis", "ignored_other_account"),
        ("enterprise-endpoint-event", "analysis", "ignored_no_image"),
    ],
)
async def test_each_recorded_notice_is_taken(
    intake: Intake, sample: str, kind: str, outcome: str
) -> None:
    status, body = await sender(intake).send(notice_sample(sample))
    assert (status, body) == (202, {"kind": kind, "outcome": outcome})


async def test_the_account_of_the_credentials_is_what_is_set(tmp_path: Path) -> None:
    async with intake_of(tmp_path, anchore_account="oci") as intake:
        _, body = await sender(intake).send(notice_sample("enterprise-analysis-update"))
        assert body["outcome"] == "queued"
        _, body = await sender(intake).send(notice_sample("engine-analysis-update"))
        assert body["outcome"] == "ignored_other_account"


async def test_the_url_may_hold_what_engine_writes_into_it(intake: Intake) -> None:
    url = f"{intake.sites.events.url}/events/anchore?type=analysis_update&account=admin"
    async with intake.session.post(url, data=analysis_over(), headers=login()) as answer:
        assert (answer.status, (await answer.json())["outcome"]) == (202, "queued")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "unknown"),
        (b"hello", "unknown"),
        (b"[" * 100_000, "unknown"),
        (b'{"data": {"notification_type": "policy_eval", "notification_payload": 5}}', "policy"),
    ],
)
async def test_what_is_no_notice_is_taken_and_ignored(
    intake: Intake, body: bytes, kind: str
) -> None:
    answer = await intake.from_anchore(body)
    assert (answer.http, answer.body) == (202, {"kind": kind, "outcome": "ignored_unreadable"})
    assert published(intake) == {}


async def test_a_notice_that_comes_again_costs_nothing(intake: Intake) -> None:
    body = analysis_over()
    answers = await asyncio.gather(*(intake.from_anchore(body) for _ in range(8)))
    assert sorted(answer.body["outcome"] for answer in answers) == ["queued"] + ["repeated"] * 7
    assert published(intake) == {Lane.CHECK: 1}


async def test_a_forged_notice_of_what_the_rules_do_not_allow_costs_nothing(
    tmp_path: Path,
) -> None:
    async with intake_of(tmp_path, rules=STRICT) as intake:
        for tag in ("evil.corp/team/app:1", "registry.corp.evil/app:1", "app:1"):
            for body in (analysis_over(tag), verdict_changed(tag)):
                assert (await intake.from_anchore(body)).body["outcome"] == "ignored_not_allowed"
        assert published(intake) == {}


async def test_what_no_rule_asks_about_costs_nothing(tmp_path: Path) -> None:
    lax = Rules(default=Rule(mode=Mode.ALLOW))
    async with intake_of(tmp_path, rules=lax) as intake:
        assert (await intake.from_anchore(analysis_over())).body["outcome"] == "ignored_unasked"
        assert published(intake) == {}


async def test_with_the_queue_away_anchore_is_told_to_send_it_again(tmp_path: Path) -> None:
    async with away_ports() as ports, intake_of(tmp_path, ports=ports) as intake:
        for body in (analysis_over(), verdict_changed()):
            for _ in range(2):
                status, answered = await sender(intake).send(body)
                assert (status, answered["outcome"]) == (503, "away")
        # What asks for nothing needs nobody.
        assert (await intake.from_anchore(notice_sample("engine-tag-update"))).http == 202


async def test_a_policys_notice_may_be_large_and_what_is_larger_is_refused(intake: Intake) -> None:
    bundle = {"whitelists": [{"id": "x", "items": ["CVE-2099-0001+openssl"] * 40_000}]}
    state = {"bundle": bundle, "image_digest": DIGEST}
    payload = {"subscription_key": TAG, "curr_eval": state, "last_eval": state}
    large = notification("policy_eval", payload)
    assert 2**20 < len(large) < MAX_NOTICE
    assert (await intake.from_anchore(large)).body["outcome"] == "queued"
    over = large + b" " * (MAX_NOTICE - len(large) + 1)
    answer = await intake.from_anchore(over)
    assert (answer.http, answer.body) == (
        413,
        {"error": f"the body is larger than {MAX_NOTICE} bytes"},
    )


async def test_a_packed_body_is_refused(intake: Intake) -> None:
    status, _ = await sender(intake).send(b"x", **{"Content-Encoding": "gzip"})
    assert status == 415


async def test_a_body_that_comes_too_slowly_is_given_up_before_anchore_does(
    intake: Intake,
) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.2)

    assert (await intake.post(slow(), "anchore", headers=login())).http == 408


async def test_notices_and_requests_are_counted_without_an_images_name(intake: Intake) -> None:
    await intake.from_anchore(analysis_over())
    await intake.from_anchore(analysis_over())
    await intake.from_anchore(notice_sample("engine-tag-update"))
    await intake.from_anchore(b"hello")
    await intake.post(b"hello", "anchore")
    _, scraped = await intake.get("metrics")
    for line in (
        'imagegate_notices_total{kind="analysis",outcome="queued"} 1.0',
        'imagegate_notices_total{kind="analysis",outcome="repeated"} 1.0',
        'imagegate_notices_total{kind="tag",outcome="ignored_no_news"} 1.0',
        'imagegate_notices_total{kind="unknown",outcome="ignored_unreadable"} 1.0',
        'imagegate_notice_requests_total{status="202"} 4.0',
        'imagegate_notice_requests_total{status="401"} 1.0',
        "imagegate_notice_seconds_count 5.0",
    ):
        assert line in scraped
    assert "team/app" not in scraped


async def test_one_line_says_what_a_notice_asked_for_and_a_flood_adds_none(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="services.intake"):
        caplog.clear()
        for _ in range(20):
            await intake.from_anchore(analysis_over())
            await intake.from_anchore(notice_sample("engine-tag-update"))
    (line,) = caplog.records
    assert (line.getMessage(), line.levelname) == ("notice", "INFO")
    told = vars(line)
    assert (told["about"], told["outcome"], told["account"]) == ("analysis", "queued", "admin")
    assert told["image"] == f"{TAG}@{DIGEST}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"hello", "see what is sent to this URL"),
        (notice_sample("engine-test-policy-eval"), "as tests of Anchore's do"),
        (analysis_over(account="nobody"), "is ANCHORE_ACCOUNT the account"),
    ],
)
async def test_what_is_amiss_is_said_once_a_minute(
    intake: Intake, caplog: pytest.LogCaptureFixture, body: bytes, said: str
) -> None:
    with caplog.at_level("INFO", logger="services.intake"):
        caplog.clear()
        for _ in range(20):
            await intake.from_anchore(body)
    (line,) = caplog.records
    assert line.levelname == "WARNING"
    assert said in line.getMessage()


async def test_a_hurtful_text_is_no_image_and_an_account_is_cut(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    hurtful = "registry.corp/team/app:1\n2099-01-01 ERROR all is lost \u202e\x1b[31m"
    with caplog.at_level("INFO", logger="services.intake"):
        caplog.clear()
        answer = await intake.from_anchore(analysis_over(hurtful))
        assert answer.body["outcome"] == "ignored_no_image"
        await intake.from_anchore(analysis_over(account="a" * 1_000_000))
    assert all("all is lost" not in str(vars(record)) for record in caplog.records)
    assert all(len(str(vars(record).get("account", ""))) <= 100 for record in caplog.records)


async def test_many_notices_at_a_time_all_arrive_in_the_end(intake: Intake) -> None:
    numbers = range(40)
    bodies = [analysis_over(digest=f"sha256:{number:064x}") for number in numbers]
    answers = await asyncio.gather(*(intake.from_anchore(body) for body in bodies))
    taken = [answer for answer in answers if answer.http == 202]
    # More at a time than an Engine sends: those are told to come again, and none is lost.
    assert all(answer.http == 503 for answer in answers if answer not in taken)
    again = [body for body, answer in zip(bodies, answers, strict=True) if answer.http == 503]
    for body in again:
        assert (await intake.from_anchore(body)).http == 202
    steps = await steps_of(intake, Lane.CHECK, len(bodies))
    assert {step.subject and step.subject.digest for step in steps} == {
        f"sha256:{number:064x}" for number in numbers
    }
