"""What is excepted, as tables and sentences."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from services.cli.break_glass.durations import moment
from services.cli.tables import WIDE, age, plain
from services.console.emergency_report import EmergencyReport, report_of
from services.console.exception_rows import ExceptionRow, ExceptionState
from shared.domain.cluster_name import shown_cluster
from shared.domain.exceptions import ALL, ImageException

STYLES = {
    ExceptionState.ACTIVE: "yellow",
    ExceptionState.NOT_BELIEVED: "bold red",
}
SHOWN = 3
"""Findings, or namespaces, in a row of the table; -o json has all."""
EVERY_ONE = "every one that knows the key"
"""Of an exception that names no cluster."""


def print_exceptions(console: Console, rows: tuple[ExceptionRow, ...]) -> None:
    """The exceptions, or that there are none."""
    if not rows:
        console.print("no signed exceptions (those of the rules file stand there)")
        return
    console.print(_table(rows, wide=console.width >= WIDE))
    strange = sum(row.state is ExceptionState.NOT_BELIEVED for row in rows)
    if strange:
        console.print(
            f"{strange} not believed: not signed by an operator's key that this command trusts. "
            "Let IMAGEGATE_KEYS name the folder with the operators' public keys; if it does, "
            "somebody else writes into the store",
            style="yellow",
        )


def _table(rows: tuple[ExceptionRow, ...], *, wide: bool) -> Table:
    table = Table(title="Signed exceptions", title_justify="left")
    named = any(row.cluster for row in rows)
    where = ("cluster", "namespaces") if named else ("namespaces",)
    more = ("owner", "reason") if wide else ("reason",)
    table.add_column("id", no_wrap=True)
    for heading in ("state", "image", "findings", *where, "ends in", *more):
        table.add_column(heading, overflow="fold")
    for row in rows:
        told = row.why or row.reason
        table.add_row(
            plain(row.id),
            plain(row.state, style=STYLES.get(row.state, "")),
            plain(_short(row.image)),
            plain(_some(row.findings)),
            *((plain(_cluster(row)),) if named else ()),
            plain(_some(row.namespaces)),
            age(row.left) if row.left else "",
            *((plain(row.owner, limit=40),) if wide else ()),
            plain(told, limit=200),
        )
    return table


def print_allowed(console: Console, exception: ImageException, *, life: float) -> None:
    """What may run now, where, and until when; `life` in seconds."""
    what = "all findings" if exception.whole else ", ".join(exception.findings)
    lines = {
        "in": f"namespaces {', '.join(exception.namespaces)}",
        "cluster": exception.cluster or EVERY_ONE,
        "until": f"{moment(exception.expires)}, in {age(life)}",
        "reason": exception.reason,
        "owner": exception.owner,
        "id": exception.id,
    }
    image = exception.image if exception.digest else f"every image of {exception.image}"
    console.print(plain(f"allowed: {image} ({what})", limit=2000), soft_wrap=True)
    for name, text in lines.items():
        console.print(plain(f"  {name + ':':9}{text}", limit=2000), soft_wrap=True)


def print_unheard(console: Console, reports: Sequence[EmergencyReport], *, cluster: str) -> None:
    """That no webhook of this cluster was heard lately, and of which some were; nothing where
    one was."""
    if report_of(cluster, reports).webhooks:
        return
    others = [shown_cluster(other.cluster) for other in reports if other.webhooks]
    heard = f"; webhooks were heard of cluster {', '.join(others)}" if others else ""
    told = (
        f"No webhook of cluster {cluster} was heard lately{heard}: it counts nowhere unless theirs "
        "is the same IMAGEGATE_CLUSTER"
    )
    console.print(plain(told, style="bold red", limit=2000), soft_wrap=True)


def _cluster(row: ExceptionRow) -> str:
    unknown = row.state is ExceptionState.NOT_BELIEVED
    return row.cluster or ("" if unknown else "every one")


def _short(image: str) -> str:
    """With the digest's beginning: enough to tell it from others."""
    repository, at, digest = image.partition("@")
    return (
        f"{repository}{at}{digest[:19]}" if at else f"{repository} (every image)" if image else ""
    )


def _some(texts: tuple[str, ...]) -> str:
    if texts == (ALL,):
        return ALL
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return f"{', '.join(texts[:SHOWN])}{more}"
