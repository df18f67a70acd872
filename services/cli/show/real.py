"""`imagegate show-real`: the show on Redis and RabbitMQ, every part a process of its own."""

from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import aiohttp
import typer
from rich.console import Console

from services.cli.backend import open_scans
from services.cli.command import console, fail, own_name
from services.cli.show.children import Program, started
from services.cli.show.images import show_images
from services.cli.show.meter import ScrapingMeter
from services.cli.show.perform import tell, unless_stopped
from services.cli.show.plan import REPLICAS, SINGLE, Plan, plan_in
from services.cli.show.push import RegistryNotifier
from services.cli.show.report import Narrator
from services.cli.show.servers import answers, epmd, find_servers, own, rabbitmq, redis
from services.cli.show.stage import Stage
from services.cli.tables import print_queue
from services.cli.webhook_client import webhook_client
from services.console.session import TOKEN_FILE
from shared.domain.errors import ImagegateError
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle, run
from shared.runtime.logging import configure_logging
from shared.runtime.tls import client_context


def show_real(
    *, once: Annotated[bool, typer.Option("--once", help="End after the show.")] = False
) -> None:
    """Start Redis, RabbitMQ and every service, webhook and worker twice, and show them at work.

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
        plan = plan_in(Path(folder))
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
            intake=RegistryNotifier(
                url=plan.url("intake"),
                token=plan.environ["IMAGEGATE_EVENTS_TOKEN"],
                registry=plan.registry,
                session=session,
            ),
            digests=plan.digests,
            meter=ScrapingMeter(
                urls=[plan.url(f"worker {number} health") for number in REPLICAS], session=session
            ),
            registry=plan.registry,
            audience=narrator,
            clock=SystemClock(),
        )
        good = tell(out, await stage.run(show_images()))
        print_queue(out, await backend.ops.queue())
        return good


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
    replicas = [f"{what} {number}" for what in ("worker", "webhook") for number in REPLICAS]
    processes = [
        own(
            *(name, "services.cli", name.partition(" ")[0]),
            environ=plan.environ | _ports_of(plan, name),
            folder=folder,
            ready=answers(session, f"{plan.url(f'{name} health')}/readyz"),
        )
        for name in (*replicas, *SINGLE)
    ]
    return [first, [registry, scanner, broker], processes]


def _ports_of(plan: Plan, name: str) -> dict[str, str]:
    told = {"IMAGEGATE_HEALTH_PORT": str(plan.ports[f"{name} health"])}
    if name.startswith("webhook"):
        told["IMAGEGATE_PORT"] = str(plan.ports[name])
    return told


def _invite(out: Console, plan: Plan) -> None:
    names = ("REDIS_URL", "AMQP_URL", "ANCHORE_URL", "IMAGEGATE_STATE", "IMAGEGATE_RULES")
    token = Path(plan.environ["IMAGEGATE_STATE"]) / TOKEN_FILE
    out.print(f"\nThe console: {plan.url('console')} (token in {token})", soft_wrap=True)
    out.print("Serving until Ctrl-C. In another terminal:")
    lines = [f"export {name}={plan.environ[name]}" for name in names]
    webhook = plan.url("webhook 2", scheme="https")
    image = f"{plan.registry}/team/good:1.0"
    lines += [
        f"{own_name()} review --image {image} --webhook {webhook}",
        *(f"{own_name()} {command}" for command in ("queue", "verdicts", "status")),
    ]
    for line in lines:
        out.print(f"  {line}", highlight=False, soft_wrap=True)
