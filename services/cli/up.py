"""`imagegate up`: everything in one process on embedded defaults, then the show."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import msgspec
import typer
from rich.console import Console

from services.cli.command import console, fail, own_name
from services.cli.ops_http import SOCKET, ops_app
from services.cli.review import WEBHOOK
from services.cli.reviews import webhook_client
from services.cli.show.images import show_images, write_layouts
from services.cli.show.meter import OwnMeter
from services.cli.show.perform import tell, unless_stopped
from services.cli.show.registry import read_catalogue, registry_app
from services.cli.show.report import Narrator
from services.cli.show.stage import Stage
from services.cli.wiring import Embedded, EmbeddedSettings, embedded
from services.console.session import TOKEN_FILE
from services.console.settings import ConsoleSettings
from services.scanner.settings import ScannerSettings
from services.webhook.settings import WebhookSettings
from services.worker.settings import WorkerSettings
from shared.domain.errors import ImagegateError
from shared.runtime.clock import SystemClock
from shared.runtime.http import serve, serve_unix
from shared.runtime.lifecycle import Lifecycle, run
from shared.runtime.logging import configure_logging
from shared.runtime.settings import read_settings
from shared.runtime.state import ensure_private_folder
from shared.runtime.tls import client_context, days_left

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class UpOptions(msgspec.Struct, frozen=True):
    """What `imagegate up` was told."""

    once: bool
    port: int
    health_port: int
    console_port: int
    state: Path | None


def up(
    *,
    once: Annotated[bool, typer.Option("--once", help="End after the show.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of reviews.")] = 8443,
    health_port: Annotated[
        int, typer.Option(min=0, max=65534, help="Of the webhook's probes; the worker's is next.")
    ] = 8081,
    console_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the console; 0: a free one.")
    ] = 8090,
    state: Annotated[
        Path | None, typer.Option(help="State folder: keys, certificate, socket.")
    ] = None,
    log_level: Annotated[LogLevel, typer.Option(help="What is logged.")] = "WARNING",
) -> None:
    """Run webhook, worker, scanner and stores in one process, and show them at work.

    It serves until Ctrl-C. With --once it ends after the show: exit code 0 only when every
    answer was the expected one.
    """
    configure_logging(style="console", level=log_level)
    options = UpOptions(
        once=once, port=port, health_port=health_port, console_port=console_port, state=state
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
            settings = _settings(options, registry=host, scratch=Path(scratch))
            state = ensure_private_folder(settings.webhook.state_folder)
            certificate = settings.webhook.imagegate_certificate or state / "webhook.crt"
            facts = {"state folder": str(state), "registry": registry.url}
            running = await stack.enter_async_context(embedded(settings, life, facts=lambda: facts))
            url = f"https://127.0.0.1:{running.webhook.reviews.port}"
            facts |= {"webhook": url, "scanner": running.scanner_url}
            facts["console"] = running.console.url
            facts["certificate"] = f"{certificate}, {days_left(certificate):.0f} days left"
            await stack.enter_async_context(
                serve_unix(
                    ops_app(ops=running.ops, scans=running.scans, letters=running.letters),
                    state / SOCKET,
                )
            )
            _introduce(narrator, running, url, state)
            narrator.say(f"console: {running.console.url} ({_where_the_token_is(settings)})")
            client = await stack.enter_async_context(
                webhook_client(url, tls=client_context(certificate))
            )
            stage = Stage(
                webhooks=[client],
                store=running.ops,
                scans=running.scans,
                meter=OwnMeter(running.metrics),
                registry=host,
                audience=narrator,
                clock=SystemClock(),
            )
            good = tell(out, await unless_stopped(life, stage.run(show_images())))
            if options.once:
                life.stop("the show is over")
            elif not life.stopping.is_set():
                _invite(out, url, f"{host}/team/good:1.0", options)
            code = await life.until_stopped(
                drain=lambda seconds: running.queue.drain(timeout=seconds)
            )
            return code if good or not options.once else 1


def _settings(options: UpOptions, *, registry: str, scratch: Path) -> EmbeddedSettings:
    """From the environment, with what the options say; the scanner's results do not stay."""
    webhook = read_settings(WebhookSettings)
    state = options.state or webhook.state_folder
    worker_port = options.health_port + 1 if options.health_port else 0
    replaced = msgspec.structs.replace
    return EmbeddedSettings(
        webhook=replaced(
            webhook,
            imagegate_state=state,
            imagegate_port=options.port,
            imagegate_health_port=options.health_port,
        ),
        worker=replaced(
            read_settings(WorkerSettings),
            imagegate_state=state,
            imagegate_health_port=worker_port,
        ),
        scanner=replaced(
            read_settings(ScannerSettings), imagegate_state=scratch, imagegate_scanner_port=0
        ),
        console=replaced(
            read_settings(ConsoleSettings),
            imagegate_state=state,
            imagegate_console_port=options.console_port,
        ),
        insecure_registry=registry,
    )


def _introduce(narrator: Narrator, running: Embedded, url: str, state: Path) -> None:
    narrator.say(f"scanner: speaks Anchore's API on {running.scanner_url}")
    narrator.say(f"webhook: reviews on {url}, certificate {state / 'webhook.crt'}")
    narrator.say(f"probes and metrics: {running.webhook.health.url} {running.worker_health.url}")
    narrator.say("stores: in this process, gone with it; `make run-real` has Redis and RabbitMQ")


def _where_the_token_is(settings: EmbeddedSettings) -> str:
    console = settings.console
    if console.imagegate_console_token:
        return "token: that of IMAGEGATE_CONSOLE_TOKEN"
    return f"token in {console.state_folder / TOKEN_FILE}"


def _invite(out: Console, url: str, image: str, options: UpOptions) -> None:
    out.print()
    out.print(f"Serving on {url} until Ctrl-C. In another terminal:")
    where = "" if url == WEBHOOK else f" --webhook {url}"
    commands = (f"review --image {image}{where}", "queue", "verdicts", "status")
    lines = [f"{own_name()} {command}" for command in commands]
    if options.state is not None:
        lines.insert(0, f"export IMAGEGATE_STATE={options.state.absolute()}")
    for line in lines:
        out.print(f"  {line}", highlight=False, soft_wrap=True)
