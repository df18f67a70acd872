"""`imagegate rules`: read, try, make a rules file. No server is asked."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from services.cli.command import Exit, OutputOption, console, error_console, fail, settings
from services.cli.local.wiring import format_of_rules, read_rules, terms_of
from services.cli.objects import UnreadableObjects, read_objects
from services.cli.rules.controller.files import read_controller
from services.cli.rules.controller.handed import UnreadableController
from services.cli.rules.controller.importing import import_controller
from services.cli.rules.controller.report import print_report
from services.cli.rules.controller.text import rules_text
from services.cli.rules.options import (
    NamespaceLabelOption,
    NamespaceOption,
    UserOption,
    labels_of,
    pairs_of,
)
from services.cli.rules.trial import Setting, Tried, try_object
from services.cli.tables import Output, plain, print_json
from services.webhook.terms import Terms
from shared.domain.errors import ImagegateError, InvalidRules, InvalidSettings
from shared.domain.pointer import DAY
from shared.domain.rules import Rules
from shared.domain.scope import RuleBook

SOON = 14 * DAY
"""An exception that ends within this is worth a line."""

app = typer.Typer(no_args_is_help=True, help="What holds for which image: the rules file.")

FileArgument = Annotated[Path, typer.Argument(help="The rules file.")]


@app.command()
def check(file: FileArgument) -> None:
    """Read FILE as the services do: exit code 0 good, 1 with the mistake's line and key."""
    rules = _read(file)
    printed = console()
    printed.print(plain(f"{file}: {_told(rules)}", limit=1000), soft_wrap=True)
    for line in _remarks(rules, now=_now()):
        printed.print(plain(f"  {line}", limit=1000, style="yellow"), soft_wrap=True)


@app.command("test")
def try_(
    file: FileArgument,
    objects: Annotated[Path, typer.Argument(help="A YAML file with pods and workloads.")],
    *,
    namespace: NamespaceOption = "default",
    user: UserOption = "",
    namespace_label: NamespaceLabelOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Which rules each image falls under, and what they ask."""
    book = RuleBook(_read(file))
    setting = Setting(namespace, user, labels_of(namespace_label))
    terms = _terms()
    tried: list[Tried] = []
    try:
        for one in read_objects(objects):
            found = try_object(
                one.content,
                title=one.title,
                book=book,
                setting=setting,
                terms=terms,
                now=_now(),
            )
            tried += found or []
    except UnreadableObjects as error:
        fail(str(error))
    except ImagegateError as error:
        fail(f"{objects}: would be refused unread: {error}")
    if not tried:
        fail(f"{objects} holds no image of a Pod or a workload, and only these are judged")
    if output is Output.JSON:
        print_json(console(), tried)
    else:
        _print(console(), tried)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the rules file, for editors and CI."""
    print_json(console(), format_of_rules())


@app.command()
def starter() -> None:
    """Print rules to start from."""
    sys.stdout.write(files("services.cli.rules").joinpath("starter.yaml").read_text())


@app.command("import")
def import_(
    config: Annotated[
        Path, typer.Argument(help="The controller's config.json, its ConfigMap, or chart values.")
    ],
    credentials: Annotated[
        Path | None, typer.Argument(help="Its credentials.json, or its Secret.")
    ] = None,
    *,
    account: Annotated[
        list[str] | None,
        typer.Option(help="USER=ACCOUNT of Anchore, where they differ; may be repeated."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the rules here.")] = None,
) -> None:
    """Turn what Anchore's own admission controller was told into rules; what became of each
    selector is told on standard error. Exit code 0 all is kept, 1 something means something else,
    2 error."""
    try:
        controller = read_controller(config, credentials)
    except UnreadableController as error:
        fail(str(error))
    imported = import_controller(controller, accounts=pairs_of(account, "--account USER=ACCOUNT"))
    _write(rules_text(imported, source=config.name), out)
    print_report(error_console(), imported, controller)
    if not imported.kept:
        raise typer.Exit(int(Exit.BAD))


def _write(text: str, out: Path | None) -> None:
    if out is None:
        sys.stdout.write(text)
        return
    try:
        out.write_text(text)
    except OSError as error:
        fail(f"cannot write {out}: {error.strerror}")


def _terms() -> Terms:
    """Those of webhooks with the settings of here: IMAGEGATE_PIN, IMAGEGATE_SCANNER."""
    try:
        return terms_of(settings())
    except InvalidSettings as error:
        fail(str(error))


def _read(file: Path) -> Rules:
    try:
        return read_rules(file)
    except InvalidRules as error:
        fail(str(error), code=Exit.BAD)


def _now() -> int:
    return int(time.time() * 1000)


def _told(rules: Rules) -> str:
    counts = (
        (len(rules.rules), "rules"),
        (len(rules.exceptions), "exceptions"),
        (len(rules.registries), "registries"),
    )
    words = ", ".join(f"{count} {what}" for count, what in counts)
    default = rules.default
    return f"good: {words}; what none matches: {default.mode}, {default.require}"


def _remarks(rules: Rules, *, now: int) -> list[str]:
    """What is no mistake, and will surprise somebody."""
    remarks = []
    for exception in rules.exceptions:
        day = datetime.fromtimestamp(exception.expires / 1000, tz=UTC).strftime(
            "%Y-%m-%d %H:%M UTC"
        )
        about = f"the exception of {exception.owner} for {exception.image}"
        if not exception.counts(now):
            remarks.append(f"{about} has ended ({day}): take it out")
        elif exception.expires < now + SOON:
            remarks.append(f"{about} ends soon ({day})")
    for entry in rules.registries:
        for path in (entry.credentials, entry.user_file, entry.password_file):
            if path and not Path(path).is_file():
                remarks.append(f"registry {entry.host}: {path} is not there (on this machine)")
    return remarks


def _print(printed: Console, tried: Sequence[Tried]) -> None:
    table = Table(title="Rules", title_justify="left")
    for heading in ("object", "image", "rule", "mode", "asks", "says"):
        table.add_column(heading, overflow="fold")
    for one in tried:
        says = [one.says] if one.says else []
        says += ["pinned"] if one.pinned else []
        says += [f"exception: {each}" for each in one.exceptions]
        table.add_row(
            plain(f"{one.object} {one.place}"),
            plain(one.image),
            plain(f"{one.rule}{', adds' if one.adds else ''}"),
            one.mode,
            plain(one.asks),
            plain("; ".join(says), limit=600),
        )
    printed.print(table)
