"""`imagegate feeds`: what the built-in scanner knows of vulnerabilities."""

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console

from services.cli.command import Exit, OutputOption, console, run
from services.cli.command import settings as cli_settings
from services.cli.feeds.progress import watching
from services.cli.feeds.status import FeedReport, report_of_data, report_of_folder, report_of_server
from services.cli.feeds.table import print_imported, print_report, print_synced
from services.cli.feeds.wiring import data_of_grype, data_of_server, imports_of, syncing_of
from services.cli.feeds.wording import hours, milliseconds
from services.cli.tables import Output, plain, print_json
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.state import Imported, Progress
from services.scanner.feeds.syncing import DEFAULT, Synced, Watching, checked_ecosystems
from services.scanner.settings import FeedSettings
from shared.runtime.clock import SystemClock
from shared.runtime.settings import read_settings, required

Result = TypeVar("Result")

app = typer.Typer(
    no_args_is_help=True, help="What the built-in scanner knows of vulnerabilities, and how old."
)

FolderOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the feed; default: the scanner's on this machine (IMAGEGATE_SCANNER_FEED, "
        "else in IMAGEGATE_STATE)."
    ),
]


@app.command("import")
def import_files(
    files: Annotated[
        list[Path], typer.Argument(help="OSV records: .json, .zip of them, or folders of both.")
    ],
    *,
    whole: Annotated[
        list[str] | None,
        typer.Option(
            help="They are OSV's whole dump of this ecosystem (Debian, PyPI): what it says nothing "
            "about is not affected. May be given several times."
        ),
    ] = None,
    as_of: Annotated[
        str, typer.Option(help="When they were made, as 2026-11-25; default: the newest record.")
    ] = "",
    leave_out_unreadable: Annotated[
        bool,
        typer.Option(
            "--leave-out-unreadable", help="Do without records that nobody can read at all."
        ),
    ] = False,
    folder: FolderOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Read vulnerability records into the feed; the feed before stays until the new one is whole.

    Exit code 2 when nothing was imported.
    """

    async def work() -> None:
        settings = _settings(folder)
        ecosystems = checked_ecosystems(whole or ())
        at = milliseconds(as_of) if as_of else None
        with watching(_say(settings)) as watched:
            imported = await imports_of(settings).run(
                [file.absolute() for file in files],
                whole=ecosystems,
                as_of=at,
                leave_out_unreadable=leave_out_unreadable,
                progress=_told_to(watched),
            )
        _print(imported, output)
        if not ecosystems:
            _say_that_silence_means_nothing()

    run(_unless_stopped(work(), "nothing was changed"))


@app.command()
def sync(
    *,
    ecosystem: Annotated[
        list[str] | None,
        typer.Option(
            "--ecosystem",
            "-e",
            help="Of OSV, such as Debian or PyPI; may be given several times. Default: "
            f"IMAGEGATE_SCANNER_SYNC, else {', '.join(DEFAULT)}.",
        ),
    ] = None,
    url: Annotated[
        str, typer.Option(help="Of a mirror; default: IMAGEGATE_SCANNER_SYNC_URL, else OSV's own.")
    ] = "",
    folder: FolderOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Download OSV's dumps and import what changed; goes on where it was interrupted.

    Exit code 1 when an ecosystem failed (the others are up to date), 2 when none could be tried.
    """

    async def work() -> Exit:
        settings = _settings(folder, url=url)
        wanted = checked_ecosystems(ecosystem or settings.imagegate_scanner_sync or ("default",))
        with watching(_say(settings)) as watched:
            synced = await syncing_of(settings).sync(wanted, watching=watched)
        _print_all(synced, output)
        return Exit.BAD if any(one.outcome == "failed" for one in synced) else Exit.GOOD

    again = "what came is kept: run it again and it goes on from there"
    run(_unless_stopped(work(), again))


@app.command()
def status(
    *,
    max_age: Annotated[
        str, typer.Option(help="Exit code 1 when anything is older, such as 36h or 3d.")
    ] = "",
    server: Annotated[
        bool, typer.Option("--server", help="Ask the server that ANCHORE_URL names.")
    ] = False,
    folder: FolderOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """What there is data about, how much, up to when; exit code 1 when there is none."""

    async def look() -> Exit:
        limit = hours(max_age) if max_age else None
        report = await (_of_server(limit) if server else _of_this_machine(folder, limit))
        if output is Output.JSON:
            print_json(console(), report)
        else:
            print_report(console(), report)
        return Exit.BAD if report.problems else Exit.GOOD

    run(look())


async def _of_this_machine(folder: Path | None, max_age: float | None) -> FeedReport:
    settings, now = _settings(folder), SystemClock().now()
    if folder is None and settings.imagegate_scanner_vulnerabilities == "grype":
        grype = await data_of_grype(settings)
        place = f"the folder {settings.grype_cache}"
        return report_of_data(grype, place=place, now=now, max_age=max_age)
    state = await asyncio.to_thread(FeedFolder(settings.feeds).state)
    return report_of_folder(state, folder=str(settings.feeds), now=now, max_age=max_age)


async def _of_server(max_age: float | None) -> FeedReport:
    settings = cli_settings()
    url = required(settings.anchore_url, "ANCHORE_URL", "http://127.0.0.1:8228")
    groups = await data_of_server(settings)
    return report_of_server(groups, url=url, now=SystemClock().now(), max_age=max_age)


def _settings(folder: Path | None, *, url: str = "") -> FeedSettings:
    """The scanner's own on this machine, but for what was said on the command line."""
    found = read_settings(FeedSettings)
    if folder is not None:
        found = msgspec.structs.replace(found, imagegate_scanner_feed=folder.absolute())
    if url:
        found = msgspec.structs.replace(found, imagegate_scanner_sync_url=url)
    return found


def _say(settings: FeedSettings) -> Console:
    """Standard error, on which it stands first which folder this is about."""
    said = Console(stderr=True)
    said.print(plain(f"the feed in {settings.feeds}", limit=1000), soft_wrap=True)
    if settings.imagegate_scanner_vulnerabilities == "grype":
        said.print(
            "the scanner here does not read it: IMAGEGATE_SCANNER_VULNERABILITIES=grype has Grype "
            "asked, whose database `grype db update` or `grype db import` bring",
            style="yellow",
            soft_wrap=True,
        )
    return said


def _say_that_silence_means_nothing() -> None:
    Console(stderr=True).print(
        "packages that these records do not name count as not known: if they are all that OSV has "
        "of an ecosystem, import them with --whole and its name",
        style="yellow",
        soft_wrap=True,
    )


def _told_to(watched: Watching) -> Progress:
    return lambda step, done, total: watched.importing("the import", step, done, total)


async def _unless_stopped(work: Awaitable[Result], kept: str) -> Result:
    """After Ctrl-C it says what that left."""
    try:
        return await work
    except asyncio.CancelledError:
        Console(stderr=True).print(f"stopped: {kept}", style="yellow", soft_wrap=True)
        raise


def _print(imported: Imported, output: Output) -> None:
    if output is Output.JSON:
        print_json(console(), imported)
    else:
        print_imported(console(), imported)


def _print_all(synced: Sequence[Synced], output: Output) -> None:
    if output is Output.JSON:
        print_json(console(), synced)
    elif not (sys.stdout.isatty() and sys.stderr.isatty()):
        print_synced(console(), synced)  # at a terminal the bars have left the same behind
