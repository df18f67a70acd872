"""The operator's questions over the socket: the same answers, and errors as errors."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from services.cli.ops_client import OpsClient, OpsUnavailable, socket_client
from services.cli.ops_http import ops_app
from services.cli.reports.report import ImageReport
from services.cli.scans import ImageState, ScanStarted
from services.console.emergency_report import EmergencyReport, EmergencyState
from services.console.exception_rows import ExceptionRow, ExceptionState
from services.console.rows import VerdictRow
from services.console.view import (
    DeadReport,
    DeadRow,
    LaneReport,
    PartReport,
    QueueReport,
    StatusReport,
)
from services.webhook.requests import Asked
from shared.domain.decision import State
from shared.domain.errors import QueueUnavailable, StoreUnreachable
from shared.domain.rules import PolicyChoice
from shared.domain.step import Lane
from shared.domain.verdict import Question
from shared.domain.why import Why
from shared.ports.decisions import DecisionRecord, StoredDecision
from shared.ports.presence import Alive, Beat
from shared.ports.steps import MAX_DEAD, Ended
from shared.ports.verdicts import Put
from shared.runtime.http import serve_unix
from tests.functional.cli.beside import NoPolicies
from tests.functional.cli.commands import imagegate

QUEUE = QueueReport((LaneReport(Lane.CHECK, 1, None, 2, 0.5),), {1: 2}, 3)
ROW = VerdictRow("a.example/b:1", "sha256:" + "a" * 64, "fail", 5, 1.5, True, ("why",), "p")
STATUS = StatusReport(False, (PartReport("store", False, "away", 1.0),), {"webhook": "url"})
LETTER = DeadRow("a/b c", "check", "rejected", 3.5, "check", "a.example/b:1", "prewarm", 2, ("x",))
ENDED = Ended(("a/b c",), ("gone",), {"x": "the lane is full"})
DECISION = DecisionRecord(
    at=5,
    allowed=False,
    state="fail",
    code=403,
    kind="Pod",
    namespace="n",
    name="p",
    user="u",
    operation="CREATE",
    images=("a.example/b:1",),
    dry_run=True,
    times=3,
)
BEAT = Beat("worker@h:1:x", "worker", "0.1.0", 7, delivered={Lane.CHECK: 4})
EXCEPTION = ExceptionRow(
    "a1b2", ExceptionState.ACTIVE, "a.example/b", ("CVE-1+x",), ("*",), "ada", "r"
)
EMERGENCY = EmergencyReport(
    EmergencyState.DECLARED, ("*",), "ada", "r", left=9.5, webhooks=("w1", "w2"), counts_in=("w2",)
)
STATE = ImageState("a.example/b:1", State.FAIL, "no", ("sha256:a",), ("stop: x",), 7, ("fail: p",))
CHOICES = (None, PolicyChoice(account="a&b"), PolicyChoice(id="p"), PolicyChoice("a", "p"))


class Told:
    """Both views, answering what is above, or failing."""

    def __init__(self, *, down: bool = False) -> None:
        self._down = down
        self.started: list[tuple[str, bytes | None]] = []
        self.choices: list[PolicyChoice | None] = []
        self.forced: list[bool] = []
        self.limits: list[int] = []
        self.images: list[str] = []
        self.ended: list[tuple[str, Collection[str]]] = []
        self.put: list[tuple[bytes, str, int]] = []

    async def queue(self) -> QueueReport:
        if self._down:
            raise QueueUnavailable("no broker\nat all")
        return QUEUE

    async def verdicts(self, *, limit: int, image: str = "") -> tuple[VerdictRow, ...]:
        self.limits.append(limit)
        self.images.append(image)
        return (ROW,)

    async def status(self) -> StatusReport:
        return STATUS

    async def dead(self, *, limit: int) -> DeadReport:
        self.limits.append(limit)
        return DeadReport(9, (LETTER,))

    async def dead_letter(self, letter_id: str) -> DeadRow | None:
        return LETTER if letter_id == LETTER.id else None

    async def decisions(self, *, limit: int, after: str = "") -> tuple[StoredDecision, ...]:
        self.limits.append(limit)
        return (StoredDecision(after or "1-0", DECISION),)

    async def processes(self) -> tuple[Alive, ...]:
        return (Alive(BEAT, 12),)

    async def prewarm(self, image: str, question: Question, *, why: Why) -> Asked:
        self.started.append((image, None))
        return Asked.FIRST if question.policy and why is Why.PREWARM else Asked.UNDER_WAY

    async def report(self, digest: str, *, account: str = "") -> ImageReport:
        return ImageReport(digest, gaps=(f"asked in {account or 'our own account'}",))

    async def exceptions(self) -> tuple[ExceptionRow, ...]:
        return (EXCEPTION,)

    async def emergencies(self) -> tuple[EmergencyReport, ...]:
        return (EMERGENCY,)

    async def sealed_exceptions(self) -> Mapping[str, bytes]:
        return {"a1b2": bytes(range(256))}

    async def put_exception(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        self.put.append((sealed, exception_id, ends))
        return Put.AHEAD

    async def sealed_record(self, key: str) -> bytes | None:
        return key.encode() if key != "none" else None

    async def requeue(self, letter_ids: Collection[str]) -> Ended:
        self.ended.append(("requeue", letter_ids))
        return ENDED

    async def drop(self, letter_ids: Collection[str]) -> Ended:
        self.ended.append(("drop", letter_ids))
        return ENDED

    async def start(
        self,
        image: str,
        *,
        dockerfile: bytes | None,
        policy: PolicyChoice | None = None,
        force: bool = False,
    ) -> ScanStarted:
        if self._down:
            raise StoreUnreachable("no redis")
        self.started.append((image, dockerfile))
        self.choices.append(policy)
        self.forced.append(force)
        return ScanStarted(image, under_way=False)

    async def state(self, image: str, *, policy: PolicyChoice | None = None) -> ImageState:
        self.choices.append(policy)
        return STATE


@asynccontextmanager
async def socket_of(told: Told, state: Path) -> AsyncIterator[OpsClient]:
    async with (
        serve_unix(
            ops_app(ops=told, scans=told, letters=told, desk=told, policies=NoPolicies()),
            state / "ops.sock",
        ) as path,
        socket_client(path) as client,
    ):
        yield client


async def test_every_answer_comes_through_unchanged(tmp_path: Path) -> None:
    told = Told()
    many = [f"{number:016x}-{number}" for number in range(MAX_DEAD)]
    async with socket_of(told, tmp_path) as client:
        assert await client.queue() == QUEUE
        assert await client.verdicts(limit=7, image="a.example/b:1@sha256:a b&c") == (ROW,)
        assert await client.status() == STATUS
        assert await client.dead(limit=8) == DeadReport(9, (LETTER,))
        assert await client.dead_letter(LETTER.id) == LETTER
        assert await client.dead_letter("gone") is None
        assert await client.decisions(limit=9, after="4-2") == (StoredDecision("4-2", DECISION),)
        assert await client.processes() == (Alive(BEAT, 12),)
        assert await client.exceptions() == (EXCEPTION,)
        assert await client.emergencies() == (EMERGENCY,)
        assert await client.sealed_exceptions() == {"a1b2": bytes(range(256))}
        put = await client.put_exception(b"\x00\xff", exception_id="a1b2", ends=9)
        assert put is Put.AHEAD
        assert await client.sealed_record("pointer:a&b:1") == b"pointer:a&b:1"
        assert await client.sealed_record("none") is None
        assert await client.requeue([LETTER.id, "é\n"]) == ENDED
        assert await client.drop(many) == ENDED
        assert await client.state("a.example/b:1") == STATE
        dockerfile = bytes(range(256)) * 1024
        await client.start("a.example/b:1", dockerfile=dockerfile)
        await client.start("a.example/b:2", dockerfile=None, force=True)
    assert told.forced == [False, True]
    assert told.started == [("a.example/b:1", dockerfile), ("a.example/b:2", None)]
    assert (told.limits, told.images) == ([7, 8, 9], ["a.example/b:1@sha256:a b&c"])
    assert told.put == [(b"\x00\xff", "a1b2", 9)]
    assert told.ended == [("requeue", (LETTER.id, "é\n")), ("drop", tuple(many))]


async def test_a_policy_that_a_scan_chooses_is_the_same_there(tmp_path: Path) -> None:
    told = Told()
    async with socket_of(told, tmp_path) as client:
        for choice in CHOICES:
            await client.start("a.example/b:1", dockerfile=None, policy=choice)
            await client.state("a.example/b:1", policy=choice)
    assert told.choices == [choice for choice in CHOICES for _ in range(2)]


async def test_an_image_is_prewarmed_by_one_question(tmp_path: Path) -> None:
    told = Told()
    async with socket_of(told, tmp_path) as client:
        by_policy = await client.prewarm("a.example/b:1", Question(policy="p"), why=Why.PREWARM)
        assert (by_policy, await client.prewarm("a.example/b:2", Question(), why=Why.OPERATOR)) == (
            Asked.FIRST,
            Asked.UNDER_WAY,
        )
    assert told.started == [("a.example/b:1", None), ("a.example/b:2", None)]


async def test_an_error_there_is_an_error_here(tmp_path: Path) -> None:
    async with socket_of(Told(down=True), tmp_path) as client:
        with pytest.raises(OpsUnavailable, match="no broker"):
            await client.queue()
        with pytest.raises(OpsUnavailable, match="no redis"):
            await client.start("a.example/b:1", dockerfile=None)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/verdicts?limit=many", b""),
        ("GET", "/api/dead?limit=", b""),
        ("GET", "/api/decisions?limit=1e99", b""),
        ("POST", "/api/scans", b"{"),
        ("POST", "/api/scans", b"\xff"),
        ("POST", "/api/scans", b"[" * 100_000),
        ("POST", "/api/scans", b'{"image": 1}'),
        ("POST", "/api/exceptions", b"{}"),
        ("POST", "/api/exceptions", b'{"id": "a", "ends": 1, "sealed": "not base64"}'),
        ("POST", "/api/dead/drop", b""),
        ("POST", "/api/dead/drop", b"[]"),
        ("POST", "/api/dead/requeue", b'{"ids": "all"}'),
        ("POST", "/api/dead/requeue", b'{"ids": [' + b'"",' * MAX_DEAD + b'""]}'),
    ],
)
async def test_a_bad_question_is_refused(
    tmp_path: Path, method: str, path: str, body: bytes
) -> None:
    async with (
        socket_of(Told(), tmp_path),
        aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(tmp_path / "ops.sock"))
        ) as session,
        session.request(method, f"http://imagegate{path}", data=body) as answer,
    ):
        assert answer.status == 400
        assert "bad request" in (await answer.json())["error"]


async def test_what_was_found_in_an_image_travels_with_all_its_parts(tmp_path: Path) -> None:
    async with socket_of(Told(), tmp_path) as client:
        report = await client.report("sha256:a", account="a&b")
    assert report == ImageReport("sha256:a", gaps=("asked in a&b",))


async def test_the_limit_is_bounded(tmp_path: Path) -> None:
    told = Told()
    async with socket_of(told, tmp_path) as client:
        await client.verdicts(limit=-5)
        await client.verdicts(limit=10**9)
        await client.dead(limit=10**9)
        await client.decisions(limit=10**9)
    assert told.limits == [1, 10_000, 10_000, 2_000]


async def test_a_socket_that_nobody_serves_is_named(tmp_path: Path) -> None:
    async with socket_client(tmp_path / "ops.sock") as client:
        with pytest.raises(OpsUnavailable, match=r"ops\.sock.*is `imagegate up` running"):
            await client.queue()


async def test_an_answer_of_another_version_is_said(tmp_path: Path) -> None:
    async def strange(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/{any:.*}", strange)
    async with serve_unix(app, tmp_path / "s") as path, socket_client(path) as client:
        with pytest.raises(OpsUnavailable, match="another version"):
            await client.queue()


async def test_commands_show_a_failure_in_one_line_and_end_with_two(tmp_path: Path) -> None:
    async with socket_of(Told(down=True), tmp_path):
        ran = await imagegate("queue", state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: no broker\\nat all\n"


async def test_a_status_with_a_dead_part_ends_with_one(tmp_path: Path) -> None:
    async with socket_of(Told(), tmp_path):
        ran = await imagegate("status", state=tmp_path)
    assert ran.code == 1
    assert "away" in ran.out


async def test_without_servers_and_socket_the_commands_say_what_to_do(tmp_path: Path) -> None:
    ran = await imagegate("verdicts", state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "start `imagegate up`" in ran.err
    assert "REDIS_URL and AMQP_URL" in ran.err
    assert "IMAGEGATE_CONSOLE" in ran.err


async def test_some_servers_are_not_enough(tmp_path: Path) -> None:
    ran = await imagegate("queue", state=tmp_path, REDIS_URL="redis://127.0.0.1:1")
    assert ran.code == 2
    assert "AMQP_URL not set: set REDIS_URL, AMQP_URL, or none of them" in ran.err
    ran = await imagegate(
        "scan",
        "a.example/b:1",
        state=tmp_path,
        REDIS_URL="redis://127.0.0.1:1",
        AMQP_URL="amqp://guest:guest@127.0.0.1:1/",
    )
    assert ran.code == 2
    assert "ANCHORE_URL not set" in ran.err


async def test_who_looks_at_records_needs_redis_alone(tmp_path: Path) -> None:
    for command in ("decisions", "verdicts"):
        ran = await imagegate(command, state=tmp_path, REDIS_URL="redis://127.0.0.1:1")
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "127.0.0.1:1" in ran.err
        assert "AMQP_URL" not in ran.err
        ran = await imagegate(command, state=tmp_path, AMQP_URL="amqp://127.0.0.1:1/")
        assert ran.code == 2
        assert "REDIS_URL not set" in ran.err


async def test_named_servers_that_are_away_are_errors_or_lines_never_tracebacks(
    tmp_path: Path,
) -> None:
    away = {
        "REDIS_URL": "redis://127.0.0.1:1",
        "AMQP_URL": "amqp://guest:guest@127.0.0.1:1/",
        "ANCHORE_URL": "http://127.0.0.1:1",
    }
    status, queue, scan = await asyncio.gather(
        imagegate("status", "-o", "json", state=tmp_path, **away),
        imagegate("queue", state=tmp_path, **away),
        imagegate("scan", "a.example/b:1", state=tmp_path, **away),
    )
    assert status.code == 1
    assert status.out.count('"ok": false') == 5
    for ran in (queue, scan):
        assert (ran.code, ran.err.count("\n")) == (2, 1), ran
    assert "`imagegate status` says what is wrong" in scan.err


async def test_verdicts_of_one_image_are_told_whole(tmp_path: Path) -> None:
    told = Told()
    async with socket_of(told, tmp_path):
        ran = await imagegate("verdicts", "a.example/b", state=tmp_path)
    assert ran.code == 0
    assert ran.out.startswith("fail a.example/b:1, 2 s ago, stale\n  digest: sha256:aaa")
    assert told.images == ["a.example/b"]


async def test_keys_are_made_once_and_never_overwritten(tmp_path: Path) -> None:
    arguments = ("keys", "new", "--out", str(tmp_path / "k"), "--role", "operator")
    made = await imagegate(*arguments, state=tmp_path)
    assert made.code == 0
    assert "key id:" in made.out
    private = (tmp_path / "k" / "operator.key").read_bytes()
    assert private not in made.out.encode()
    again = await imagegate(*arguments, state=tmp_path)
    assert again.code == 2
    assert "not overwritten" in again.err
    assert (tmp_path / "k" / "operator.key").read_bytes() == private
