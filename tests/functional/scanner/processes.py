"""The scanner in a process of its own, as tests start and kill it."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import Client
from tests.servers.ports import free_port
from tests.servers.registry import RegistryServer

PATIENCE = 60.0
"""Seconds for a process to answer on a machine that is busy."""


def environment(folder: Path, **changes: str) -> dict[str, str]:
    return {
        "IMAGEGATE_STATE": str(folder),
        "IMAGEGATE_HEALTH_PORT": "0",
        "PATH": os.environ["PATH"],
        **changes,
    }


async def start(env: dict[str, str], **how: Any) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "services.scanner", env=env, stderr=PIPE, **how
    )


def write_rules(folder: Path, host: str) -> Path:
    folder.mkdir(exist_ok=True)
    document = {
        "apiVersion": "imagegate.dev/v1",
        "registries": [{"host": host, "insecure": True}],
    }
    rules = folder / "rules.yaml"
    rules.write_text(json.dumps(document))
    return rules


async def analysing(scanner: Client, count: int) -> None:
    """Wait until so many images are being analysed."""
    async with asyncio.timeout(PATIENCE):
        while True:
            _, listed = await scanner.get("/v1/images", analysis_status="analyzing")
            if len(listed) == count:
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def process(
    folder: Path, registry: FakeRegistry | RegistryServer, path: str = "", **changes: str
) -> AsyncIterator[tuple[Client, Process]]:
    """A scanner in a process of its own, whose rules file names the registry. `path`: a folder
    whose programs it finds before those of PATH."""
    rules = write_rules(folder, registry.host)
    port = free_port()
    running = await start(
        environment(
            folder,
            IMAGEGATE_RULES=str(rules),
            IMAGEGATE_SCANNER_PORT=str(port),
            PATH=f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"],
            **changes,
        )
    )
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = Client(url, session, folder / "scanner")
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    with suppress(aiohttp.ClientError):
                        await client.get("/health")
                        break
                    assert running.returncode is None
                    await asyncio.sleep(0.05)
            yield client, running
        finally:
            with suppress(ProcessLookupError):
                running.kill()
            await running.communicate()
