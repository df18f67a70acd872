import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from services.cli.show.images import ShowImage, show_images
from services.cli.show.outcomes import Result, Traffic
from services.cli.show.report import Narrator, print_result
from services.cli.show.stage import Stage
from services.cli.webhook_client import webhook_client
from services.console.rows import VerdictRow
from shared.runtime.clock import SystemClock
from shared.runtime.http import serve
from shared.runtime.tls import client_context, ensure_certificate, server_context
from tests.fakes.webhook import FakeWebhook, Response, allowed, denied

REGISTRY = "127.0.0.1:5999"
EXPECTED: dict[str, Response] = {
    "good": allowed(),
    "ssh": denied(403, "image x: refused by policy p: openssh-server is installed"),
    "root": denied(403, "image x: refused by policy p: user root"),
    "expat": denied(403, "image x: refused by policy p: CRITICAL CVE-2024-45491\n  more"),
    "untagged": denied(403, "image x: refused by policy p: FROM has no tag"),
    "nobody": denied(403, "image x: could not be judged: it has no such image"),
    "warmed": allowed(),
}
WARMED = VerdictRow(f"{REGISTRY}/team/warmed:1.0", "sha256:" + "b" * 64, "pass", 1, 0.0, False)


class Store:
    def __init__(self, rows: tuple[VerdictRow, ...] = ()) -> None:
        self.rows = rows

    async def verdicts(self, *, limit: int) -> tuple[VerdictRow, ...]:
        return self.rows


class Intake:
    """Has what is pushed judged at once, or never."""

    def __init__(self, store: Store, *, judges: bool) -> None:
        self._store = store
        self._judges = judges
        self.pushes: list[tuple[str, str]] = []

    async def pushed(self, image: ShowImage, digest: str) -> None:
        self.pushes.append((image.reference, digest))
        if self._judges:
            self._store.rows += (WARMED,)


class Scans:
    def __init__(self) -> None:
        self.started: list[tuple[str, bytes | None]] = []

    async def start(self, image: str, *, dockerfile: bytes | None) -> None:
        self.started.append((image, dockerfile))


class Meter:
    def __init__(self) -> None:
        self.reads = 0

    async def traffic(self) -> Traffic:
        self.reads += 1
        return Traffic({"request in lane admission": 6 * self.reads}, {"check": 3})


class Show:
    """A stage over real HTTPS in front of fakes, and what was printed."""

    def __init__(self, stage: Stage, out: io.StringIO, scans: Scans, intake: Intake) -> None:
        self._stage = stage
        self._out = out
        self.scans = scans
        self.intake = intake

    async def run(self) -> tuple[Result, str]:
        result = await self._stage.run(show_images())
        print_result(Console(file=self._out, width=200), result)
        return result, self._out.getvalue()


@asynccontextmanager
async def staged(
    folder: Path,
    *,
    answers: Mapping[str, Response] = EXPECTED,
    pending: int = 2,
    rows: tuple[VerdictRow, ...] = (),
    patience: float = 30.0,
    judges: bool = True,
) -> AsyncIterator[tuple[Show, FakeWebhook]]:
    files = ensure_certificate(folder)
    store = Store(rows)
    webhook = FakeWebhook(
        answers={f"{REGISTRY}/team/{name}:1.0": answer for name, answer in answers.items()},
        pending=pending,
        known=lambda image: image == WARMED.image and WARMED in store.rows,
    )
    out = io.StringIO()
    scans = Scans()
    intake = Intake(store, judges=judges)
    async with (
        serve(webhook.app(), tls=server_context(files)) as bound,
        webhook_client(bound.url, tls=client_context(files.certificate)) as client,
    ):
        stage = Stage(
            webhooks=[client],
            store=store,
            scans=scans,
            intake=intake,
            digests={"team/warmed:1.0": WARMED.digest},
            meter=Meter(),
            registry=REGISTRY,
            audience=Narrator(console=Console(file=out, width=200)),
            clock=SystemClock(),
            patience=patience,
            again_after=0.01,
        )
        yield Show(stage, out, scans, intake), webhook


