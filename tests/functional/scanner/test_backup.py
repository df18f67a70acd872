"""Backup and restore of the scanner's state, by the very commands that docs/operations.md names."""

import asyncio
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import LISTED, Client
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image
from tests.functional.scanner.processes import process
from tests.unit.scanner.samples import baseline

DOCS = Path(__file__).parents[3] / "docs" / "operations.md"
STATE = "/var/lib/imagegate"
"""IMAGEGATE_STATE of the manifests, which the docs write out."""

IMAGE = debian_image(BASE_FILES, NETBASE)
LATER = debian_image(NETBASE)
DOCKERFILE = b"FROM debian:12\nUSER 65532\n"


async def copied(state: Path, *, back: bool = False) -> None:
    """By the `python -c ...` of the docs, with the state folder of the test."""
    scripts = re.findall(r"-- python -c '(.*\.backup\(.*)'", DOCS.read_text())
    assert len(scripts) == 2
    script = scripts[back].replace(STATE, str(state))
    copying = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    assert await copying.wait() == 0


@pytest.mark.parametrize("while_it_runs", [True, False])
async def test_a_backup_of_a_scanner_that_runs_is_put_back_as_the_docs_say(
    registry: FakeRegistry,
    tmp_path: Path,
    fake_syft: Callable[[str], str],
    while_it_runs: bool,
) -> None:
    syft, state = fake_syft(LISTED), tmp_path / "state"
    policy = baseline() | {"id": "mine", "name": "Mine"}
    async with process(state, registry, syft) as (scanner, running):
        reference = await scanner.analysed(registry, IMAGE, dockerfile=DOCKERFILE)
        await push(scanner, policy)
        before = await scanner.entry(reference, IMAGE.digest)
        await copied(state)
        later = await scanner.analysed(registry, LATER, "team/app:2.0")
        if while_it_runs:
            await copied(state, back=True)
        running.send_signal(signal.SIGTERM)
        await running.wait()

    if not while_it_runs:
        folder = state / "scanner"
        shutil.copy(state / "backup.db", folder / "scanner.db")
        for name in ("scanner.db-wal", "scanner.db-shm"):
            (folder / name).unlink(missing_ok=True)

    requests = len(registry.requests)
    async with process(state, registry, syft) as (scanner, _):
        _, (record,) = await scanner.get(f"/v1/images/{IMAGE.digest}")
        assert record["analysis_status"] == "analyzed"
        assert record["image_content"]["metadata"]["dockerfile_mode"] == "Actual"
        after = await scanner.entry(reference, IMAGE.digest)
        assert (after["policyId"], after["status"]) == ("mine", before["status"])
        assert len(registry.requests) == requests
        # What was analysed since is analysed again when it is asked for.
        assert (await scanner.get(f"/v1/images/{LATER.digest}"))[0] == 404
        await scanner.submit(later, LATER.digest)
        assert (await scanner.finished(LATER.digest))["analysis_status"] == "analyzed"


async def push(scanner: Client, policy: dict[str, object]) -> None:
    """It is the one that counts."""
    status, record = await scanner.call("POST", "/v1/policies", json=policy)
    assert status == 200, record
    path = f"/v1/policies/{policy['id']}"
    status, body = await scanner.call("PUT", path, json=record | {"active": True})
    assert status == 200, json.dumps(body)
