"""`imagegate allow`, `imagegate exceptions list`, `imagegate exceptions revoke`: break-glass."""

import contextlib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.cli.backend import open_desk, open_exceptions
from services.cli.break_glass import files
from services.cli.break_glass.durations import lifetime, moment
from services.cli.break_glass.operator import Named, NotSigned, Operator, Signed, Wanted
from services.cli.break_glass.table import print_allowed, print_exceptions, print_unheard
from services.cli.break_glass.wiring import operator_of
from services.cli.command import OutputOption, console, fail, own_name, run, settings
from services.cli.settings import CliSettings
from services.cli.tables import Output, age, plain, print_json
from services.cli.who import whoever
from shared.domain.errors import ImagegateError, InvalidException
from shared.domain.exceptions import ImageException
from shared.domain.pointer import pointer_key
from shared.domain.reference import ImageReference
from shared.ports.verdicts import MAX_AHEAD, Put
from shared.runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True, help="Signed exceptions: what may run though it fails.")

OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write it to this file for the webhooks' folder, and nowhere else."),
]

OPTIONS = {
    "image": "IMAGE",
    "findings": "--finding",
    "namespaces": "--namespace",
    "expires": "--for",
    "reason": "--reason",
    "owner": "--owner",
    "cluster": "--cluster",
}
"""What the command calls the fields of an exception."""

WITHOUT_STORE = (
    "to go on without it say the same with --out FILE.exception, and put that file into the "
    "webhooks' folder (docs/operations.md, Break-glass)"
)


def allow(
    image: Annotated[
        str, typer.Argument(help="With its digest, or with a tag that was pulled before.")
    ],
    *,
    namespace: Annotated[
        list[str], typer.Option("--namespace", "-n", help="Where; a glob, may be repeated.")
    ],
    lasts: Annotated[str, typer.Option("--for", help="For how long: 90m, 2h, 1d; 30d at most.")],
    reason: Annotated[str, typer.Option(help="Why: everybody will read it.")],
    owner: Annotated[str, typer.Option(help="Who answers for it. Default: who you are here.")] = "",
    finding: Annotated[
        list[str] | None,
        typer.Option(help="Only this trigger id (`imagegate verdicts IMAGE`); may be repeated."),
    ] = None,
    all_findings: Annotated[
        bool, typer.Option("--all-findings", help="Whatever is found: the default for a digest.")
    ] = False,
    cluster: Annotated[
        str,
        typer.Option(
            help="Only in this one. Default: that of IMAGEGATE_CLUSTER, else each that knows the "
            "key."
        ),
    ] = "",
    out: OutOption = None,
) -> None:
    """Let an image run for a time though it fails; counts in every webhook within a second."""
    if finding and all_findings:
        fail("--finding and --all-findings: say one of them")
    try:
        life = lifetime(lasts)
    except InvalidException as error:
        fail(_in_options(error))
    wanted = Wanted(
        image=image,
        findings=tuple(finding or ()),
        namespaces=tuple(namespace),
        life=life,
        reason=reason,
        owner=owner or whoever(),
        cluster=cluster,
    )
    run(_allow(wanted, out))


@app.command("list")
def list_exceptions(output: OutputOption = Output.TABLE) -> None:
    """What is excepted by the store's signed exceptions, where, by whom, why, and for how long."""
    run(_list(output))


@app.command()
def revoke(
    exception: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the beginning of it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why. Default: the exception's own reason.")] = "",
    of: Annotated[
        Path | None, typer.Option("--from", help="The exception's file, where no store has it.")
    ] = None,
    out: OutOption = None,
) -> None:
    """Take an exception back: no webhook lets it count from within a second on."""
    run(_revoke(exception, reason, of, out))


async def _list(output: Output) -> None:
    async with open_exceptions(settings()) as view:
        rows = await view.exceptions()
    if output is Output.JSON:
        print_json(console(), rows)
    else:
        print_exceptions(console(), rows)


async def _allow(wanted: Wanted, out: Path | None) -> None:
    read = settings()
    wanted = msgspec.structs.replace(wanted, cluster=wanted.cluster or read.imagegate_cluster)
    operator = operator_of(read)
    if out is not None:
        files.check_name(out)
    named = await _named(read, operator, wanted.reference) if wanted.needs_digest else None
    signed = _signed(operator.allow, wanted, digest=named.digest if named else "")
    await _keep(read, signed, out)
    if named is not None:
        since = age((SystemClock().now() - named.asked_at) / 1000)
        _say(f"{wanted.reference.tagged} named {named.digest} {since} ago: that image is meant")
    print_allowed(console(), signed.exception, life=wanted.life / 1000)
    _say_next(signed.exception, out)
    if out is None and signed.exception.cluster:
        await _look_for_webhooks(read, signed.exception.cluster)


