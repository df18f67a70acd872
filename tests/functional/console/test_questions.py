"""What the console answers, over HTTP: the structs of its view, and errors as errors."""

from typing import TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
import pytest

from services.console.exception_rows import ExceptionRow, ExceptionState
from services.console.rows import VerdictRow
from services.console.view import DeadReport, DeadRow, QueueReport, StatusReport
from shared.domain.step import Lane, Step, StepKind, encode_step
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.ports.decisions import DecisionRecord, StoredDecision
from shared.ports.presence import Alive, Beat
from tests.fakes.exceptions import exception, seal
from tests.functional.console_page.site import TOKEN, Site

Answer = TypeVar("Answer")


class Asked(msgspec.Struct, frozen=True):
    status: int
    body: bytes

    def read(self, wanted: type[Answer]) -> Answer:
        assert self.status == 200, self.body
        return msgspec.json.decode(self.body, type=wanted)

    @property
    def error(self) -> str:
        return msgspec.json.decode(self.body, type=dict[str, str])["error"]


async def ask(session: aiohttp.ClientSession, site: Site, path: str) -> Asked:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with session.get(f"{site.url}/api/{path}", headers=headers) as answer:
        assert answer.content_type == "application/json"
        return Asked(answer.status, await answer.read())


def decision(name: str) -> DecisionRecord:
    return DecisionRecord(
        at=1,
        allowed=False,
        state="fail",
        code=403,
        kind="Pod",
        namespace="team",
        name=name,
        user="<b>ada</b>",
        operation="CREATE",
    )


async def test_the_queue(site: Site, session: aiohttp.ClientSession) -> None:
    report = (await ask(session, site, "queue")).read(QueueReport)
    assert [lane.lane for lane in report.lanes] == list(Lane)
    assert report.ages_known


async def test_the_status_is_an_answer_also_when_a_part_is_down(
    site: Site, session: aiohttp.ClientSession
) -> None:
    site.queue.away = "no rabbit"
    report = (await ask(session, site, "status")).read(StatusReport)
    assert not report.ok
    assert [part.detail for part in report.parts if part.name == "queue"] == ["no rabbit"]


async def test_signed_exceptions_are_told_with_what_they_are_worth(
    site: Site, session: aiohttp.ClientSession
) -> None:
    now = site.clock.now()
    good, bad = exception("good", now=now), exception("bad", now=now)
    for one, record in ((good, seal(good, sealer=site.sealer)), (bad, seal(bad))):
        await site.exceptions.put(record, exception_id=one.id, ends=one.expires)
    rows = (await ask(session, site, "exceptions")).read(tuple[ExceptionRow, ...])
    assert [(row.id, row.state) for row in rows] == [
        ("good", ExceptionState.ACTIVE),
        ("bad", ExceptionState.NOT_BELIEVED),
    ]
    assert (rows[0].image, rows[0].reason, rows[0].expires) == (
        good.image,
        good.reason,
        good.expires,
    )
    assert 0 < rows[0].left <= 3600
    assert (rows[1].image, bool(rows[1].why)) == ("", True)


async def test_a_broker_that_is_away_is_an_error_with_its_reason(
    site: Site, session: aiohttp.ClientSession
) -> None:
    site.queue.away = "no rabbit"
    asked = await ask(session, site, "queue")
    assert (asked.status, asked.error) == (502, "no rabbit")


async def test_a_store_that_is_away_does_not_hide_the_depths(
    site: Site, session: aiohttp.ClientSession
) -> None:
    site.presence.away = "no redis"
    assert (await ask(session, site, "queue")).read(QueueReport).lanes
    asked = await ask(session, site, "processes")
    assert (asked.status, asked.error) == (502, "no redis")


async def test_verdicts_of_one_image(site: Site, session: aiohttp.ClientSession) -> None:
    for tag in ("1", "2"):
        subject = Subject("a.example/b", f"sha256:{tag * 64}", tag)
        now = site.clock.now()
        await site.put(Verdict(subject, Question(), Outcome.PASS, evaluated_at=now))
    wanted = tuple[VerdictRow, ...]
    assert len((await ask(session, site, "verdicts")).read(wanted)) == 2
    assert len((await ask(session, site, "verdicts?limit=1")).read(wanted)) == 1
    for image in ("a.example/b:2", "b:2", "2" * 12):
        (row,) = (await ask(session, site, f"verdicts?image={quote(image)}")).read(wanted)
        assert row.image == "a.example/b:2"


async def test_dead_letters_and_one_of_them(site: Site, session: aiohttp.ClientSession) -> None:
    step = Step(
        "s", StepKind.REQUEST, Lane.CHECK, "a.example/b:1", Question(), first_seen=site.clock.now()
    )
    site.queue.dead.add(Lane.CHECK, encode_step(step))
    site.queue.dead.add(Lane.CHECK, b"<script>\xff")
    report = (await ask(session, site, "dead?limit=1")).read(DeadReport)
    assert (report.total, len(report.letters)) == (2, 1)
    first, second = (await ask(session, site, "dead")).read(DeadReport).letters
    assert (first.image, second.kind) == ("a.example/b:1", "")
    assert (await ask(session, site, f"dead/{second.id}")).read(DeadRow).body == "<script>\\xff"
    asked = await ask(session, site, f"dead/{quote('a/b c', safe='')}")
    assert (asked.status, asked.error) == (404, "it is not there (any more)")


async def test_decisions_and_those_after_one(site: Site, session: aiohttp.ClientSession) -> None:
    await site.decisions.write([decision(name) for name in ("a", "b", "c")])
    wanted = tuple[StoredDecision, ...]
    told = (await ask(session, site, "decisions")).read(wanted)
    assert [one.decision.name for one in told] == ["c", "b", "a"]
    after = (await ask(session, site, f"decisions?after={told[1].id}&limit=9")).read(wanted)
    assert [one.decision for one in after] == [decision("c")]
    # Fields that have their default are left out: pages are told so.
    assert "dry_run" not in msgspec.json.decode(msgspec.json.encode(after[0]))["decision"]


async def test_processes(site: Site, session: aiohttp.ClientSession) -> None:
    beat = Beat("worker@h:1:x", "worker", "1", 5, delivered={Lane.CHECK: 3})
    await site.presence.beat(beat)
    (alive,) = (await ask(session, site, "processes")).read(tuple[Alive, ...])
    assert alive.beat == beat


@pytest.mark.parametrize("path", ["verdicts?limit=x", "dead?limit=1e", "decisions?limit="])
async def test_a_limit_that_is_no_number_is_refused(
    site: Site, session: aiohttp.ClientSession, path: str
) -> None:
    asked = await ask(session, site, path)
    assert asked.status == 400
    assert asked.error.startswith("bad request: ")


async def test_questions_are_counted_by_route_and_status_never_by_what_was_asked(
    site: Site, session: aiohttp.ClientSession
) -> None:
    for path in ("queue", "dead/one", "dead/another", "nothing"):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with session.get(f"{site.url}/api/{path}", headers=headers):
            pass
    text = site.metrics.render().decode()
    assert 'imagegate_console_requests_total{route="/api/queue",status="200"} 1.0' in text
    assert 'imagegate_console_requests_total{route="/api/dead/{id}",status="404"} 2.0' in text
    assert 'imagegate_console_requests_total{route="none",status="404"} 1.0' in text
