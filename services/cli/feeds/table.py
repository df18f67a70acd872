"""A feed for people: what it is about, up to when, and where its silence means nothing."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from services.cli.feeds.status import FeedReport, ReleaseRow
from services.cli.feeds.wording import how_old, megabytes, moment, number, outcome
from services.cli.tables import plain
from services.scanner.feeds.state import Imported
from services.scanner.feeds.syncing import Synced

MAX_BAD = 10
"""Bad records that are shown; as JSON all of them are."""


def print_report(console: Console, report: FeedReport) -> None:
    """Where it is, the releases, then what is wrong."""
    console.print(plain(f"{report.source} data of {report.place}", limit=1000), soft_wrap=True)
    if report.as_of is not None and not report.releases:
        console.print(f"as of {moment(report.as_of)}, {how_old(report.as_of, now=report.now)} old")
    if report.releases:
        console.print(_releases(report.releases, report.now))
    if report.scores:
        console.print(f"scores of {number(report.scores)} CVEs, for records that have none")
    for problem in report.problems:
        console.print(plain(problem, style="red", limit=1000), soft_wrap=True)


def print_imported(console: Console, imported: Imported) -> None:
    """What an import read, and what it could not use."""
    what = "a new feed" if imported.changed else "the feed says what it said before"
    console.print(
        f"{number(imported.records)} records read: {what} of {len(imported.state.releases)} "
        f"releases and languages, {megabytes(imported.state.size)}"
    )
    if imported.withdrawn:
        console.print(f"{number(imported.withdrawn)} of them are withdrawn and do not count")
    if imported.elsewhere:
        console.print(
            f"{number(imported.elsewhere)} are about nothing that images are asked about, or about "
            "other ecosystems than were named"
        )
    if imported.kept:
        console.print(plain(f"taken over from the feed before: {', '.join(imported.kept)}"))
    _print_bad(console, imported)


def print_synced(console: Console, synced: Sequence[Synced]) -> None:
    """One line each."""
    table = Table(title="Sync", title_justify="left")
    for heading in ("ecosystem", "dump", "what"):
        table.add_column(heading, overflow="fold")
    for one in synced:
        style = {"failed": "red", "imported": "green"}.get(one.outcome, "")
        size = megabytes(one.size) if one.size else "-"
        table.add_row(one.ecosystem, size, plain(outcome(one), style=style, limit=1000))
    console.print(table)


def _print_bad(console: Console, imported: Imported) -> None:
    if not imported.bad_count:
        return
    console.print(
        f"{number(imported.bad_count)} records could not be used, or not in full; what they are "
        "about counts as not covered:",
        style="yellow",
        soft_wrap=True,
    )
    for bad in imported.bad[:MAX_BAD]:
        console.print(plain(f"  {bad.where}: {bad.reason}", limit=300), soft_wrap=True)
    if imported.bad_count > MAX_BAD:
        console.print(f"  and {number(imported.bad_count - MAX_BAD)} more: --output json")


def _releases(rows: Sequence[ReleaseRow], now: int) -> Table:
    table = Table()
    for heading in ("of", "records", "packages", "as of", "age", "covers"):
        right = heading in ("records", "packages", "age")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for row in rows:
        style = "red" if row.stale else ""
        table.add_row(
            plain(row.name),
            number(row.records),
            "?" if row.packages is None else number(row.packages),
            moment(row.as_of),
            plain(how_old(row.as_of, now=now), style=style),
            _covers(row),
        )
    return table


def _covers(row: ReleaseRow) -> str:
    covers = {True: "all of it", False: f"{number(row.covered)} packages only"}
    told = [covers[row.whole] if row.whole is not None else "?"]
    if row.doubtful:
        told.append(f"but {number(row.doubtful)} packages with bad records")
    if row.ended:
        told.append(f"support ended on {row.ended}")
    return ", ".join(told)
