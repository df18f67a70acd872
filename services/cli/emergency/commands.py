"""`imagegate emergency audit`, `end`, `show`: let everything pass for a time, and loudly."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.cli.backend import open_desk, open_exceptions
from services.cli.break_glass import files
from services.cli.break_glass.desk import ExceptionActions
from services.cli.break_glass.durations import lifetime
from services.cli.break_glass.operator import NotSigned
from services.cli.break_glass.wiring import ring_of, sealer_of
from services.cli.command import Exit, OutputOption, console, fail, own_name, run, settings
from services.cli.emergency.heard import missed
from services.cli.emergency.signing import SignedEmergency, believed, refused, signed
from services.cli.emergency.table import (
    print_counted,
    print_declared,
    print_elsewhere,
    print_emergency,
)
from services.cli.settings import CliSettings
from services.cli.tables import Output, plain, print_json
from services.cli.who import whoever
from services.console.emergency_report import EmergencyReport, report_of
from shared.domain.cluster_name import ALLOWED, is_cluster_name
from shared.domain.emergency import LONGEST, Emergency, emergency_id, ending
from shared.domain.errors import ImagegateError, InvalidException
from shared.ports.verdicts import Put
from shared.runtime.clock import SystemClock

app = typer.Typer(
    no_args_is_help=True,
    help="Let pass for a time whatever rules would refuse: when imagegate itself is broken.",
)

HEARD_WITHIN = 8.0
"""Seconds: a webhook hears of it within one, and says so within two."""
ASK_EVERY = 0.3

WITHOUT_STORE = (
    "to go on without it say the same with --out FILE.exception, and put that file into the "
    "webhooks' folder (docs/operations.md, Emergency)"
)

OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write it to this file for the webhooks' folder, and nowhere else."),
]
OwnerOption = Annotated[str, typer.Option(help="Who answers for it. Default: who you are here.")]
ClusterOption = Annotated[
    str,
    typer.Option(help="Of which cluster; each has its own. Default: that of IMAGEGATE_CLUSTER."),
]


@app.command()
def audit(
    *,
    lasts: Annotated[str, typer.Option("--for", help="For how long: 30m, 2h, 1d at most.")],
    reason: Annotated[str, typer.Option(help="Why: everybody will read it.")],
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Only there; a glob, may be repeated."),
    ] = None,
    owner: OwnerOption = "",
    cluster: ClusterOption = "",
    out: OutOption = None,
) -> None:
    """Have rules of mode enforce hold as audit: all is asked, nothing refused. What rules of mode
    deny name stays refused. Replaces the emergency before of the cluster; exit code 1: some webhook
    did not hear of it."""
    try:
        life = lifetime(lasts, most=LONGEST)
    except InvalidException as error:
        fail(f"--for: {error.what}")
    _check(cluster)
    now = SystemClock().now()
    emergency = Emergency(
        namespaces=tuple(namespace or ("*",)),
        reason=reason,
        owner=owner or whoever(),
        made_at=now,
        until=now + life,
        cluster=cluster,
    )
    run(_audit(emergency, out))


@app.command()
def end(
    *,
    reason: Annotated[str, typer.Option(help="What has been mended.")] = "it is over",
    owner: OwnerOption = "",
    cluster: ClusterOption = "",
    out: OutOption = None,
) -> None:
    """End the emergency now: rules are enforced again within a second. Exit code 1: some webhook
    did not hear of it."""
    _check(cluster)
    run(_end(reason, owner or whoever(), cluster, out))


@app.command()
def show(*, cluster: ClusterOption = "", output: OutputOption = Output.TABLE) -> None:
    """Whether there is an emergency, and in which webhooks it counts; exit code 1: there is one."""
    _check(cluster)

    async def look() -> Exit:
        read = settings()
        meant = cluster or read.imagegate_cluster
        async with open_exceptions(read) as view:
            reports = await view.emergencies()
        report = report_of(meant, reports)
        if output is Output.JSON:
            print_json(console(), report)
        else:
            print_emergency(console(), report)
            print_elsewhere(console(), [other for other in reports if other.cluster != meant])
        return Exit.BAD if report.alarming else Exit.GOOD

    run(look())


async def _audit(emergency: Emergency, out: Path | None) -> Exit:
    read = settings()
    cluster = emergency.cluster or read.imagegate_cluster
    emergency = msgspec.structs.replace(emergency, cluster=cluster)
    made = signed(emergency, sealer_of(read))
    end = f"{own_name()} emergency end"
    if emergency.cluster != read.imagegate_cluster:
        end += f" --cluster {emergency.cluster}"
    if out is not None:
        _write(out, made, "It counts once that file is in")
        print_declared(console(), made.emergency, end=f"{end} --out over{files.SUFFIX}")
        return Exit.GOOD
    reports = await _kept(read, made)
    print_declared(console(), made.emergency, end=end)
    return print_counted(console(), reports, made.emergency)


async def _end(reason: str, owner: str, cluster: str, out: Path | None) -> Exit:
    read = settings()
    cluster = cluster or read.imagegate_cluster
    sealer = sealer_of(read)
    told = {"reason": reason, "owner": owner, "cluster": cluster}
    if out is not None:
        made = signed(ending(None, now=SystemClock().now(), **told), sealer)
        _write(out, made, "The emergency is over once that file is beside the other, in")
        return Exit.GOOD
    try:
        async with open_desk(read) as desk:
            known = (await desk.sealed_exceptions()).get(emergency_id(cluster))
    except ImagegateError as error:
        raise NotSigned(f"{error}; {WITHOUT_STORE}") from error
    before = believed(known, ring_of(read, sealer), cluster=cluster)
    made = signed(ending(before, now=SystemClock().now(), **told), sealer)
    reports = await _kept(read, made)
    _say("ended: rules are enforced again")
    return print_counted(console(), reports, made.emergency)


def _check(cluster: str) -> None:
    """Of a name that no cluster can have nothing is signed."""
    if not is_cluster_name(cluster):
        fail(f"--cluster: {ALLOWED}")


async def _kept(read: CliSettings, made: SignedEmergency) -> tuple[EmergencyReport, ...]:
    """In the store; and what the webhooks say of it then."""
    try:
        async with open_desk(read) as desk:
            put = await desk.put_exception(
                made.sealed,
                exception_id=emergency_id(made.emergency.cluster),
                ends=made.kept_until,
            )
            if put is Put.WRITTEN:
                return await _heard(desk, made.emergency)
    except ImagegateError as error:
        raise NotSigned(f"{error}; {WITHOUT_STORE}") from error
    raise NotSigned(refused(put, made.emergency, instead=WITHOUT_STORE))


async def _heard(desk: ExceptionActions, emergency: Emergency) -> tuple[EmergencyReport, ...]:
    """Once every webhook of the cluster said that it goes by this one, or no more is to be waited
    for."""
    deadline = time.monotonic() + HEARD_WITHIN
    while True:
        reports = await desk.emergencies()
        report = report_of(emergency.cluster, reports)
        heard = report.webhooks and not missed(report, emergency)
        if heard or time.monotonic() > deadline:
            return reports
        await asyncio.sleep(ASK_EVERY)


def _write(out: Path, made: SignedEmergency, when: str) -> None:
    files.check_name(out)
    files.write(out, made.sealed)
    for line in files.next_steps(out, when):
        _say(line)


def _say(text: str) -> None:
    console().print(plain(text, limit=2_000), soft_wrap=True)