async def test_each_pod_is_asked_until_it_is_decided_and_then_once_more(tmp_path: Path) -> None:
    async with staged(tmp_path) as (show, webhook):
        result, _ = await show.run()
    assert result.as_expected
    assert {outcome.asked for outcome in result.outcomes} == {3}
    asked = {image.rpartition("/")[2]: times for image, times in webhook.asked.items()}
    assert asked.pop("warmed:1.0") == 1
    assert set(asked.values()) == {4}
    assert set(webhook.queries) == {"timeout=5s"}


async def test_the_first_answer_is_shown_as_it_is_with_the_time_to_the_decision(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as (show, _):
        _, text = await show.run()
    assert "good: pending (429)" in text
    assert "not judged yet, its scan is under way: try again" in text
    assert "asked 3 times" in text


async def test_the_table_says_what_came_from_a_scan_and_what_from_the_store(
    tmp_path: Path,
) -> None:
    known = VerdictRow(f"{REGISTRY}/team/good:1.0", "sha256:" + "a" * 64, "pass", 1, 0.0, False)
    async with staged(tmp_path, rows=(known,)) as (show, _):
        result, text = await show.run()
    good, ssh = result.outcomes[:2]
    assert (good.known_before, ssh.known_before) == (True, False)
    assert "CRITICAL CVE-2024-45491" in text
    assert "team/expat:1.0" in text
    assert "Its Dockerfile was sent before by imagegate scan" in text
    assert "Every answer was the expected one." in text


async def test_the_dockerfile_goes_to_the_scanner_before_the_first_review(tmp_path: Path) -> None:
    async with staged(tmp_path) as (show, _):
        await show.run()
    ((image, dockerfile),) = show.scans.started
    assert image == f"{REGISTRY}/team/untagged:1.0"
    assert dockerfile is not None
    assert dockerfile.startswith(b"FROM debian\n")


async def test_what_happened_behind_is_what_was_added_meanwhile(tmp_path: Path) -> None:
    async with staged(tmp_path) as (show, _):
        result, text = await show.run()
    assert result.traffic == Traffic({"request in lane admission": 6}, {})
    assert "step request in lane admission" in text


async def test_a_pushed_image_is_asked_about_only_once_its_verdict_is_there(tmp_path: Path) -> None:
    async with staged(tmp_path, pending=0) as (show, _):
        result, text = await show.run()
    assert show.intake.pushes == [("team/warmed:1.0", WARMED.digest)]
    (warmed,) = result.warmed
    assert warmed.first.answer.allowed
    assert "after its push event, before anybody asked; the first pod with it: allowed" in text


async def test_an_image_that_its_push_event_did_not_warm_is_a_surprise(tmp_path: Path) -> None:
    async with staged(tmp_path, pending=1, judges=False, patience=2.0) as (show, _):
        result, text = await show.run()
    assert not result.as_expected
    assert "warmed: expected it allowed. It says: image x: not judged yet" in text


async def test_a_wrong_answer_is_named_and_the_show_is_not_as_expected(tmp_path: Path) -> None:
    answers = EXPECTED | {
        "good": denied(403, "image x: refused"),
        "root": allowed(),
        "expat": denied(403, "image x: refused by policy p: another reason"),
        "nobody": denied(500, "image x: no such image"),
    }
    async with staged(tmp_path, answers=answers, pending=0) as (show, _):
        result, text = await show.run()
    assert not result.as_expected
    assert "good: expected it allowed" in text
    assert "root: expected it denied" in text
    assert "expat: expected 'CVE-2024-4549' in it" in text
    assert "nobody: expected code 403, got 500" in text


async def test_a_pod_that_stays_undecided_ends_the_patience_and_is_a_surprise(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, pending=1_000_000, patience=0.1) as (show, _):
        result, text = await show.run()
    assert not result.as_expected
    assert "good: expected it allowed. It says: image x: not judged yet" in text