async def _named(read: CliSettings, operator: Operator, reference: ImageReference) -> Named:
    try:
        async with open_desk(read) as desk:
            sealed = await desk.sealed_record(pointer_key(reference))
    except ImagegateError as error:
        raise NotSigned(
            f"{error}; without the store name the digest: {reference.repository}@sha256:..."
        ) from error
    return operator.named_by(reference, sealed)


async def _look_for_webhooks(read: CliSettings, cluster: str) -> None:
    """One for a cluster whose name is misspelt counts nowhere, and nobody else would say so."""
    with contextlib.suppress(ImagegateError):  # it was kept: that nobody tells is no failure
        async with open_desk(read) as desk:
            print_unheard(console(), await desk.emergencies(), cluster=cluster)


def _say_next(exception: ImageException, out: Path | None) -> None:
    revoke = f"{own_name()} exceptions revoke {exception.id}"
    if out is None:
        of = f" of cluster {exception.cluster}" if exception.cluster else ""
        _say(f"It counts in every webhook{of} within a second. To revoke it:")
        _say(f"  {revoke}")
    else:
        _say_file(out, "It counts once that file is in")
        _say("To revoke it:")
        _say(
            f"  {revoke} --from {shlex.quote(str(out))} --out {exception.id}-revoked{files.SUFFIX}"
        )


async def _revoke(given: str, reason: str, of: Path | None, out: Path | None) -> None:
    read = settings()
    operator = operator_of(read)
    if out is not None:
        files.check_name(out)
    if of is not None:
        exception = operator.read(given, files.read(of))
    else:
        exception = await _found(read, operator, given)
    signed = _signed(operator.revoke, exception, reason=reason)
    await _keep(read, signed, out)
    _say(f"revoked: {exception.id}, {exception.image}")
    if out is None:
        _say(
            "Within a second it counts in no webhook that reaches the store. One that does not "
            f"goes on until {moment(exception.expires)}, or until it reads the same from a file "
            "(--out)."
        )
    else:
        _say_file(out, "It counts no longer once that file is beside the exception's, in")


async def _found(read: CliSettings, operator: Operator, given: str) -> ImageException:
    try:
        async with open_desk(read) as desk:
            known = await desk.sealed_exceptions()
    except ImagegateError as error:
        raise NotSigned(
            f"{error}; without the store name the file of the exception (--from FILE)"
        ) from error
    return operator.find(given, known)


async def _keep(read: CliSettings, signed: Signed, out: Path | None) -> None:
    """In the store, or in the file alone."""
    if out is not None:
        files.write(out, signed.sealed)
        return
    exception = signed.exception
    try:
        async with open_desk(read) as desk:
            put = await desk.put_exception(
                signed.sealed, exception_id=exception.id, ends=exception.expires
            )
    except ImagegateError as error:
        raise NotSigned(f"{error}; {WITHOUT_STORE}") from error
    if put is not Put.WRITTEN:
        raise NotSigned(_refused(put, exception))


def _refused(put: Put, exception: ImageException) -> str:
    if put is Put.OLDER:
        return (
            f"the store holds a newer record of {exception.id}: look at it (`imagegate exceptions "
            f"list`). If it is not believed, somebody else wrote it: {WITHOUT_STORE}"
        )
    way = f"more than {MAX_AHEAD // 1000} s ahead of" if put is Put.AHEAD else "behind"
    return (
        f"nothing was written: this machine's clock is {way} the store's, it says "
        f"{moment(exception.made_at)}; correct it and say the same again"
    )


def _say_file(out: Path, when: str) -> None:
    for line in files.next_steps(out, when):
        _say(line)


def _say(text: str) -> None:
    console().print(plain(text, limit=2_000), soft_wrap=True)


def _signed(sign: Callable[..., Signed], *given: object, **more: str) -> Signed:
    """What `sign` makes; what is wrong with it is said in the words of the command line."""
    try:
        return sign(*given, **more)
    except InvalidException as error:
        raise NotSigned(_in_options(error)) from error


def _in_options(error: InvalidException) -> str:
    return f"{OPTIONS.get(error.field, error.field)}: {error.what}"
