"""Registries and what became of them, for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from services.cli.registries.sync import Done, SyncRow
from services.cli.tables import plain
from shared.ports.registries import KnownRegistry

STYLES = {
    Done.ADDED: "green",
    Done.UPDATED: "green",
    Done.UNSAID: "yellow",
    Done.FAILED: "red",
}
OWN = "(its own)"
"""The account of our credentials."""


def print_registries(console: Console, rows: Sequence[KnownRegistry]) -> None:
    """One line each; no password is in them."""
    if not rows:
        console.print("no registries: `imagegate registries sync` adds those of the rules file")
        return
    table = Table(title="Registries", title_justify="left")
    for heading in ("registry", "user", "type", "certificate", "name"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        name = row.name if row.name != row.registry else ""
        table.add_row(
            *(plain(cell) for cell in (row.registry, row.user, row.kind, _verify(row.verify), name))
        )
    console.print(table)


def print_sync(console: Console, rows: Sequence[SyncRow]) -> None:
    """What became of each, in each account; then the remarks, each once."""
    if not rows:
        console.print("the rules file names no registries, and Anchore has none")
        return
    table = Table(title="Registries", title_justify="left")
    for heading in ("account", "registry", "user", "certificate", "what"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            plain("" if row.account is None else row.account or OWN),
            plain(row.registry),
            plain(row.user),
            "" if not row.user else _verify(row.verify),
            plain(row.done, style=STYLES.get(row.done, "")),
        )
    console.print(table)
    for remark, named in _remarks(rows).items():
        about = f"{', '.join(named)}: " if named else ""
        console.print(plain(f"{about}{remark}", limit=1000), soft_wrap=True)


def _remarks(rows: Sequence[SyncRow]) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for row in rows:
        if row.remark:
            names = told.setdefault(row.remark, [])
            if row.registry and row.registry not in names:
                names.append(row.registry)
    return told


def _verify(verify: bool) -> str:
    return "checked" if verify else "not checked"
