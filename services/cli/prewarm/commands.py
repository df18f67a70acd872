"""`imagegate prewarm`: have judged what a cluster runs, before imagegate may refuse any of it."""

from typing import Annotated

import typer
from rich.console import Console

from services.cli.command import OutputOption, console, fail, result_of, settings
from services.cli.kubernetes.options import ContextOption, KubeconfigOption
from services.cli.prewarm.judging import AT_ONCE
from services.cli.prewarm.order import Order, Sources
from services.cli.prewarm.report import PrewarmExit, Report, json_document
from services.cli.prewarm.running import run
from services.cli.prewarm.table import print_report
from services.cli.reviews import CONTROLLER
from services.cli.rules.options import NamespaceLabelOption, NamespaceOption, labels_of
from services.cli.tables import Output
from shared.domain.glob import Glob

TIMEOUT = 3600.0


def prewarm(
    *,
    cluster: Annotated[
        bool,
        typer.Option("--cluster", help="All pods that run, and the templates of all workloads."),
    ] = False,
    images: Annotated[
        list[str] | None, typer.Option(help="A file with an image a line; - is standard input.")
    ] = None,
    manifests: Annotated[
        list[str] | None,
        typer.Option(help="YAML or JSON: a file, a folder, or - (`helm template ... |`)."),
    ] = None,
    repository: Annotated[
        list[str] | None, typer.Option(help="HOST/REPO: its tags, as the registry lists them.")
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option(help="Which of them, by glob (default: all).")
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
    namespace: NamespaceOption = "default",
    namespace_label: NamespaceLabelOption = None,
    exempt: Annotated[
        list[str] | None,
        typer.Option(help="Namespaces to pass over, by glob, beside those that are exempt."),
    ] = None,
    user: Annotated[
        str, typer.Option(help="Who creates the pods, for rules on users.")
    ] = CONTROLLER,
    timeout: Annotated[
        float, typer.Option(min=0, help="Seconds until it ends, done or not.")
    ] = TIMEOUT,
    at_once: Annotated[
        int, typer.Option(min=1, max=1000, help="Images that are asked for at a time.")
    ] = AT_ONCE,
    output: OutputOption = Output.TABLE,
    everything: Annotated[bool, typer.Option("--all", help="Every row of the table.")] = False,
) -> None:
    """Have images judged before anybody deploys them, and tell what each would get under the rules
    of now. Sources may be combined and repeated. Exit code 0 all pass, 1 one fails, 2 usage or
    nobody to ask, 3 none fails and one is not judged or could not be read, 130 stopped."""
    order = Order(
        sources=_sources(cluster, images, manifests, repository, tags),
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        namespace_labels=labels_of(namespace_label),
        exempt=tuple(Glob(each) for each in exempt or ()),
        user=user,
        timeout=timeout,
        at_once=at_once,
    )

    async def ask() -> Report:
        return await run(order, settings(), err=Console(stderr=True))

    report = result_of(ask())
    if output is Output.JSON:
        console().out(json_document(report).decode(), highlight=False, end="")
    else:
        print_report(console(), report, everything=everything)
    if report.exit_code is not PrewarmExit.GOOD:
        raise typer.Exit(int(report.exit_code))


def _sources(
    cluster: bool,
    images: list[str] | None,
    manifests: list[str] | None,
    repositories: list[str] | None,
    tags: list[str] | None,
) -> Sources:
    """What was named, if it goes together."""
    sources = Sources(
        cluster,
        tuple(images or ()),
        tuple(manifests or ()),
        tuple(repositories or ()),
        tuple(tags or ()),
    )
    if not sources.named:
        fail(
            "name what to judge: --cluster, --images FILE, --manifests DIR or --repository "
            "HOST/REPO"
        )
    if sources.tags and not sources.repositories:
        fail("--tags goes with --repository HOST/REPO")
    if (*sources.images, *sources.manifests).count("-") > 1:
        fail("standard input (-) can be read once")
    return sources
