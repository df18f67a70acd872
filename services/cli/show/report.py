"""How the show looks: progress while it runs, then the tables."""

import time

from rich.console import Console, JustifyMethod
from rich.table import Column, Table
from rich.text import Text

from services.cli.reviews import Reviewed
from services.cli.show.images import ShowImage
from services.cli.show.outcomes import Outcome, Result, Traffic, Warmed
from services.cli.tables import WIDE, plain, verdict_table

WHY = 110


class Narrator:
    """Tells the show line by line; an `Audience` of the stage."""

    def __init__(self, *, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._shown: dict[str, str] = {}

    def say(self, text: str) -> None:
        """One line of progress, with the seconds since the beginning."""
        seconds = f"{time.monotonic() - self._began:6.1f} s"
        if not self._console.is_terminal:
            self._console.print(Text(f"{seconds}  {text}"), soft_wrap=True)
            return
        lines = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0))
        lines.add_row(seconds, Text(text))
        self._console.print(lines)

    def sent_dockerfile(self, image: ShowImage) -> None:
        """See `Audience`."""
        self.say(f"{image.name}: its Dockerfile went to the scanner (imagegate scan --dockerfile)")

    def answered(self, image: ShowImage, reviewed: Reviewed) -> None:
        """The first answer of each kind, as it is."""
        kind = _decision(reviewed)
        if self._shown.get(image.name) == kind:
            return
        self._shown[image.name] = kind
        first_line = reviewed.answer.message.partition("\n")[0]
        self.say(f"{image.name}: {kind} after {_took(reviewed.took)}. {first_line}".rstrip(". "))

    def decided(self, outcome: Outcome) -> None:
        """How long an unknown image took."""
        if outcome.asked > 1:
            self.say(
                f"{outcome.image.name}: decided {outcome.seconds:.1f} s after the first review, "
                f"asked {outcome.asked} times"
            )

    def warmed(self, warmed: Warmed) -> None:
        """See `Audience`."""
        self.say(
            f"{warmed.image.name}: judged {warmed.seconds:.1f} s after its push event, before "
            f"anybody asked; the first pod with it: {_decision(warmed.first)} "
            f"after {_took(warmed.first.took)}"
        )


def print_result(console: Console, result: Result) -> None:
    """The tables: answers, what happened behind them, what is in the store now."""
    console.print()
    console.print(_answers(result, wide=console.width >= WIDE))
    console.print()
    console.print(_behind(result.traffic))
    console.print()
    console.print(verdict_table(result.verdicts, width=console.width, title="The store now"))
    answers = [
        *((each.image, each.surprises, each.final) for each in result.outcomes),
        *((each.image, each.surprises, each.first) for each in result.warmed),
    ]
    for image, surprises, reviewed in answers:
        for surprise in surprises:
            text = f"{image.name}: {surprise}. It says: {reviewed.answer.message}"
            console.print(plain(text, style="bold red", limit=600))
    if result.as_expected:
        console.print("Every answer was the expected one.", style="green")


def _answers(result: Result, *, wide: bool) -> Table:
    table = Table(title="Reviews: each pod twice, the pushed one once", title_justify="left")
    about = ("what it is",) if wide else ()
    for heading in ("image", *about, "decision", "from", "took", "why"):
        justify: JustifyMethod = "right" if heading == "took" else "left"
        table.add_column(heading, justify=justify, overflow="fold")
    for outcome in result.outcomes:
        image, final = outcome.image, outcome.final
        source = "store" if outcome.known_before else "scan"
        table.add_row(
            Text(image.reference),
            *((Text(_about(image)),) if wide else ()),
            _coloured(final),
            source,
            f"{outcome.seconds:.1f} s" if source == "scan" else _took(final.took),
            _why(final),
        )
        if outcome.again is not None:
            again = outcome.again
            source = "-" if again.answer.pending else "store"
            blank = [""] * (2 if wide else 1)
            table.add_row(*blank, _coloured(again), source, _took(again.took), "")
    for warmed in result.warmed:
        table.add_row(
            Text(warmed.image.reference),
            *((Text(_about(warmed.image)),) if wide else ()),
            _coloured(warmed.first),
            "push",
            _took(warmed.first.took),
            _why(warmed.first),
        )
    return table


def _about(image: ShowImage) -> str:
    about = f"{image.about}; by {'a person' if image.asker == 'person' else 'a controller'}"
    if image.dockerfile:
        about += ". Its Dockerfile was sent before by imagegate scan --dockerfile"
    return about


def _behind(traffic: Traffic) -> Table:
    table = Table(title="Behind it", title_justify="left")
    table.add_column("what")
    table.add_column("how many", justify="right")
    for name, count in traffic.steps.items():
        table.add_row(f"step {name}", str(count))
    for name, count in traffic.calls.items():
        table.add_row(f"Anchore: {name}", str(count))
    return table


def _why(reviewed: Reviewed) -> Text:
    first_line = reviewed.answer.message.partition("\n")[0]
    # The image stands in a column of its own.
    return plain(first_line.partition(": ")[2] or first_line, limit=2 * WHY)


def _coloured(reviewed: Reviewed) -> Text:
    return Text(_decision(reviewed), style="green" if reviewed.answer.allowed else "red")


def _decision(reviewed: Reviewed) -> str:
    answer = reviewed.answer
    if answer.allowed:
        return "allowed"
    return f"pending ({answer.code})" if answer.pending else f"denied ({answer.code})"


def _took(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
