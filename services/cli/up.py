"""`imagegate up`: everything in one process on embedded defaults, then the show."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import aiohttp
import typer
from rich.console import Console

from services.cli.command import console, fail, own_name
from services.cli.embedded.wiring import Embedded, EmbeddedSettings, embedded
from services.cli.ops_http import SOCKET, ops_app
from services.cli.review import WEBHOOK
from services.cli.show.images import show_images, write_layouts
from services.cli.show.meter import OwnMeter
from services.cli.show.perform import tell, unless_stopped
from services.cli.show.push import RegistryNotifier
from services.cli.show.registry import read_catalogue, registry_app
from services.cli.show.report import Narrator
from services.cli.show.stage import Stage
from services.cli.tables import print_queue
from services.cli.up_settings import EVENTS_TOKEN, UpOptions, settings_of
from services.cli.webhook_client import webhook_client
from services.console.session import TOKEN_FILE
from shared.domain.errors import ImagegateError
from shared.runtime.clock import SystemClock
from shared.runtime.http import serve, serve_unix
from shared.runtime.lifecycle import Lifecycle, run
from shared.runtime.logging import configure_logging
from shared.runtime.state import ensure_private_folder
from shared.runtime.tls import client_context, days_left

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


def up(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the show.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of reviews.")] = 8443,
    health_port: Annotated[
        int, typer.Option(min=0, max=65534, help="Of the webhook's probes; the worker's is next.")
    ] = 8081,
    intake_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of push events; 0: a free one.")
    ] = 8088,
    console_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the console; 0: a free one.")
    ] = 8090,
    state: Annotated[
        Path | None, typer.Option(help="State folder: keys, certificate, socket.")
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="What is logged.")] = "WARNING",
) -> None:
    """Run every service, the scanner and the stores in one process, and show them at work.

    It serves until Ctrl-C. With --once it ends after the show: exit code 0 only when every
    answer was the expected one.
    """
    configure_logging(style="console", level=log_level)
    options = UpOptions(
        once=once,
        port=port,
        health_port=health_port,
        intake_port=intake_port,
        console_port=console_port,
        state=state,
    )
    try:
        code = run(lambda life: _serve(life, options, console()), drain_deadline=10.0)
    except ImagegateError as error:
        fail(str(error))
    raise typer.Exit(code)


async def _serve(life: Lifecycle, options: UpOptions, out: Console) -> int:
    narrator = Narrator(console=out)
    with TemporaryDirectory(prefix="imagegate-") as scratch:
        async with AsyncExitStack() as stack:
            layouts = Path(scratch) / "layouts"
            digests = write_layouts(layouts, show_images())
            registry = await stack.enter_async_context(serve(registry_app(read_catalogue(layouts))))
            host = f"{registry.host}:{registry.port}"
            narrator.say(f"registry: {len(digests)} images on {registry.url}, read-only")
            settings = settings_of(options, registry=host, scratch=Path(scratch))
            state = ensure_private_folder(settings.webhook.state_folder)
            certificate = settings.webhook.imagegate_certificate or state / "webhook.crt"
            facts = {"state folder": str(state), "registry": registry.url}
            running = await stack.enter_async_context(embedded(settings, life, facts=lambda: facts))
            url = f"https://127.0.0.1:{running.webhook.reviews.port}"
            facts |= {"webhook": url, "scanner": running.scanner_url}
            facts |= {"intake": running.intake.url, "console": running.console.url}
            facts["certificate"] = f"{certificate}, {days_left(certificate):.0f} days left"
            await stack.enter_async_context(
                serve_unix(
                    ops_app(
                        ops=running.ops,
                        scans=running.scans,
                        letters=running.letters,
                        desk=running.desk,
                        policies=running.policies,
                    ),
                    state / SOCKET,
                )
            )
            _introduce(narrator, running, url, state)
            where = _where_the_token_is(settings)
            narrator.say(f"console: {running.console.url} ({where})")
            client = await stack.enter_async_context(
                webhook_client(url, tls=client_context(certificate))
            )
            session = await stack.enter_async_context(aiohttp.ClientSession())
            stage = Stage(
                webhooks=[client],
                store=running.ops,
                scans=running.scans,
                intake=RegistryNotifier(
                    url=running.intake.url,
                    token=settings.intake.imagegate_events_token.value.split()[0],
                    registry=host,
                    session=session,
                ),
                digests=digests,
                meter=OwnMeter(running.metrics),
                registry=host,
                audience=narrator,
                clock=SystemClock(),
            )
            good = tell(out, await unless_stopped(life, stage.run(show_images())))
            print_queue(out, await running.ops.queue())
            if options.once:
                life.stop("the show is over")
            elif not life.stopping.is_set():
                out.print(f"\nThe console: {running.console.url} ({where})", soft_wrap=True)
                _invite(out, url, f"{host}/team/good:1.0", options)
            code = await life.until_stopped(
                drain=lambda seconds: running.queue.drain(timeout=seconds)
            )
            return code if good or not options.once else 1


def _introduce(narrator: Narrator, running: Embedded, url: str, state: Path) -> None:
    narrator.say(f"scanner: speaks Anchore's API on {running.scanner_url}")
    narrator.say(f"webhook: reviews on {url}, certificate {state / 'webhook.crt'}")
    narrator.say(f"probes and metrics: {running.webhook.health.url} {running.worker_health.url}")
    narrator.say(f"intake: push events on {running.intake.url}, token in {state / EVENTS_TOKEN}")
    narrator.say("stores: in this process, gone with it; `make run-real` has Redis and RabbitMQ")


def _where_the_token_is(settings: EmbeddedSettings) -> str:
    console = settings.console
    if console.imagegate_console_token:
        return "token: that of IMAGEGATE_CONSOLE_TOKEN"
    return f"token in {console.state_folder / TOKEN_FILE}"


def _invite(out: Console, url: str, image: str, options: UpOptions) -> None:
    out.print(f"Serving on {url} until Ctrl-C. In another terminal:")
    where = "" if url == WEBHOOK else f" --webhook {url}"
    commands = (f"review --image {image}{where}", "queue", "verdicts", "status")
    lines = [f"{own_name()} {command}" for command in commands]
    if options.state is not None:
        lines.insert(0, f"export IMAGEGATE_STATE={options.state.absolute()}")
    for line in lines:
        out.print(f"  {line}", highlight=False, soft_wrap=True)
