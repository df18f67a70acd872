"""The scanner as a process: killed, started again, refused with a reason."""

import asyncio
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.images import index_of
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import LISTED, opened_scanner
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image
from tests.functional.scanner.processes import analysing, environment, process, start
from tests.servers.ports import free_port
from tests.waiting import eventually

GOOD = debian_image(BASE_FILES, NETBASE)


async def test_what_a_killed_scanner_was_at_goes_on_at_the_next_start(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    waiting = [debian_image(BASE_FILES, config={"User": f"u{number}"}) for number in range(4)]
    path = fake_syft("sleep 3600")
    async with process(tmp_path / "state", registry, path) as (scanner, running):
        for number, image in enumerate(waiting):
            await scanner.submit(registry.put(image, f"team/app:{number}"), image.digest)
        await analysing(scanner, 2)
        await eventually(lambda: len(list(scanner.folder.glob("scratch/*/home"))) == 2, within=60)
        running.send_signal(signal.SIGKILL)
        await running.wait()

    assert any((tmp_path / "state" / "scanner" / "scratch").iterdir())
    fake_syft(LISTED)
    async with opened_scanner(registry, tmp_path / "state", path=path) as scanner:
        for image in waiting:
            assert (await scanner.finished(image.digest))["analysis_status"] == "analyzed"
        assert list((scanner.folder / "scratch").iterdir()) == []


async def test_results_policies_and_failures_outlive_a_restart(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    path = fake_syft(LISTED)
    index = index_of((GOOD, "linux/amd64"))
    async with opened_scanner(registry, tmp_path, path=path) as scanner:
        reference = await scanner.analysed(registry, GOOD)
        before = await scanner.entry(reference, GOOD.digest)
        reason = await scanner.failed(registry, index, "team/index:1")
        _, ((policy),) = await scanner.get("/v1/policies/imagegate-default")
        changed = policy["policybundle"] | {"id": "mine"}
        await scanner.call("POST", "/v1/policies", json=changed)
        asked = len(registry.requests)
    async with opened_scanner(registry, tmp_path, path=path) as scanner:
        after = await scanner.entry(reference, GOOD.digest)
        _, policies = await scanner.get("/v1/policies")
        _, events = await scanner.get("/v1/events")

    for entry in (before, after):
        for name in ("created_at", "last_modified"):
            del entry["detail"]["result"][name]
        del entry["last_evaluation"]
    assert after == before
    assert {one["policyId"]: one["active"] for one in policies} == {
        "imagegate-default": True,
        "mine": False,
    }
    assert [one["event"]["details"]["msg"] for one in events["results"]] == [reason]
    assert len(registry.requests) == asked


async def test_a_term_signal_ends_it_cleanly(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    async with process(tmp_path / "state", registry, fake_syft("sleep 3600")) as (scanner, running):
        await scanner.submit(registry.put(GOOD, "team/app:1.0"), GOOD.digest)
        await analysing(scanner, 1)
        running.terminate()
        async with asyncio.timeout(20):
            assert await running.wait() == 0

    assert list((tmp_path / "state" / "scanner" / "scratch").iterdir()) == []


async def ended(env: dict[str, str]) -> tuple[int | None, str]:
    running = await start(env)
    async with asyncio.timeout(30):
        _, said = await running.communicate()
    return running.returncode, said.decode()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"IMAGEGATE_SCANNER_PORT": "x"}, "IMAGEGATE_SCANNER_PORT must be a whole number"),
        ({"IMAGEGATE_SCANNER_HOST": "0.0.0.0"}, "IMAGEGATE_SCANNER_PASSWORD must be set"),
        ({"IMAGEGATE_SCANNER_FEED": "/proc/no"}, "the feed folder /proc/no cannot be written"),
        ({"IMAGEGATE_STATE": "/proc/no"}, "the scanner's state folder"),
        ({"IMAGEGATE_RULES": "/nonexistent.yaml"}, "/nonexistent.yaml"),
    ],
)
async def test_what_is_wrong_at_the_start_is_one_line_and_an_exit_code(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    code, line = await ended(environment(tmp_path, **changes))

    assert code == 2
    assert line.startswith("imagegate scanner: ")
    assert said in line
    assert line.count("\n") == 1


async def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        code, line = await ended(environment(tmp_path, IMAGEGATE_SCANNER_PORT=str(port)))

    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in line
