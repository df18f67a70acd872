"""imagegate as an operator runs it: Redis, RabbitMQ, webhooks and workers as processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec

from tests.fakes.registry import FakeRegistry
from tests.servers.rabbitmq import RabbitServer, free_ports
from tests.servers.redis import RedisServer

READY_WITHIN = 30.0


class Site(msgspec.Struct):
    """Where everything answers."""

    webhooks: list[int]
    """Ports of /validate, HTTPS."""
    ca: Path
    anchore: str
    """URL of the fake Anchore, which takes orders at /_control/."""
    registry: FakeRegistry
    folder: Path

    async def order(self, lever: str, **arguments: object) -> None:
        """Pull a lever of the fake Anchore."""
        async with aiohttp.ClientSession() as session:
            url = f"{self.anchore}/_control/{lever}"
            async with session.post(url, json=arguments) as answer:
                answer.raise_for_status()

    async def anchore_state(self) -> dict[str, dict[str, float]]:
        """What the fake Anchore has counted."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.anchore}/_control/state") as answer,
        ):
            state: dict[str, dict[str, float]] = await answer.json()
            return state


@asynccontextmanager
async def site(
    folder: Path, *, webhooks: int = 2, workers: int = 1, environment: dict[str, str] | None = None
) -> AsyncIterator[Site]:
    """Start all of it with its files in `folder`; stopped by its own process ids."""
    async with AsyncExitStack() as stack:
        rabbit = await asyncio.to_thread(RabbitServer(folder / "rabbit").start)
        stack.push_async_callback(asyncio.to_thread, rabbit.stop)
        redis = stack.enter_context(RedisServer(folder / "redis"))
        registry = await stack.enter_async_context(FakeRegistry())
        rules = folder / "rules.yaml"
        rules.write_text(
            "apiVersion: imagegate.dev/v1\ndefault: {mode: enforce}\n"
            f"registries:\n  - {{host: '{registry.host}', insecure: true}}\n"
        )
        names = [f"{kind}{n}" for n in range(webhooks) for kind in ("reviews", "health")]
        ports = free_ports("anchore", *names, *(f"worker{n}" for n in range(workers)))
        anchore = f"http://127.0.0.1:{ports['anchore']}"
        shared = {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path.cwd()),
            "REDIS_URL": redis.url,
            "AMQP_URL": rabbit.url,
            "ANCHORE_URL": anchore,
            "ANCHORE_PASSWORD": "foobar",
            "IMAGEGATE_STATE": str(folder / "state"),
            "IMAGEGATE_RULES": str(rules),
            "IMAGEGATE_LOG_LEVEL": "WARNING",
            **(environment or {}),
        }
        await _start(
            stack, "tests.fakes.anchore", "--port", str(ports["anchore"]), environment=shared
        )
        for number in range(webhooks):
            own = {
                "IMAGEGATE_PORT": str(ports[f"reviews{number}"]),
                "IMAGEGATE_HEALTH_PORT": str(ports[f"health{number}"]),
            }
            await _start(stack, "services.webhook", environment=shared | own)
        for number in range(workers):
            own = {"IMAGEGATE_HEALTH_PORT": str(ports[f"worker{number}"])}
            await _start(stack, "services.worker", environment=shared | own)
        health = [port for name, port in ports.items() if name.startswith(("health", "worker"))]
        await asyncio.gather(*(_ready(port) for port in health))
        yield Site(
            webhooks=[ports[f"reviews{number}"] for number in range(webhooks)],
            ca=folder / "state" / "webhook.crt",
            anchore=anchore,
            registry=registry,
            folder=folder,
        )


async def _start(
    stack: AsyncExitStack, module: str, *arguments: str, environment: dict[str, str]
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )

    async def stop() -> None:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    stack.push_async_callback(stop)


async def _ready(port: int) -> None:
    async with asyncio.timeout(READY_WITHIN), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
