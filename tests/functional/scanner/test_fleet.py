"""A site's images, analysed by the real Syft out of a real registry, and a kill in the middle."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.bench.site import metrics, ready
from tests.fakes.images import Content
from tests.functional.scanner.conftest import Client
from tests.functional.scanner.images import BASH, NETBASE, debian_image, tar_of
from tests.functional.scanner.processes import process
from tests.servers.ports import free_port
from tests.servers.registry import RegistryServer
from tests.waiting import eventually

pytestmark = pytest.mark.servers

IMAGES = 30
BASES = 3
AT_A_TIME = {"IMAGEGATE_SCANNER_ANALYSES": "4", "IMAGEGATE_LOG_LEVEL": "WARNING"}
PATIENCE = 200.0
"""Seconds for all analyses."""

FEW = 6
"""Analyses that end before the kill, at least."""

SHARED = 256 * 1024
"""Bytes of the layer that the images of a base share."""


def fleet() -> list[Content]:
    """Each stands on one of three bases, all of which have the same packages, and has a layer of
    its own."""
    bases = [tar_of({"usr/share/base": bytes([base]) * SHARED}) for base in range(BASES)]
    own = [tar_of({"srv/number": str(number).encode()}) for number in range(IMAGES)]
    return [
        debian_image(NETBASE, BASH, layers=[bases[number % BASES], tar])
        for number, tar in enumerate(own)
    ]


async def analysed(scanner: Client) -> dict[str, str]:
    """When each image that is done was, by its digest."""
    status, listed = await scanner.get("/v1/images", analysis_status="analyzed")
    assert status == 200, listed
    return {image["imageDigest"]: image["analyzed_at"] for image in listed}


def analysed_in(state: Path) -> int:
    """How many a scanner that is gone has left as done."""
    file = f"file:{state}/scanner/scanner.db?mode=ro"
    with closing(sqlite3.connect(file, uri=True)) as database:
        asked = "SELECT count(*) FROM images WHERE status = 'analyzed'"
        return int(database.execute(asked).fetchone()[0])


async def test_a_fleet_is_analysed_whole_though_the_scanner_is_killed_in_the_middle(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    contents = fleet()
    with RegistryServer(tmp_path / "registry") as registry:
        pushed = {
            content.digest: registry.put(content, f"team/app-{number}:1.0")
            for number, content in enumerate(contents)
        }
        async with process(state, registry, **AT_A_TIME) as (scanner, running):
            for digest, reference in pushed.items():
                status, body = await scanner.submit(reference, digest)
                assert status == 200, body

            async def some_are_done() -> bool:
                return len(await analysed(scanner)) >= FEW

            await eventually(some_are_done, within=PATIENCE)
            before = await analysed(scanner)
            running.send_signal(signal.SIGKILL)
            await running.wait()
        kept = analysed_in(state)
        assert len(before) <= kept < IMAGES

        health = free_port()
        told = AT_A_TIME | {"IMAGEGATE_HEALTH_PORT": str(health)}
        async with process(state, registry, **told) as (scanner, running):

            async def all_are_done() -> bool:
                _, failed = await scanner.get("/v1/images", analysis_status="analysis_failed")
                assert failed == []
                return len(await analysed(scanner)) == IMAGES

            await eventually(all_are_done, within=PATIENCE)
            after = await analysed(scanner)
            assert set(after) == set(pushed)
            assert {digest: after[digest] for digest in before} == before
            assert list((scanner.folder / "scratch").iterdir()) == []
            for digest, reference in pushed.items():
                entry = await scanner.entry(reference, digest)
                assert entry["status"] in {"pass", "fail"}
            _, status = await scanner.get("/v1/status")
            assert status["detail"]["images"] == {"analyzed": IMAGES}
            await ready(health)
            ended = await metrics(health, "imagegate_scanner_analyses_total", 'outcome="done"')
            assert ended == IMAGES - kept

            async def gauges_follow() -> bool:
                images = await metrics(health, "imagegate_scanner_images", 'status="analyzed"')
                waits = await metrics(health, "imagegate_scanner_queue_oldest_seconds")
                return (images, waits) == (IMAGES, 0)

            await eventually(gauges_follow, within=60)
            assert running.returncode is None
