"""What `imagegate rules import` says beside the rules: on standard error, for a person."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.rules.controller.files import Controller
from services.cli.rules.controller.outcome import Became, Imported, State
from services.cli.tables import plain

STYLES = {State.KEPT: "green", State.STRICTER: "yellow", State.CHECK: "bold yellow"}

NO_ADDRESS = "its anchoreEndpoint is no http(s) address: set ANCHORE_URL to the one that is meant"

OF_EVERY_IMPORT = (
    "init containers, ephemeral containers, image volumes and changed images are judged too: the "
    "controller looked at `containers` of new objects only",
    "a tag is pinned to the digest that was judged, and an image that nobody knows yet is analysed "
    "by itself: the pod is refused until then",
    "the chart let pods in while the controller was away (failurePolicy: Ignore), and namespaces "
    "labelled exclude.admission.anchore.io=true: neither holds here (docs/migration.md)",
)


def print_report(console: Console, imported: Imported, controller: Controller) -> None:
    """Each selector, the logins that are needed, what is so of every import, and a last line."""
    if controller.wrong_key:
        console.print(
            plain(
                "the selectors stand under `selectors`, where the controller does not look: it let "
                "everything in. They are taken for what was meant",
                style="bold yellow",
                limit=400,
            ),
            soft_wrap=True,
        )
    console.print(_table(imported))
    for line in (*_logins(imported, controller), *OF_EVERY_IMPORT):
        console.print(plain(f"- {line}", limit=2000))
    console.print(_summary(imported))


def _table(imported: Imported) -> Table:
    table = Table(title="Selectors", title_justify="left", show_lines=True)
    for heading in ("", "what it was", "meaning", "what it is here"):
        table.add_column(heading, overflow="fold", justify="left" if heading else "right")
    for each in imported.became:
        table.add_row(
            str(each.number or ""),
            _lines(*each.was.rsplit(": ", 1)),
            plain(each.state.value, style=STYLES[each.state]),
            _lines(_named(each, imported.default), *(f"- {why}" for why in each.why)),
        )
    return table


def _lines(*lines: str) -> Text:
    return Text("\n").join(plain(line, limit=1000) for line in lines)


def _named(each: Became, default: Mapping[str, object]) -> str:
    """The rules that a selector became."""
    if each.is_default or not each.number:
        return f"default, mode {default['mode']}"
    names = [f"{rule.name} ({'adds' if rule.adds else rule.terms['mode']})" for rule in each.rules]
    return "; ".join(names) or "no rule"


def _logins(imported: Imported, controller: Controller) -> Iterator[str]:
    if controller.endpoint:
        yield f"Anchore: {_address(controller.endpoint)}"
    named = {user: account for user, account in imported.accounts.items() if account}
    if named:
        pairs = ", ".join(f"{user} -> {account}" for user, account in named.items())
        yield (
            "login: imagegate has one, an admin of Anchore (ANCHORE_USER, ANCHORE_PASSWORD_FILE), "
            f"and asks in the account of each rule; users are taken to be called as theirs: {pairs}"
            ". Where one is not: --account USER=ACCOUNT. The passwords in credentials.json are "
            "needed no more"
        )
    else:
        for user in imported.accounts:
            yield (
                f"login: ANCHORE_USER={user}, and its password, as in credentials.json, into the "
                "secret that ANCHORE_PASSWORD_FILE names"
            )
    if controller.users is None and imported.accounts:
        yield "no credentials.json was given: each user is taken to be in it"


def _address(endpoint: str) -> str:
    """Without what may stand beside the host, a password even."""
    try:
        address = urlsplit(endpoint)
        host, port = address.hostname or "", address.port
    except ValueError:
        return NO_ADDRESS
    if not host or address.scheme not in ("http", "https"):
        return NO_ADDRESS
    name = f"[{host}]" if ":" in host else host
    return f"ANCHORE_URL={address.scheme}://{name}{f':{port}' if port else ''}"


def _summary(imported: Imported) -> str:
    counts = dict.fromkeys(State, 0)
    for each in imported.became:
        counts[each.state] += 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())
