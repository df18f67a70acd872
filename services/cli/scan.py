"""`imagegate scan`: have an image judged before anybody runs it."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from services.cli.backend import open_scans
from services.cli.command import Exit, console, run, settings
from services.cli.reports.command import LocalOptions, exit_code, scan_locally
from services.cli.reports.local import shown_path
from services.cli.reports.output import Delivery, ReportForm, deliver
from services.cli.reports.reading import judged
from services.cli.reports.report import ScanReport
from services.cli.scans import BAD, GOOD, MAX_DOCKERFILE, UNDECIDED, ImageState, ScansView
from services.cli.tables import plain
from shared.domain.errors import ErrorKind, ImagegateError
from shared.domain.rules import PolicyChoice
from shared.domain.verdict import Outcome, Verdict
from shared.ports.clock import Clock
from shared.runtime.clock import SystemClock

POLL = 0.5
FROM = re.compile(rb"^(\xef\xbb\xbf)?[ \t]*FROM[ \t]+\S", re.IGNORECASE | re.MULTILINE)
"""Every Dockerfile has one; before the first there may be a byte order mark."""
CLOCKS_APART = 1_000
"""Milliseconds: a scanner that tells whole seconds says so much less than it means."""


class NotJudged(ImagegateError):
    """No verdict in the time that was given."""


class WrongOptions(ImagegateError):
    """Options that do not go together; the message says which to leave out."""


class _Asked(msgspec.Struct, frozen=True):
    """What the servers are asked for."""

    image: str
    dockerfile: Path | None
    policy: PolicyChoice | None
    force: bool
    wait: bool
    timeout: float


def scan(
    image: Annotated[str, typer.Argument(help="HOST/REPO:TAG, or with a digest.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is judged.")] = False,
    local: Annotated[
        bool,
        typer.Option("--local", help="In this process, by the built-in scanner: asks no server."),
    ] = False,
    dockerfile: Annotated[
        Path | None, typer.Option(help="Its Dockerfile: goes to Anchore, never to the queue.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Have Anchore analyse it anew, once a minute at most.")
    ] = False,
    policy: Annotated[str, typer.Option(help="By this policy's id alone.")] = "",
    policy_file: Annotated[
        Path | None, typer.Option(help="With --local: by the policy in this file.")
    ] = None,
    account: Annotated[str, typer.Option(help="Of this account of Anchore.")] = "",
    platform: Annotated[
        str, typer.Option(help="With --local: which of an index, as linux/arm64.")
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="With --local: its registry speaks plain HTTP.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds that --wait or --local waits.")
    ] = 300.0,
    output: Annotated[
        ReportForm, typer.Option("--output", "-o", help="How the report is written.")
    ] = ReportForm.TABLE,
    file: Annotated[
        Path | None, typer.Option(help="Write the report there, whole or not at all.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every row of the report.")] = False,
) -> None:
    """Have an image scanned, by all that the rules may ask about it or by one policy; with --wait
    or --local a report, and exit code 0 pass, 1 fail, 2 could not be judged."""
    delivery = Delivery(output, file, everything)
    options = LocalOptions(platform, policy_file, insecure)
    choice = PolicyChoice(account=account, id=policy) if account or policy else None

    async def ask() -> Exit:
        _check(local, options, choice)
        content = None if dockerfile is None else _read(dockerfile)
        if local or wait:
            delivery.check()
        if local:
            return await scan_locally(
                image,
                options,
                dockerfile=content,
                dockerfile_path=dockerfile,
                force=force,
                timeout=timeout,
                delivery=delivery,
            )
        if not wait and delivery.wanted:
            raise WrongOptions("there is a report once the image is judged: add --wait, or --local")
        asked = _Asked(image, dockerfile, choice, force, wait, timeout)
        return await _scan(asked, content, delivery)

    run(ask())


async def _scan(asked: _Asked, content: bytes | None, delivery: Delivery) -> Exit:
    """Have the servers judge it."""
    image, choice, force = asked.image, asked.policy, asked.force
    out = console() if delivery.form is ReportForm.TABLE else Console(stderr=True)
    async with open_scans(settings()) as backend:
        scans = backend.scans
        before = await scans.state(image, policy=choice)
        began = SystemClock().now()
        started = await scans.start(image, dockerfile=content, policy=choice, force=force)
        for digest in started.submitted:
            out.print(plain(f"submitted {digest} with its Dockerfile"))
        out.print(plain(f"{'under way already' if started.under_way else 'queued'}: {image}"))
        if started.under_way and force and not started.submitted:
            out.print(plain("not forced: somebody had it queued before; try again"))
        if not asked.wait:
            return Exit.GOOD
        state = await verdict_of(
            lambda: scans.state(image, policy=choice),
            before=before,
            began=began,
            timeout=asked.timeout,
            clock=SystemClock(),
        )
        seconds = (SystemClock().now() - began) / 1000
        report = await report_of(scans, state, dockerfile=asked.dockerfile)
    deliver(report, delivery, seconds=seconds)
    return exit_code(report.outcome)


async def report_of(
    scans: ScansView, state: ImageState, *, dockerfile: Path | None = None
) -> ScanReport:
    """The verdict, with what the scanner found in each manifest that it rests on."""
    accounts = {
        one.subject.digest: one.question.account for one in state.verdicts if _was_analysed(one)
    }
    images = await asyncio.gather(
        *(scans.report(digest, account=account) for digest, account in accounts.items())
    )
    return ScanReport(
        image=state.image,
        outcome=_outcome(state),
        message="; ".join((*state.answers, *((state.message,) if state.message else ()))),
        policies=tuple(dict.fromkeys(one.policy_id for one in state.verdicts if one.policy_id)),
        images=tuple(judged(image, state.verdicts) for image in images),
        at=SystemClock().now(),
        dockerfile=shown_path(dockerfile),
    )


def _was_analysed(verdict: Verdict) -> bool:
    """Whether the scanner has something to tell: also of an answer that was not believed."""
    judged_at_all = verdict.outcome is not Outcome.ERROR or verdict.error is ErrorKind.UNTRUSTED
    return bool(verdict.subject.digest) and judged_at_all


def _outcome(state: ImageState) -> Outcome:
    if state.state in GOOD:
        return Outcome.PASS
    return Outcome.FAIL if state.state in BAD else Outcome.ERROR


def _check(local: bool, options: LocalOptions, choice: PolicyChoice | None) -> None:
    """Raises WrongOptions."""
    if local and choice is not None:
        raise WrongOptions(
            "--policy and --account are about an Anchore: with --local name a file, --policy-file"
        )
    if not local and options.given:
        raise WrongOptions(f"{options.given} goes with --local: add it, or leave {options.given}")


async def verdict_of(
    look: Callable[[], Awaitable[ImageState]],
    *,
    before: ImageState,
    began: int,
    timeout: float,
    clock: Clock,
    poll: float = POLL,
) -> ImageState:
    """Poll until there is an answer newer than `before`; raises NotJudged after `timeout` s.

    `began` is when the scan was asked for (ms).
    """
    deadline = clock.monotonic() + timeout
    while True:
        state = await look()
        new = state.known_at != before.known_at or before.state in UNDECIDED
        if state.state not in UNDECIDED and (new or state.known_at >= began - CLOCKS_APART):
            return state
        if clock.monotonic() > deadline:
            raise NotJudged(_not_yet(state, timeout))
        await asyncio.sleep(poll)


def _not_yet(state: ImageState, timeout: float) -> str:
    look = "`imagegate status` and `imagegate queue` show what it waits for"
    if state.state not in UNDECIDED:
        last = f"the last is {state.state}"
        return f"{state.image}: no newer verdict after {timeout:g} s, {last}; {look}"
    why = f": {state.message}" if state.message else ""
    return f"{state.image} is not judged after {timeout:g} s ({state.state}){why}; {look}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_DOCKERFILE + 1)
    except OSError as error:
        raise NotJudged(f"cannot read the Dockerfile {path}: {error.strerror}") from error
    if len(content) > MAX_DOCKERFILE:
        raise NotJudged(f"the Dockerfile {path} is larger than {MAX_DOCKERFILE} bytes")
    # A key or a password named by mistake must not end up where others read it.
    if not FROM.search(content):
        raise NotJudged(
            f"{path} is no Dockerfile, it has no line FROM IMAGE: name the one that the image was "
            "built from; nothing was sent"
        )
    return content
