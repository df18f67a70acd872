"""The report for people: as wide as their terminal, nothing from outside taken for markup."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
from rich.console import Console, RenderableType
from rich.filesize import decimal
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from services.cli.reports.advice import advice_of
from services.cli.reports.report import (
    ImageReport,
    ScanReport,
    by_severity,
    by_type,
)
from services.cli.reports.sarif import is_link
from services.cli.tables import age, plain
from shared.domain.image_report import Severity, Vulnerability
from shared.domain.verdict import Action, Finding, Outcome

SHOWN = 20
"""Rows of a table, unless all are wanted."""
ADDRESSES = 130
"""Columns from which on there is room for addresses, where nobody can follow a link."""
NARROW = 70
"""Columns below which a vulnerability is two lines and no row of a table."""

SEVERITY_STYLES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "",
    Severity.NEGLIGIBLE: "dim",
    Severity.UNKNOWN: "magenta",
}
ACTION_STYLES = {Action.STOP: "red", Action.WARN: "yellow", Action.GO: "dim"}
STYLES = {Outcome.PASS: "bold green", Outcome.FAIL: "bold red", Outcome.ERROR: "bold yellow"}


class Look(msgspec.Struct, frozen=True):
    """How much room there is, and how much is wanted."""

    width: int
    terminal: bool
    """Where links can be followed."""
    everything: bool = False


def print_report(
    out: Console, report: ScanReport, *, everything: bool = False, seconds: float | None = None
) -> None:
    """Each manifest, and the last word at the end. `seconds`: how long it took."""
    look = Look(out.width, out.is_terminal, everything)
    for number, image in enumerate(report.images):
        if number:
            out.print()
        out.print(plain(report.image, style="bold", limit=600), soft_wrap=True)
        for part in _image(image, report, look):
            out.print(part)
    out.print()
    for part in _last(report, seconds):
        out.print(part)


def _image(image: ImageReport, report: ScanReport, look: Look) -> Iterator[RenderableType]:
    yield _indented(plain(image.digest, style="dim"))
    yield _indented(plain(", ".join(_facts(image)) or "nothing else is known of it"))
    yield from _packages(image)
    yield from _vulnerabilities(image, look)
    if image.gaps:
        yield _title("Not known", "")
        yield from _items([("!", "yellow", gap) for gap in image.gaps])
    yield from _findings(image.findings, report, look)


def _facts(image: ImageReport) -> Iterator[str]:
    about = image.about
    if about is None:
        return
    if about.architecture:
        yield about.architecture
    if about.release:
        yield f"{about.distro} {about.distro_version}".strip()
    if about.size:
        yield decimal(about.size)
    if about.layers:
        yield f"{about.layers} layer{'' if about.layers == 1 else 's'}"
    if about.dockerfile:
        own = about.dockerfile.lower() == "actual"
        yield "its own Dockerfile" if own else "a Dockerfile guessed from its history"


def _packages(image: ImageReport) -> Iterator[RenderableType]:
    if image.packages is None:
        yield _title("Packages", "could not be read")
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in by_type(image.packages).items())
    yield _title("Packages", kinds or "none")


def _vulnerabilities(image: ImageReport, look: Look) -> Iterator[RenderableType]:
    found = image.vulnerabilities
    if found is None:
        yield _title("Vulnerabilities", "could not be read")
        return
    yield _counts(found)
    data = _data(image)
    if data:
        yield _indented(plain(data, style="dim"))
    shown = found if look.everything else found[:SHOWN]
    if shown:
        drawn = _list(shown) if look.width < NARROW else _table(shown, look)
        yield _indented(drawn)
    if len(shown) < len(found):
        yield _indented(Text(f"and {len(found) - len(shown)} more: --all shows them"))


def _counts(found: Sequence[Vulnerability]) -> Text:
    line = _title("Vulnerabilities", "" if found else "none known")
    for number, (severity, count) in enumerate(by_severity(found).items()):
        line.append(", " if number else "  ", style="not bold")
        line.append(f"{count} {severity}", style=SEVERITY_STYLES[severity])
    return line


def _data(image: ImageReport) -> str:
    """Which data it was matched with, and how old that is."""
    coverage, group = image.coverage, image.data
    name = coverage.release if coverage else group.name if group else ""
    as_of = coverage.as_of if coverage else group.as_of if group else None
    if not name or as_of is None:
        return ""
    records = f", {group.records} records" if group and group.records else ""
    return f"matched with the data about {name}{records}, as of {_day(as_of)}"


def _table(found: Sequence[Vulnerability], look: Look) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    address = not look.terminal and look.width >= ADDRESSES
    for heading in ("severity", "vulnerability", "package", "installed", "fixed in"):
        table.add_column(heading, overflow="fold")
    if address:
        table.add_column("address", overflow="fold")
    for one in found:
        table.add_row(
            Text(str(one.severity), style=SEVERITY_STYLES[one.severity]),
            _linked(one),
            plain(one.package),
            plain(one.version),
            _fixed(one),
            *((plain(one.url),) if address else ()),
        )
    return table


def _list(found: Sequence[Vulnerability]) -> Table:
    """Each in three lines, for a narrow terminal."""
    grid = Table.grid()
    grid.add_column(overflow="fold")
    for one in found:
        first = Text(f"{one.severity} ", style=SEVERITY_STYLES[one.severity])
        grid.add_row(first.append_text(_linked(one)))
        grid.add_row(Padding(plain(f"{one.package} {one.version}"), (0, 0, 0, 2)))
        fixed = Text("fixed in " if one.fixed else "").append_text(_fixed(one))
        grid.add_row(Padding(fixed, (0, 0, 0, 2)))
    return grid


def _linked(one: Vulnerability) -> Text:
    text = plain(one.id)
    if is_link(one.url):
        text.stylize(Style(link=one.url))
    return text


def _fixed(one: Vulnerability) -> Text:
    if one.fixed:
        return plain(one.fixed, style="green")
    return Text("will not be" if one.will_not_fix else "no fix known", style="dim")


def _findings(
    findings: Sequence[Finding], report: ScanReport, look: Look
) -> Iterator[RenderableType]:
    policies = ", ".join(report.policies)
    if not policies:
        return
    yield _title(
        "Policy",
        f"{policies}: {_actions(findings)}" if findings else f"{policies}: nothing found",
    )
    shown = findings if look.everything else findings[:SHOWN]
    yield from _items(
        [
            (
                _action(one),
                ACTION_STYLES[one.action],
                f"{one.message} ({one.gate}/{one.trigger})",
            )
            for one in shown
        ]
    )
    if len(shown) < len(findings):
        yield _indented(Text(f"and {len(findings) - len(shown)} more: --all shows them"))


def _actions(findings: Sequence[Finding]) -> str:
    counts = {action: sum(one.action is action for one in findings) for action in Action}
    words = {Action.STOP: "stop it", Action.WARN: "warn", Action.GO: "let through"}
    return ", ".join(f"{count} {words[action]}" for action, count in counts.items() if count)


def _action(finding: Finding) -> str:
    return "let through" if finding.action is Action.GO else str(finding.action)


def _last(report: ScanReport, seconds: float | None) -> Iterator[RenderableType]:
    word, style = str(report.outcome), STYLES[report.outcome]
    took = "" if seconds is None else f" after {age(seconds)}"
    yield Text(word, style=style).append_text(plain(f"{took}: {report.image}", limit=600))
    for line in advice_of(report):
        yield _indented(plain(line, limit=1_000))


def _items(items: Sequence[tuple[str, str, str]]) -> Iterator[RenderableType]:
    """(mark, its style, text) one below the other, each text beside its mark."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for mark, style, text in items:
        grid.add_row(Text(mark, style=style), plain(text, limit=1_000))
    if items:
        yield _indented(grid)


def _title(name: str, what: str) -> Text:
    return Text(f"\n{name}", style="bold").append_text(
        plain(f"  {what}" if what else "", limit=600)
    )


def _indented(what: RenderableType) -> Padding:
    return Padding(what, (0, 0, 0, 2))


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")
