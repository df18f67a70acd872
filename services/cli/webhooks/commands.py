"""`imagegate webhooks`: what the API server is told to ask; the chart's Jobs run it."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from services.cli.command import OutputOption, console, fail, run, settings
from services.cli.kubernetes.options import ContextOption, KubeconfigOption
from services.cli.tables import Output, plain, print_json
from services.cli.webhooks.configurations import read_wanted
from services.cli.webhooks.handshake import shake
from services.cli.webhooks.keeper import Deployed, Keeper
from services.cli.webhooks.wiring import webhook_configurations
from shared.ports.webhook_configurations import Live, WebhookConfigurations, Which
from shared.runtime.clock import SystemClock

app = typer.Typer(
    no_args_is_help=True, help="What the API server is told to ask: its webhook configurations."
)

WithinOption = Annotated[float, typer.Option(min=0, help="Seconds to try for.")]
InstallationOption = Annotated[
    str, typer.Option(help="Whose they are, NAMESPACE/RELEASE: another's are not touched.")
]


@app.command()
def apply(
    *,
    file: Annotated[Path, typer.Option(help="The configurations, as the chart writes them.")],
    ca: Annotated[Path, typer.Option(help="PEM: who made the webhooks' certificate.")],
    deployment: Annotated[
        str, typer.Option(help="NAMESPACE/NAME that must be rolled out; empty: none is ours.")
    ] = "",
    within: WithinOption = 240.0,
    present: Annotated[
        bool, typer.Option("--present", help="Only those that are there: what is gone stays so.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
) -> None:
    """Have the API server ask the webhooks, once they answer; until then nothing is changed."""
    namespace, _, name = deployment.partition("/")
    if bool(namespace) != bool(name):
        fail(f"--deployment is {deployment!r}: write NAMESPACE/NAME")

    async def work() -> None:
        wanted = read_wanted(file, authorities=ca)
        async with _asked(kubeconfig, context) as configurations:
            await _keeper(configurations).apply(
                wanted,
                deployed=Deployed(namespace, name) if deployment else None,
                handshake=partial(shake, authorities=wanted.authorities),
                within=within,
                present=present,
            )

    run(work())


@app.command()
def relax(
    *,
    installation: InstallationOption,
    within: WithinOption = 60.0,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
) -> None:
    """Have the API server let pass what no webhook answers for; what one denies stays denied."""

    async def work() -> None:
        async with _asked(kubeconfig, context) as configurations:
            await _keeper(configurations).relax(installation, within=within)

    run(work())


@app.command()
def remove(
    *,
    installation: InstallationOption,
    within: WithinOption = 60.0,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
) -> None:
    """Have the API server ask nobody: no pod is judged any more, and none waits for a webhook."""

    async def work() -> None:
        async with _asked(kubeconfig, context) as configurations:
            await _keeper(configurations).remove(installation, within=within)

    run(work())


@app.command()
def show(
    *,
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = "",
) -> None:
    """Print whose configurations the cluster has, and what each does while no webhook answers."""

    async def work() -> None:
        async with _asked(kubeconfig, context) as configurations:
            found = {which: await configurations.get(which) for which in Which}
        if output is Output.JSON:
            print_json(console(), {which.kind: live for which, live in found.items()})
            return
        for which, live in found.items():
            for line in _told(which, live):
                console().print(plain(line), soft_wrap=True)

    run(work())


def _asked(
    kubeconfig: Path | None, context: str
) -> AbstractAsyncContextManager[WebhookConfigurations]:
    return webhook_configurations(settings(), kubeconfig=kubeconfig, context=context)


def _keeper(configurations: WebhookConfigurations) -> Keeper:
    printed = console()
    return Keeper(
        configurations=configurations,
        clock=SystemClock(),
        say=lambda line: printed.print(plain(line, limit=1000), soft_wrap=True),
    )


def _told(which: Which, live: Live | None) -> list[str]:
    if live is None:
        return [f"{which}: is not there"]
    ends = {"Fail": "refuses", "Ignore": "lets pass"}
    return [
        f"{which}: of {live.installation or 'an installation that does not say'}",
        *(
            f"  {name} {ends.get(policy, policy)} while no webhook answers"
            for name, policy in live.policies.items()
        ),
    ]
