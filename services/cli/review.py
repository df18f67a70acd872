"""`imagegate review`: what a running webhook makes of objects, asked as an API server asks."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from services.cli.addresses import host_of
from services.cli.beside.comparing import Compared, Ours, compare
from services.cli.beside.options import DiffCaOption, DiffOption, DiffTokenOption
from services.cli.beside.second import SecondWebhook, second_webhook
from services.cli.beside.table import print_compared
from services.cli.command import Exit, OutputOption, console, fail, run, settings
from services.cli.defaults import with_defaults
from services.cli.objects import Manifest, read_objects
from services.cli.pins import Pin
from services.cli.reviews import Answer, Asker, kind_of, pod_of_image, resource_of, review_of
from services.cli.tables import Output, plain, print_json
from services.cli.webhook_client import WebhookClient, webhook_client
from shared.runtime.tls import client_context

WEBHOOK = "https://127.0.0.1:8443"
CERTIFICATE = "webhook.crt"
USER = "imagegate-review"


class Judged(msgspec.Struct, frozen=True):
    """One object and the webhook's answer; None for a kind that is not judged."""

    object: str
    answer: Answer | None
    took: float
    """Seconds."""
    pins: tuple[Pin, ...] = ()
    warnings: tuple[str, ...] = ()
    """Those of both calls."""
    not_mutated: str = ""
    """Why /mutate changed nothing, where that was no answer of its own."""


def review(
    file: Annotated[
        Path | None, typer.Argument(help="A YAML file with any number of objects.")
    ] = None,
    *,
    image: Annotated[
        str | None, typer.Option(help="Review a pod that runs this image instead.")
    ] = None,
    webhook: Annotated[str, typer.Option(help="The webhook to ask.")] = WEBHOOK,
    ca: Annotated[
        Path | None,
        typer.Option(help="Its CA file (default: its certificate in the state folder)."),
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Of objects that name none.")
    ] = "default",
    user: Annotated[str, typer.Option(help="Who creates the object.")] = USER,
    diff: DiffOption = None,
    diff_ca: DiffCaOption = None,
    diff_token_file: DiffTokenOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Ask a running webhook about new pods and workloads, as an API server does: first what it
    pins, then whether that may run. Exit code 0 all allowed, 1 one denied, 2 error.

    With --diff what a second webhook says of the same objects, as they are written; exit code 0
    nothing differs, 1 something does, 2 error."""

    async def ask() -> Exit:
        objects = _objects(file, image, namespace)
        if not host_of(webhook, "https"):
            fail(f"--webhook must be https://HOST:PORT, not {webhook}")
        trusted = client_context(ca or _own_certificate())
        asker = Asker(user)
        async with webhook_client(webhook, tls=trusted) as client:
            judged = [await _judge(client, one, asker, namespace) for one in objects]
        if diff is not None:
            async with second_webhook(diff, ca=diff_ca, token=diff_token_file) as second:
                compared = await _compared(objects, judged, asker, namespace, second)
            return print_compared(console(), compared, output=output, made_up=False)
        if output is Output.JSON:
            print_json(console(), judged)
        else:
            _print(console(), judged)
        answers = [one.answer for one in judged if one.answer is not None]
        if not answers:
            fail(f"{file} holds neither a Pod nor a workload, and only these are judged")
        return Exit.GOOD if all(answer.allowed for answer in answers) else Exit.BAD

    run(ask())


def _own_certificate() -> Path:
    certificate = settings().state_folder / CERTIFICATE
    if not certificate.exists():
        fail(
            f"no webhook made its certificate here ({certificate}): start `imagegate up` or "
            "`imagegate webhook`, or name the CA of yours with --ca"
        )
    return certificate


def _objects(file: Path | None, image: str | None, namespace: str) -> list[Manifest]:
    if (file is None) == (image is None):
        fail("give either a file or --image HOST/REPO:TAG")
    if file is not None:
        return read_objects(file)
    pod = pod_of_image(image or "", name="review", namespace=namespace)
    return [Manifest("Pod", f"Pod {namespace}/review", pod)]


async def _judge(client: WebhookClient, one: Manifest, asker: Asker, namespace: str) -> Judged:
    if resource_of(kind_of(one.content)) is None:
        return Judged(one.title, None, 0.0)
    content = with_defaults(one.content, namespace=namespace)
    reviewed = await client.create(review_of(content, asker=asker))
    return Judged(
        one.title,
        reviewed.answer,
        reviewed.took,
        reviewed.pins,
        reviewed.warnings,
        reviewed.not_mutated,
    )


async def _compared(
    objects: Sequence[Manifest],
    judged: Sequence[Judged],
    asker: Asker,
    namespace: str,
    second: SecondWebhook,
) -> list[Compared]:
    """What `second` says of each object that is judged, beside our answer."""
    pairs = [
        (one, known.answer)
        for one, known in zip(objects, judged, strict=True)
        if known.answer is not None
    ]
    return list(
        await asyncio.gather(
            *(
                compare(
                    _ours(one, answer),
                    review_of(with_defaults(one.content, namespace=namespace), asker=asker),
                    second,
                )
                for one, answer in pairs
            )
        )
    )


def _ours(one: Manifest, answer: Answer) -> Ours:
    """By what is said for the audit log: a mode that lets pass has judged all the same."""
    said = answer.audit_annotations
    told = answer.message or said.get("message", "")
    return Ours(
        object=one.title,
        images=(),
        state=said.get("decision", "pass" if answer.allowed else "fail"),
        reason=told.partition("\n")[0],
    )


def _print(console: Console, judged: list[Judged]) -> None:
    for one in judged:
        if one.answer is None:
            line = f"{one.object}: not judged, it is neither a Pod nor a workload"
            console.print(plain(line, style="yellow"))
            continue
        answer = one.answer
        word = Text("allowed", "green") if answer.allowed else Text("denied", "red")
        code = "" if answer.allowed else f" ({answer.code})"
        console.print(word, plain(f"{one.object}{code}, {one.took * 1000:.1f} ms"))
        for image in dict.fromkeys(pin.image for pin in one.pins):
            console.print(plain(f"  pinned: {image}", limit=1000), soft_wrap=True)
        if one.not_mutated:
            line = f"  nothing is pinned, /mutate failed: {one.not_mutated}"
            console.print(plain(line, limit=1000, style="yellow"), soft_wrap=True)
        for line in answer.message.splitlines():
            console.print(plain(f"  {line}", limit=1000), soft_wrap=True)
        for warning in one.warnings:
            console.print(plain(f"  warning: {warning}", style="yellow"), soft_wrap=True)
        if answer.status and answer.status.details:
            again = answer.status.details.retry_after_seconds
            console.print(f"  kubectl would ask again after {again} s by itself")
