"""`imagegate show-real`: the show on Redis and RabbitMQ, every part a process of its own."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import aiohttp
import msgspec
import typer
from rich.console import Console

from services.cli.backend import open_scans
from services.cli.command import console, fail, own_name
from services.cli.reviews import webhook_client
from services.cli.settings import CliSettings
from services.cli.show.children import Program, free_ports, started
from services.cli.show.images import show_images, write_layouts
from services.cli.show.meter import ScrapingMeter
from services.cli.show.perform import tell, unless_stopped
from services.cli.show.report import Narrator
from services.cli.show.servers import answers, epmd, find_servers, own, rabbitmq, redis
from services.cli.show.stage import Stage
from services.cli.wiring import make_keys
from services.scanner.settings import ScannerSettings
from shared.domain.errors import ImagegateError
from shared.domain.signing import Role
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle, run
from shared.runtime.logging import configure_logging
from shared.runtime.settings import Secret, read_settings
from shared.runtime.tls import CertificateFiles, client_context, ensure_certificate

REPLICAS = (1, 2)
NAMES = ("redis", "amqp", "dist", "epmd", "registry", "scanner")


class Plan(msgspec.Struct, frozen=True):
    """Folder and ports of everything, and what every process of ours is told."""

    folder: Path
    ports: dict[str, int]
    certificate: CertificateFiles
    environ: dict[str, str]

    @property
    def registry(self) -> str:
        """`host:port`, as in a reference."""
        return f"127.0.0.1:{self.ports['registry']}"

    def url(self, name: str, *, scheme: str = "http") -> str:
        """Where the process of a port answers."""
        return f"{scheme}://127.0.0.1:{self.ports[name]}"

    @property
    def settings(self) -> CliSettings:
        """For commands that ask these servers."""
        return CliSettings(
            redis_url=Secret(self.environ["REDIS_URL"]),
            amqp_url=Secret(self.environ["AMQP_URL"]),
            anchore_url=self.environ["ANCHORE_URL"],
            imagegate_rules=Path(self.environ["IMAGEGATE_RULES"]),
            imagegate_state=Path(self.environ["IMAGEGATE_STATE"]),
        )


def show_real(
    *, once: Annotated[bool, typer.Option("--once", help="End after the show.")] = False
) -> None:
    """Start Redis, RabbitMQ, two webhooks, two workers and the scanner, and show them at work.

    All of it is in a temporary folder and is stopped at the end.
    """
    configure_logging(style="console", level="WARNING")
    try:
        code = run(lambda life: _serve(life, once, console()))
    except ImagegateError as error:
        fail(str(error))
    raise typer.Exit(code)


async def _serve(life: Lifecycle, once: bool, out: Console) -> int:
    servers = find_servers()
    narrator = Narrator(console=out)
    with TemporaryDirectory(prefix="imagegate-") as folder:
        plan = _plan(Path(folder))
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            groups = _programs(plan, servers, session)
            try:
                good = await unless_stopped(life, _start(stack, life, narrator, groups))
                if good is not None:
                    good = await unless_stopped(life, _show(plan, session, narrator, out))
                if once:
                    life.stop("the show is over")
                elif not life.stopping.is_set():
                    _invite(out, plan)
                code = await life.until_stopped()
            finally:
                # From here on processes end because they are told to.
                await life.cancel_tasks()
                narrator.say("stopping all of it")
            return code if good or not once else 1


async def _start(
    stack: AsyncExitStack, life: Lifecycle, narrator: Narrator, groups: list[list[Program]]
) -> bool:
    """Start one group after the other, each as soon as the one before answers."""
    for group in groups:
        children = [await stack.enter_async_context(started(program)) for program in group]
        for child in children:
            await child.answer()
            life.watch(child.ended(), name=child.program.name)
            narrator.say(f"{child.program.name}: answers (pid {child.pid})")
    return True


async def _show(
    plan: Plan, session: aiohttp.ClientSession, narrator: Narrator, out: Console
) -> bool:
    tls = client_context(plan.certificate.certificate)
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(open_scans(plan.settings))
        webhooks = [
            await stack.enter_async_context(
                webhook_client(plan.url(f"webhook {number}", scheme="https"), tls=tls)
            )
            for number in REPLICAS
        ]
        stage = Stage(
            webhooks=webhooks,
            store=backend.ops,
            scans=backend.scans,
            meter=ScrapingMeter(
                urls=[plan.url(f"worker {number} health") for number in REPLICAS], session=session
            ),
            registry=plan.registry,
            audience=narrator,
            clock=SystemClock(),
        )
        return tell(out, await stage.run(show_images()))


def _plan(folder: Path) -> Plan:
    names = [*NAMES]
    for number in REPLICAS:
        names += [f"webhook {number}", f"webhook {number} health", f"worker {number} health"]
    ports = dict(free_ports(names))
    state = folder / "state"
    make_keys(state / "keys", role=Role.WORKER)
    write_layouts(folder / "layouts", show_images())
    rules = folder / "rules.yaml"
    rules.write_text(
        "apiVersion: imagegate.dev/v1\n"
        f'registries:\n  - {{host: "127.0.0.1:{ports["registry"]}", insecure: true}}\n'
    )
    environ = {
        "PATH": read_settings(ScannerSettings).path,
        "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "AMQP_URL": f"amqp://guest:guest@127.0.0.1:{ports['amqp']}/",
        "ANCHORE_URL": f"http://127.0.0.1:{ports['scanner']}",
        "IMAGEGATE_STATE": str(state),
        "IMAGEGATE_RULES": str(rules),
        "IMAGEGATE_SCANNER_PORT": str(ports["scanner"]),
    }
    return Plan(folder, ports, ensure_certificate(state), environ)


def _programs(
    plan: Plan, servers: dict[str, str], session: aiohttp.ClientSession
) -> list[list[Program]]:
    """In the order in which they are started; those of a group need each other not."""
    folder, ports = plan.folder, plan.ports
    first = [
        redis(servers["redis-server"], folder, port=ports["redis"]),
        epmd(servers["epmd"], folder, port=ports["epmd"]),
    ]
    broker = rabbitmq(servers["rabbitmq-server"], folder, ports=ports)
    registry = own(
        "registry",
        *("services.cli.show", str(folder / "layouts"), str(ports["registry"])),
        environ=plan.environ,
        folder=folder,
        ready=answers(session, f"{plan.url('registry')}/v2/"),
    )
    scanner = own(
        *("scanner", "services.cli", "scanner"),
        environ=plan.environ,
        folder=folder,
        ready=answers(session, f"{plan.url('scanner')}/health"),
    )
    replicas = [
        own(
            *(f"{what} {number}", "services.cli", what),
            environ=plan.environ | _ports_of(plan, what, number),
            folder=folder,
            ready=answers(session, f"{plan.url(f'{what} {number} health')}/readyz"),
        )
        for what in ("worker", "webhook")
        for number in REPLICAS
    ]
    return [first, [registry, scanner, broker], replicas]


def _ports_of(plan: Plan, what: str, number: int) -> dict[str, str]:
    told = {"IMAGEGATE_HEALTH_PORT": str(plan.ports[f"{what} {number} health"])}
    if what == "webhook":
        told["IMAGEGATE_PORT"] = str(plan.ports[f"webhook {number}"])
    return told


def _invite(out: Console, plan: Plan) -> None:
    names = ("REDIS_URL", "AMQP_URL", "ANCHORE_URL", "IMAGEGATE_STATE", "IMAGEGATE_RULES")
    out.print("\nServing until Ctrl-C. In another terminal:")
    lines = [f"export {name}={plan.environ[name]}" for name in names]
    webhook = plan.url("webhook 2", scheme="https")
    image = f"{plan.registry}/team/good:1.0"
    lines += [
        f"{own_name()} review --image {image} --webhook {webhook}",
        *(f"{own_name()} {command}" for command in ("queue", "verdicts", "status")),
    ]
    for line in lines:
        out.print(f"  {line}", highlight=False, soft_wrap=True)
