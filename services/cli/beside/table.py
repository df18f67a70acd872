"""What differs between two webhooks, for people."""

import re
from collections import Counter
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.beside.comparing import Compared, Ours, Stand
from services.cli.beside.second import Theirs
from services.cli.command import Exit
from services.cli.tables import Output, plain, print_json
from services.webhook.note import GOOD

STYLES = {
    Stand.SAME: "green",
    Stand.STRICTER: "yellow",
    Stand.LAXER: "bold red",
    Stand.NOT_YET: "dim",
    Stand.UNKNOWN: "red",
}

_DIGEST = re.compile(r"(@sha256:[0-9a-f]{12})[0-9a-f]{52}")
_IMAGE = re.compile(r"^image \S+: ")

MADE_UP = (
    "asked about objects made up of kind, namespace, name, user and images; labels, annotations "
    "and the kinds of containers are not written down: `imagegate review FILE --diff URL` has these"
)


class Report(msgspec.Struct, frozen=True):
    """All that was compared."""

    counts: dict[str, int]
    compared: list[Compared]


def print_compared(
    console: Console, compared: Sequence[Compared], *, output: Output, made_up: bool
) -> Exit:
    """Print what differs, as JSON all of it. 0: nothing differs; 1: something does, or is not
    known; 2: the second webhook answered nothing. `made_up`: of what the objects were."""
    counts = Counter(one.stand for one in compared)
    if output is Output.JSON:
        told = {stand.value: counts[stand] for stand in Stand}
        print_json(console, Report(told, list(compared)))
    else:
        _print(console, compared, counts, made_up=made_up)
    if compared and counts[Stand.UNKNOWN] == len(compared):
        return Exit.ERROR
    return Exit.GOOD if counts[Stand.SAME] == len(compared) else Exit.BAD


def _print(
    console: Console, compared: Sequence[Compared], counts: Counter[Stand], *, made_up: bool
) -> None:
    if not compared:
        console.print("nothing to compare: no decision about images is written down for that time")
        return
    differ = [one for one in compared if one.stand is not Stand.SAME]
    if differ:
        console.print(_table(sorted(differ, key=_worst_first)))
    console.print(
        f"{len(compared)} compared: " + ", ".join(f"{counts[stand]} {stand}" for stand in Stand)
    )
    if any(one.ours.cut for one in compared):
        console.print("of an object with many images only the first are written down")
    if made_up:
        console.print(plain(MADE_UP, style="dim", limit=400))


def _worst_first(one: Compared) -> int:
    order = (Stand.LAXER, Stand.STRICTER, Stand.UNKNOWN, Stand.NOT_YET)
    return order.index(one.stand)


def _table(compared: Sequence[Compared]) -> Table:
    table = Table(title="What differs", title_justify="left", show_lines=True)
    for heading in ("object", "we are", "imagegate", "the other"):
        table.add_column(heading, overflow="fold")
    for one in compared:
        named = (one.ours.object, *map(_short, one.ours.images))
        table.add_row(
            Text("\n").join(map(plain, named)),
            plain(one.stand.value, style=STYLES[one.stand]),
            plain(_ours(one.ours), limit=600),
            plain(_theirs(one.theirs), limit=600),
        )
    return table


def _short(text: str) -> str:
    return _DIGEST.sub(r"\1…", text)


def _ours(ours: Ours) -> str:
    """Without the image that the reason begins with: it stands beside."""
    word = "allows" if ours.state in GOOD else ours.state
    reason = _IMAGE.sub("", ours.reason)
    return _short(f"{word}: {reason}" if reason else word)


def _theirs(theirs: Theirs) -> str:
    word = {True: "allows", False: "refuses", None: "no answer"}[theirs.allowed]
    return _short(f"{word}: {theirs.message}" if theirs.message else word)
