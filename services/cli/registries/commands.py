"""`imagegate registries`: where Anchore reads images, and how it logs in there."""

from collections.abc import Sequence
from typing import Annotated

import typer

from services.cli.command import Exit, OutputOption, console, result_of, run, settings
from services.cli.registries.sync import Done, SyncRow
from services.cli.registries.table import print_registries, print_sync
from services.cli.registries.wiring import direct_registries, registry_sync
from services.cli.settings import CliSettings
from services.cli.tables import Output, print_json
from shared.domain.errors import InvalidSettings
from shared.ports.registries import KnownRegistry

app = typer.Typer(
    no_args_is_help=True, help="Where Anchore reads images, and how it logs in there."
)


@app.command("list")
def list_registries(
    *,
    account: Annotated[str, typer.Option(help="Of this account of Anchore.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """The registries of an account; Anchore tells nobody their passwords."""
    rows = result_of(_listed(account))
    if output is Output.JSON:
        print_json(console(), rows)
    else:
        print_registries(console(), rows)


@app.command()
def sync(
    *,
    account: Annotated[
        list[str] | None,
        typer.Option(
            help="Into this account, more than once for several; default: those in which "
            "the rules ask."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give Anchore the registries of the rules file with their logins: exit code 0 all done, 1 some
    cannot be said to Anchore, 2 some failed. Nothing is removed."""
    run(_synced(account or (), dry=dry_run, output=output))


async def _listed(account: str) -> tuple[KnownRegistry, ...]:
    async with direct_registries(_with_anchore()) as registries:
        return await registries.all(account=account)


async def _synced(accounts: Sequence[str], *, dry: bool, output: Output) -> Exit:
    given = _with_anchore()
    if given.imagegate_rules is None:
        raise InvalidSettings(
            "IMAGEGATE_RULES is not set: set it to the rules file, whose registries Anchore is to "
            "have"
        )
    async with registry_sync(given) as sync_:
        rows = await sync_.run(accounts=accounts, dry=dry)
    if output is Output.JSON:
        print_json(console(), rows)
    else:
        print_sync(console(), rows)
    return _exit(rows)


def _with_anchore() -> CliSettings:
    given = settings()
    if not given.anchore_url:
        raise InvalidSettings(
            "ANCHORE_URL is not set: set it, and ANCHORE_USER and ANCHORE_PASSWORD_FILE, to ask "
            "Anchore. The built-in scanner has no registries of its own: it reads with the logins "
            "of the rules file"
        )
    return given


def _exit(rows: Sequence[SyncRow]) -> Exit:
    ends = {row.done for row in rows}
    if Done.FAILED in ends:
        return Exit.ERROR
    return Exit.BAD if Done.UNSAID in ends else Exit.GOOD
