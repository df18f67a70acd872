"""`imagegate explain`: why an image, or a pod, is allowed or denied."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from services.cli.backend import open_desk
from services.cli.command import Exit, OutputOption, console, fail, run, settings
from services.cli.explain.emergency import emergency_of
from services.cli.explain.records import Reader
from services.cli.explain.signed import believed
from services.cli.explain.way import Explainer, Spot, Way
from services.cli.local.wiring import exception_files, rules_and_ring, terms_of
from services.cli.objects import Manifest, read_objects
from services.cli.reviews import pod_of_image
from services.cli.rules.options import (
    NamespaceLabelOption,
    NamespaceOption,
    UserOption,
    labels_of,
)
from services.cli.rules.trial import Setting, scope_of, tried_places
from services.cli.tables import Output, plain, print_json
from shared.domain.scope import RuleBook
from shared.runtime.clock import SystemClock

ENDINGS = (".yaml", ".yml", ".json")
"""Of files: an image with such a name is written with its tag."""


def explain(
    what: Annotated[str, typer.Argument(help="An image, or a YAML file with pods and workloads.")],
    *,
    namespace: NamespaceOption = "default",
    user: UserOption = "",
    namespace_label: NamespaceLabelOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell the whole way of an image: rule, pointer, verdict, findings, exceptions, and what would
    make it pass. Exit code 0 all would be allowed, 1 one denied (by the rules: what passes in an
    emergency, too), 2 error."""

    async def ask() -> Exit:
        setting = Setting(namespace, user, labels_of(namespace_label))
        configured = settings()
        rules, ring = rules_and_ring(configured)
        objects = await asyncio.to_thread(_objects, what, namespace)
        clock = SystemClock()
        async with open_desk(configured, looks=True) as desk:
            folder = await exception_files(configured)
            stored = await desk.sealed_exceptions()
            cluster = configured.imagegate_cluster
            emergency = emergency_of(cluster, stored, folder, ring, now=clock.now())
            signed = believed(stored, folder, ring, cluster=cluster)
            book = RuleBook(rules, signed.here, emergency)
            reader = Reader(sealed=desk, unsealer=ring, clock=clock)
            explainer = Explainer(
                reader=reader,
                book=book,
                terms=terms_of(configured),
                now=clock.now(),
                elsewhere=signed.elsewhere,
            )
            ways = await _ways(objects, explainer, book, setting)
        if not ways:
            fail(f"{what} holds no image of a Pod or a workload, and only these are judged")
        if output is Output.JSON:
            print_json(console(), ways)
        else:
            _print(console(), ways)
            _doubt(console(), without_rules=configured.imagegate_rules is None, reader=reader)
        return Exit.GOOD if all(way.allowed for way in ways) else Exit.BAD

    run(ask())


def _objects(what: str, namespace: str) -> list[Manifest]:
    """Those of the file, or the smallest pod that runs the image, which has no title."""
    file = Path(what)
    if file.exists() and not file.is_dir():
        return read_objects(file)
    if what.endswith(ENDINGS) or what.startswith(("/", "./", "../")):
        fail(f"there is no file {what}; an image is written with its tag or digest")
    pod = pod_of_image(what, name="explained", namespace=namespace)
    return [Manifest("Pod", "", pod)]


async def _ways(
    objects: Sequence[Manifest], explainer: Explainer, book: RuleBook, setting: Setting
) -> list[Way]:
    ways: list[Way] = []
    for one in objects:
        found = tried_places(one.content, book=book, setting=setting)
        if found is None:
            continue
        request, places = found
        scope = scope_of(request, book, setting)
        for shape, place in places:
            spot = Spot(request.namespace, one.title, place if one.title else "")
            ways += await explainer.explain(shape, scope, spot)
    return ways


def _print(printed: Console, ways: Sequence[Way]) -> None:
    for way in ways:
        head = f"{way.object} {way.place}: {way.image}" if way.object else way.image
        word = Text("allowed", "green") if way.allowed else Text("denied", "red")
        printed.print(word, plain(head, limit=1000, style="bold"), soft_wrap=True)
        if way.emergency:
            told = f"  BUT IT PASSES NOW: {way.emergency}"
            printed.print(plain(told, limit=2000, style="bold red"), soft_wrap=True)
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


def _doubt(printed: Console, *, without_rules: bool, reader: Reader) -> None:
    """Why the webhooks may see it otherwise."""
    if without_rules:
        told = (
            "no rules file was read (IMAGEGATE_RULES): where the webhooks have one, see whether "
            "another rule holds there"
        )
        printed.print(plain(told, style="yellow"))
    if reader.strange:
        told = (
            f"{len(reader.strange)} not believed: let IMAGEGATE_KEYS name the folder with the "
            "workers' public keys; if it does, somebody else writes into the store"
        )
        printed.print(plain(told, style="yellow"))
