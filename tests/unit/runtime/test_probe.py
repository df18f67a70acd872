import asyncio
import subprocess
import sys

import pytest

from shared.domain.errors import StoreUnreachable
from shared.runtime.health import Check, health_app
from shared.runtime.http import serve
from shared.runtime.metrics import Metrics
from shared.runtime.probe import probe
from tests.servers.ports import free_ports
from tests.waiting import PATIENCE


async def good() -> str:
    return "an answer"


async def down() -> None:
    raise StoreUnreachable("redis at 127.0.0.1 is down")


async def asked(path: str, check: Check) -> tuple[bool, str]:
    """What the probe says of a process with one check."""
    app = health_app(ready={"store": check}, metrics=Metrics(), stopping=asyncio.Event())
    async with serve(app) as bound:
        return await asyncio.to_thread(probe, f"{bound.url}{path}", timeout=PATIENCE)


async def test_a_ready_process_passes() -> None:
    assert await asked("/readyz", good) == (True, '200 {"ready": true, "reasons": {}}')


async def test_one_that_is_not_ready_fails_with_its_reasons() -> None:
    passed, said = await asked("/readyz", down)
    assert not passed
    assert said.startswith("503 ")
    assert "redis at 127.0.0.1 is down" in said


async def test_a_path_that_does_not_exist_fails() -> None:
    passed, said = await asked("/healthz", good)
    assert (passed, said[:3]) == (False, "404")


async def test_a_server_that_accepts_and_never_answers_fails_in_time() -> None:
    asked = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked.wait()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server:
        passed, said = await asyncio.to_thread(probe, url, timeout=0.2)
        asked.set()
        await asyncio.sleep(0)
    assert (passed, said) == (False, f"{url} does not answer: timed out")


@pytest.mark.parametrize("url", ["https://127.0.0.1/readyz", "127.0.0.1:8081", "http:///livez"])
def test_what_is_no_plain_http_address_is_said(url: str) -> None:
    assert probe(url) == (False, f"{url} is not http://HOST:PORT/PATH")


def test_as_a_command_it_ends_with_1_when_nobody_answers_and_says_so() -> None:
    url = f"http://127.0.0.1:{free_ports('nobody')['nobody']}/readyz"
    ran = run(url)
    assert ran.returncode == 1
    assert ran.stdout == f"{url} does not answer: [Errno 111] Connection refused\n"


def test_as_a_command_without_an_address_it_ends_with_2_and_says_how_it_is_used() -> None:
    ran = run()
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("usage: python -m shared.runtime.probe http://")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As a health check runs it."""
    command = [sys.executable, "-P", "-m", "shared.runtime.probe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
