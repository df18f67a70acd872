"""`imagegate policies`: what Anchore judges by."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from services.cli.backend import open_policies
from services.cli.command import OutputOption, console, fail, result_of, settings
from services.cli.policies.desk import Change, PolicyDesk, PolicyRow
from services.cli.policies.documents import NEEDS, baseline, baseline_text, read_document
from services.cli.policies.table import print_change, print_policies, print_policy
from services.cli.tables import Output, plain, print_json
from shared.domain.errors import InvalidPolicy
from shared.domain.policy import Policy
from shared.domain.policy_forms import Converted, Form, converted

app = typer.Typer(
    no_args_is_help=True, help="What Anchore judges by: policies, and the active one."
)

AccountOption = Annotated[str, typer.Option(help="Of this account of Anchore.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `policies list` shows it.")]


@app.command("list")
def list_policies(*, account: AccountOption = "", output: OutputOption = Output.TABLE) -> None:
    """The policies of an account, the active one first."""
    rows = result_of(_listed(account))
    if output is Output.JSON:
        print_json(console(), rows)
    else:
        print_policies(console(), rows)


@app.command()
def show(
    policy: IdArgument,
    *,
    account: AccountOption = "",
    form: Annotated[
        Form | None, typer.Option(help="Print the document, as this API has it.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """One policy: its rules, or its document, which can be pushed again."""
    found, own = result_of(_shown(policy, account))
    if form is None and output is Output.TABLE:
        print_policy(console(), found, own)
        return
    try:
        told = Converted(found.bundle) if form is None else converted(found.bundle, form)
    except InvalidPolicy as error:
        fail(f"the policy {policy}: {error}")
    print_json(console(), told.document)
    _say(*(f"left out: {path}, for which {form} has no place" for path in told.left_out))


@app.command()
def push(
    file: Annotated[
        Path | None, typer.Argument(help="A policy of either form as JSON; - is standard input.")
    ] = None,
    *,
    account: AccountOption = "",
    baseline: Annotated[
        bool, typer.Option("--baseline", help="The four rules, instead of a file.")
    ] = False,
    no_activate: Annotated[
        bool, typer.Option("--no-activate", help="Store it; what is active stays so.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Store a policy, new or changed, and make it the active one; at no moment is none active."""
    if baseline == (file is not None):
        fail("name a FILE to push (- for standard input), or --baseline for the four rules")
    change = result_of(_pushed(file, account=account, activate=not no_activate))
    _print(change, output)
    if baseline:
        _say(*NEEDS)


@app.command()
def activate(
    policy: IdArgument, *, account: AccountOption = "", output: OutputOption = Output.TABLE
) -> None:
    """Have the account's images judged by a policy that Anchore has."""
    _print(result_of(_activated(policy, account)), output)


@app.command("baseline")
def print_baseline(
    *,
    form: Annotated[Form, typer.Option(help="v1 for Engine, v2 for Enterprise.")] = Form.V1,
) -> None:
    """Print a policy with the four rules to start from: no critical OS vulnerabilities, FROM with a
    tag, not root, no openssh-server."""
    sys.stdout.write(baseline_text(form))
    sys.stdout.flush()
    _say(*NEEDS)


async def _listed(account: str) -> tuple[PolicyRow, ...]:
    async with open_policies(settings()) as policies:
        return await PolicyDesk(policies).listed(account=account)


async def _shown(policy: str, account: str) -> tuple[Policy, Form]:
    async with open_policies(settings()) as policies:
        found = await PolicyDesk(policies).one(policy, account=account)
        return found, await policies.form()


async def _pushed(file: Path | None, *, account: str, activate: bool) -> Change:
    document = None if file is None else read_document(file)
    async with open_policies(settings()) as policies:
        pushed = baseline(await policies.form()) if document is None else document
        try:
            return await PolicyDesk(policies).push(pushed, account=account, activate=activate)
        except InvalidPolicy as error:
            raise InvalidPolicy(f"{file}: {error}") from error


async def _activated(policy: str, account: str) -> Change:
    async with open_policies(settings()) as policies:
        return await PolicyDesk(policies).activate(policy, account=account)


def _print(change: Change, output: Output) -> None:
    if output is Output.JSON:
        print_json(console(), msgspec.to_builtins(change))
    else:
        print_change(console(), change)


def _say(*lines: str) -> None:
    said = Console(stderr=True)
    for line in lines:
        said.print(plain(line, style="yellow"), soft_wrap=True)
