"""imagegate as an operator runs it: Redis, RabbitMQ, and each of our parts as a process."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.fakes.pushes import KEY, TOKEN
from tests.fakes.registry import FakeRegistry
from tests.servers.ports import free_ports
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer

READY_WITHIN = 90.0
"""Seconds: several Python programs start at once, on a machine that may be busy."""

QUIET = {"IMAGEGATE_LOG_LEVEL": "ERROR"}
"""For processes whose servers are killed: each step that fails meanwhile is a warning."""


class Programs:
    """Our processes by name: started, killed, and at the end stopped by their own ids."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._running: dict[str, asyncio.subprocess.Process] = {}

    def __getitem__(self, name: str) -> asyncio.subprocess.Process:
        return self._running[name]

    async def start(self, name: str, module: str, *arguments: str, **environment: str) -> None:
        """Run `python -m module` beside the others."""
        self._running[name] = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            *arguments,
            env=self._environment | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )

    async def start_worker(self, name: str) -> int:
        """One more worker, ready to take steps; the port of its probes and metrics."""
        port = free_ports(name)[name]
        await self.start(name, "services.worker", IMAGEGATE_HEALTH_PORT=str(port))
        await ready(port)
        return port

    async def end(self, name: str) -> None:
        """Tell one to stop, and have it gone."""
        process = self._running[name]
        if process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def stop(self) -> None:
        """End them, the last one first."""
        for name in reversed(self._running):
            await self.end(name)


class Site(msgspec.Struct):
    """Where everything answers."""

    webhooks: list[int]
    """Ports of /validate, HTTPS."""
    ca: Path
    anchore: str
    """URL of the fake Anchore, which takes orders at /_control/, or of the built-in scanner."""
    registry: FakeRegistry
    folder: Path
    programs: Programs
    """anchore, webhook0, ..., worker0, ..., intake"""
    redis: RedisServer
    rabbit: RabbitServer
    intake: int
    """Port of /events, plain HTTP; its token and key are tests.fakes.pushes'. 0: there is none."""
    health: list[int]
    """Ports of probes and metrics, of each webhook, worker and intake."""

    async def order(self, lever: str, **arguments: object) -> None:
        """Pull a lever of the fake Anchore."""
        async with aiohttp.ClientSession() as session:
            url = f"{self.anchore}/_control/{lever}"
            async with session.post(url, json=arguments) as answer:
                answer.raise_for_status()

    async def anchore_state(self) -> dict[str, dict[str, float]]:
        """What the fake Anchore has counted, and how far its images are."""
        state: dict[str, dict[str, float]] = await self._anchore_says("state")
        return state

    async def anchore_counters(self) -> dict[str, dict[str, int]]:
        """`calls` by operation, `submits` by digest."""
        counters: dict[str, dict[str, int]] = await self._anchore_says("counters")
        return counters

    async def _anchore_says(self, what: str) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.anchore}/_control/{what}") as answer,
        ):
            return await answer.json()


@asynccontextmanager
async def site(
    folder: Path,
    *,
    webhooks: int = 2,
    workers: int = 1,
    intake: bool = False,
    scanner: bool = False,
    registries: Sequence[str] = (),
    environment: dict[str, str] | None = None,
) -> AsyncIterator[Site]:
    """Start all of it with its files in `folder`; stopped by its own process ids.

    `scanner`: the built-in one instead of the fake Anchore. `registries`: hosts of others that
    speak plain HTTP.
    """
    async with AsyncExitStack() as stack:
        rabbit = await asyncio.to_thread(RabbitServer(folder / "rabbit").start)
        stack.push_async_callback(asyncio.to_thread, rabbit.stop)
        redis = stack.enter_context(RedisServer(folder / "redis"))
        registry = await stack.enter_async_context(FakeRegistry())
        rules = folder / "rules.yaml"
        hosts = [f"  - {{host: '{host}', insecure: true}}" for host in (registry.host, *registries)]
        head = "apiVersion: imagegate.dev/v1\ndefault: {mode: enforce}\nregistries:\n"
        rules.write_text(head + "\n".join(hosts) + "\n")
        names = [f"{kind}{n}" for n in range(webhooks) for kind in ("reviews", "health")]
        names += [f"worker{n}" for n in range(workers)]
        ports = free_ports("anchore", *names, *(("events", "health of intake") if intake else ()))
        anchore = f"http://127.0.0.1:{ports['anchore']}"
        shared = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path.cwd()),
            "REDIS_URL": redis.url,
            "AMQP_URL": rabbit.url,
            "ANCHORE_URL": anchore,
            "ANCHORE_PASSWORD": "" if scanner else "foobar",
            "IMAGEGATE_STATE": str(folder / "state"),
            "IMAGEGATE_RULES": str(rules),
            "IMAGEGATE_LOG_LEVEL": "WARNING",
            **(environment or {}),
        }
        programs = Programs(shared)
        stack.push_async_callback(programs.stop)
        if scanner:
            port = str(ports["anchore"])
            await programs.start("anchore", "services.scanner", IMAGEGATE_SCANNER_PORT=port)
            await ready(ports["anchore"], "health")
        else:
            port = str(ports["anchore"])
            await programs.start("anchore", "tests.fakes.anchore_process", "--port", port)
            await ready(ports["anchore"], "_control/counters")
        for number in range(webhooks):
            await programs.start(
                f"webhook{number}",
                "services.webhook",
                IMAGEGATE_PORT=str(ports[f"reviews{number}"]),
                IMAGEGATE_HEALTH_PORT=str(ports[f"health{number}"]),
            )
        for number in range(workers):
            name = f"worker{number}"
            await programs.start(name, "services.worker", IMAGEGATE_HEALTH_PORT=str(ports[name]))
        if intake:
            await programs.start(
                "intake",
                "services.intake",
                IMAGEGATE_INTAKE_PORT=str(ports["events"]),
                IMAGEGATE_HEALTH_PORT=str(ports["health of intake"]),
                IMAGEGATE_EVENTS_TOKEN=TOKEN,
                IMAGEGATE_EVENTS_HMAC=KEY,
            )
        health = [port for name, port in ports.items() if name.startswith(("health", "worker"))]
        await asyncio.gather(*(ready(port) for port in health))
        yield Site(
            webhooks=[ports[f"reviews{number}"] for number in range(webhooks)],
            ca=folder / "state" / "webhook.crt",
            anchore=anchore,
            registry=registry,
            folder=folder,
            programs=programs,
            redis=redis,
            rabbit=rabbit,
            intake=ports.get("events", 0),
            health=health,
        )


async def metrics(port: int, name: str, *labels: str) -> float:
    """The sum of a process's series of that name whose labels hold all those texts."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        lines = (await answer.text()).splitlines()
    series = (line.rpartition(" ") for line in lines if line.startswith((f"{name} ", f"{name}{{")))
    return sum((float(value) for each, _, value in series if all(x in each for x in labels)), 0.0)


async def ready(port: int, path: str = "readyz") -> None:
    """Wait until a process of ours answers there."""
    async with asyncio.timeout(READY_WITHIN), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
