"""The emergency in sentences."""

from collections.abc import Sequence

from rich.console import Console

from services.cli.break_glass.durations import moment
from services.cli.command import Exit
from services.cli.emergency.heard import Missed, missed
from services.cli.tables import age, plain
from services.console.emergency_report import (
    EmergencyReport,
    EmergencyState,
    report_of,
    where_it_counts,
)
from shared.domain.cluster_name import shown_cluster
from shared.domain.emergency import Emergency
from shared.domain.pointer import SECOND

LOUD = "bold red"

WHAT_TO_DO = {
    Missed.NOT_HEARD: "Not heard: its log says why. It does not reach the store, or has another "
    "operator's public key, or is of an older version, which does not say what it heard",
    Missed.OTHER: "Signed later, by whoever else has the key: `imagegate emergency show`",
    Missed.OVER: "Over: correct its clock, or declare one that lasts longer",
}


def print_declared(console: Console, emergency: Emergency, *, end: str) -> None:
    """What passes, where, and until when; `end`: what to type to end it."""
    lasts = age((emergency.until - emergency.made_at) / SECOND)
    _say(console, "emergency: nothing is refused but what rules of mode deny name", style=LOUD)
    _print_fields(
        console,
        {
            "in": f"namespaces {', '.join(emergency.namespaces)}",
            "until": f"{moment(emergency.until)}, in {lasts}",
            "reason": emergency.reason,
            "owner": emergency.owner,
            "cluster": shown_cluster(emergency.cluster),
        },
    )
    _say(console, f"To end it: {end}")


def print_counted(
    console: Console, reports: Sequence[EmergencyReport], emergency: Emergency
) -> Exit:
    """In which of its cluster's webhooks holds what was signed, one or the end of one; BAD where
    not in all of them."""
    cluster = emergency.cluster
    report = report_of(cluster, reports)
    if not report.webhooks:
        _say(
            console,
            f"No webhook of cluster {shown_cluster(cluster)} was heard lately: nobody says whether "
            "it counts",
            style=LOUD,
        )
        others = [shown_cluster(other.cluster) for other in reports if other.webhooks]
        if others:
            _say(
                console,
                f"Webhooks were heard of cluster {', '.join(others)}: --cluster, or "
                "IMAGEGATE_CLUSTER here, says which is meant, as theirs does",
            )
        return Exit.BAD
    strange = missed(report, emergency)
    all_of_them = len(report.webhooks)
    said = (
        f"It goes on in {len(report.counts_in)}"
        if emergency.over
        else f"It counts in {all_of_them - len(strange)}"
    )
    _say(console, f"{said} of {all_of_them} webhooks")
    for name, why in strange.items():
        _say(console, f"  {why} {name}", style=LOUD)
    for why in sorted(set(strange.values())):
        _say(console, WHAT_TO_DO[why])
    return Exit.BAD if strange else Exit.GOOD


def print_emergency(console: Console, report: EmergencyReport) -> None:
    """What `imagegate emergency show` says."""
    if report.state is EmergencyState.NOT_BELIEVED:
        said = f"the store's record{_in(report.cluster)} is not believed: {report.why}"
        _say(console, said, style=LOUD)
    elif report.state is EmergencyState.NONE:
        _say(console, f"no emergency was declared in the last day{_in(report.cluster)}")
    else:
        declared = report.state is EmergencyState.DECLARED
        said = f"declared, for {age(report.left)} yet" if declared else "over"
        _say(console, f"emergency: {said}", style=LOUD if declared else "")
        _print_fields(
            console,
            {
                "in": f"namespaces {', '.join(report.namespaces)}",
                "signed": f"{moment(report.made_at)} by key {report.key_id}",
                "until": moment(report.until),
                "reason": report.reason,
                "owner": report.owner,
                "cluster": shown_cluster(report.cluster),
            },
        )
    loud = LOUD if report.counts_in else ""
    _say(console, f"it {where_it_counts(report)}", style=loud)
    for name in report.counts_in:
        other = _other(report.heard.get(name, 0)) if name in report.strayed else ""
        _say(console, f"  {name}{other}", style=LOUD if other else "")


def print_elsewhere(console: Console, others: Sequence[EmergencyReport]) -> None:
    """Which other clusters have one: who asked may have meant these."""
    for other in others:
        if other.alarming:
            counts = where_it_counts(other)
            _say(
                console,
                f"elsewhere: cluster {shown_cluster(other.cluster)}: {other.state}, {counts}",
            )


def _other(signed: int) -> str:
    """Which it is that a webhook goes by, where that is not the store's."""
    if signed:
        return f": another one, signed {moment(signed)}"
    return ": it does not say which (an older version)"


def _in(cluster: str) -> str:
    return f" in cluster {cluster}" if cluster else ""


def _print_fields(console: Console, fields: dict[str, str]) -> None:
    for name, text in fields.items():
        _say(console, f"  {name + ':':9}{text}")


def _say(console: Console, text: str, *, style: str = "") -> None:
    console.print(plain(text, style=style, limit=2_000), soft_wrap=True)
