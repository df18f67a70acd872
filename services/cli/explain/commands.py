"""`imagegate explain`: why an image, or a pod, is allowed or denied."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from services.cli.backend import open_desk
from services.cli.command import Exit, OutputOption, console, fail, run, settings
from services.cli.explain.records import Reader
from services.cli.explain.way import Explainer, Spot, Way
from services.cli.explain.wiring import rules_and_ring
from services.cli.objects import read_objects
from services.cli.rules.labels import labels_of
from services.cli.rules.trial import Setting, scope_of, tried_places
from services.cli.tables import Output, plain, print_json
from services.console.exception_rows import opened
from services.webhook.terms import Terms
from shared.domain.errors import InvalidException, InvalidSignature
from shared.domain.exceptions import ImageException
from shared.domain.scope import Occasion, RuleBook
from shared.ports.signing import Unsealer
from shared.runtime.clock import SystemClock


def explain(
    what: Annotated[str, typer.Argument(help="An image, or a YAML file with pods and workloads.")],
    *,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="Of an image, and of objects that name none.")
    ] = "default",
    user: Annotated[str, typer.Option(help="Who creates it.")] = "",
    namespace_label: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE of the namespace; may be repeated.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell the whole way of an image: rule, pointer, verdict, findings, exceptions, and what would
    make it pass. Exit code 0 all would be allowed, 1 one denied, 2 error."""

    async def ask() -> Exit:
        setting = Setting(namespace, user, labels_of(namespace_label))
        configured = settings()
        rules, ring = rules_and_ring(configured)
        clock = SystemClock()
        async with open_desk(configured) as desk:
            signed = _believed(await desk.sealed_exceptions(), ring)
            book = RuleBook(rules, signed)
            explainer = Explainer(
                reader=Reader(sealed=desk, unsealer=ring, clock=clock),
                book=book,
                terms=Terms(scanner=configured.imagegate_scanner),
                now=clock.now(),
            )
            ways = await _ways(what, explainer, book, setting)
        if output is Output.JSON:
            print_json(console(), ways)
        else:
            if configured.imagegate_rules is None:
                told = "rules: none named (IMAGEGATE_RULES), so the built-in default holds"
                console().print(plain(told, style="yellow"))
            _print(console(), ways)
        return Exit.GOOD if all(way.allowed for way in ways) else Exit.BAD

    run(ask())


async def _ways(what: str, explainer: Explainer, book: RuleBook, setting: Setting) -> list[Way]:
    file = Path(what)
    if not await asyncio.to_thread(file.is_file):
        labels = setting.namespace_labels
        scope = book.scope(Occasion(setting.namespace, setting.user, namespace_labels=labels))
        return await explainer.explain((what, False), scope, Spot(setting.namespace))
    ways: list[Way] = []
    for one in await asyncio.to_thread(read_objects, file):
        found = tried_places(one.content, book=book, setting=setting)
        if found is None:
            continue
        request, places = found
        scope = scope_of(request, book, setting)
        for shape, place in places:
            spot = Spot(request.namespace, one.title, place)
            ways += await explainer.explain(shape, scope, spot)
    if not ways:
        fail(f"{what} holds no image of a Pod or a workload, and only these are judged")
    return ways


def _believed(sealed: Mapping[str, bytes], ring: Unsealer) -> list[ImageException]:
    """The signed exceptions that a webhook would believe."""
    believed = []
    for exception_id, record in sealed.items():
        with suppress(InvalidSignature, InvalidException):
            believed.append(opened(exception_id, record, ring))
    return believed


def _print(printed: Console, ways: Sequence[Way]) -> None:
    for way in ways:
        head = f"{way.object} {way.place}: {way.image}" if way.object else way.image
        word = Text("allowed", "green") if way.allowed else Text("denied", "red")
        printed.print(word, plain(head, limit=1000, style="bold"), soft_wrap=True)
        adds = ", which adds to the rule that decides" if way.adds else ""
        asks = f", asks {way.asks}" if way.asks else ""
        lines = [f"rule: {way.rule or 'none'} (mode {way.mode}{asks}){adds}", *way.way]
        lines += [f"finding: {each}" for each in way.findings]
        lines += [f"exception: {each}" for each in way.exceptions]
        lines.append(f"so: {way.state}{f', {way.says}' if way.says else ''}")
        if way.remedy:
            lines.append(f"to make it pass: {way.remedy}")
        for line in lines:
            printed.print(plain(f"  {line}", limit=2000), soft_wrap=True)
