"""`imagegate scan`: have an image judged before anybody runs it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.backend import open_scans
from services.cli.command import Exit, console, run, settings
from services.cli.scans import BAD, GOOD, MAX_DOCKERFILE, UNDECIDED, ImageState
from services.cli.tables import age, plain
from shared.domain.errors import ImagegateError
from shared.domain.rules import PolicyChoice
from shared.ports.clock import Clock
from shared.runtime.clock import SystemClock

POLL = 0.5
CLOCKS_APART = 1_000
"""Milliseconds: a scanner that tells whole seconds says so much less than it means."""


class NotJudged(ImagegateError):
    """No verdict in the time that was given."""


def scan(
    image: Annotated[str, typer.Argument(help="HOST/REPO:TAG, or with a digest.")],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is judged.")] = False,
    dockerfile: Annotated[
        Path | None, typer.Option(help="Its Dockerfile: goes to Anchore, never to the queue.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Have Anchore analyse it anew, once a minute at most.")
    ] = False,
    policy: Annotated[str, typer.Option(help="By this policy's id alone.")] = "",
    account: Annotated[str, typer.Option(help="Of this account of Anchore.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds that --wait waits.")] = 300.0,
) -> None:
    """Have an image scanned, by all that the rules may ask about it or by one policy; with --wait
    exit code 0 pass, 1 fail, 2 could not be judged."""
    choice = PolicyChoice(account=account, id=policy) if account or policy else None

    async def ask() -> Exit:
        content = None if dockerfile is None else _read(dockerfile)
        async with open_scans(settings()) as backend:
            scans, out = backend.scans, console()
            before = await scans.state(image, policy=choice)
            began = SystemClock().now()
            started = await scans.start(image, dockerfile=content, policy=choice, force=force)
            for digest in started.submitted:
                out.print(plain(f"submitted {digest} with its Dockerfile"))
            out.print(plain(f"{'under way already' if started.under_way else 'queued'}: {image}"))
            if started.under_way and force and not started.submitted:
                out.print(plain("not forced: somebody had it queued before; try again"))
            if not wait:
                return Exit.GOOD
            state = await verdict_of(
                lambda: scans.state(image, policy=choice),
                before=before,
                began=began,
                timeout=timeout,
                clock=SystemClock(),
            )
        return _print(out, state, seconds=(SystemClock().now() - began) / 1000)

    run(ask())


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
    return content


def _print(out: Console, state: ImageState, *, seconds: float) -> Exit:
    style = "green" if state.state in GOOD else "red" if state.state in BAD else "yellow"
    out.print(plain(f"{state.state} after {age(seconds)}: {state.image}", style=style))
    for line in (*state.answers, state.message, *state.findings, *state.digests):
        if line:
            out.print(plain(f"  {line}"), soft_wrap=True)
    if state.state in GOOD:
        return Exit.GOOD
    return Exit.BAD if state.state in BAD else Exit.ERROR
