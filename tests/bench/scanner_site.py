"""The built-in scanner as a process, with a feed that was imported and images that it knows."""

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.state import Imported
from services.scanner.records import ImageFacts
from services.scanner.store import images, queue
from services.scanner.store.database import open_database
from shared.domain.reference import ImageReference
from tests.bench.processes import children, cpu_seconds, peak_mib, resident_mib
from tests.bench.site import Programs, ready
from tests.servers.ports import free_ports
from tests.waiting import eventually

HOST = "registry.example:5000"
PATIENCE = 180.0
"""Seconds for what a figure waits for."""


class Known(msgspec.Struct, frozen=True):
    """An image that the scanner has analysed."""

    digest: str
    tag: str


class Scanner:
    """One that answers; its client, and what it takes."""

    def __init__(self, *, port: int, session: aiohttp.ClientSession, pid: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.pid = pid
        self._session = session

    async def get(self, path: str, **query: str) -> Any:
        """What GET answers; an error is one."""
        async with self._session.get(f"{self.url}{path}", params=query) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def check(self, image: Known) -> float:
        """Milliseconds from the question that a worker asks to the whole answer."""
        began = time.perf_counter()
        path = f"{self.url}/v1/images/{image.digest}/check"
        query = {"tag": image.tag, "detail": "true"}
        async with self._session.get(path, params=query) as answer:
            answer.raise_for_status()
            await answer.read()
        return (time.perf_counter() - began) * 1000

    async def submit(self, reference: ImageReference, digest: str, *, force: bool) -> None:
        """Have an image analysed."""
        body = {"tag": reference.tagged, "digest": digest}
        query = {"force": str(force).lower()}
        async with self._session.post(f"{self.url}/v1/images", json=body, params=query) as answer:
            answer.raise_for_status()

    @property
    def resident_mib(self) -> float:
        """Of the server alone."""
        return resident_mib(self.pid)

    @property
    def peak_mib(self) -> float:
        """The most that it had."""
        return peak_mib(self.pid)

    @property
    def children_mib(self) -> list[float]:
        """Of each of its children."""
        return [resident_mib(pid) for pid in children(self.pid)]

    @property
    def cpu_seconds(self) -> float:
        """Of the server, its children, and those that it has buried."""
        alive = sum(cpu_seconds(pid) for pid in children(self.pid))
        return alive + cpu_seconds(self.pid, buried=True)


@asynccontextmanager
async def scanner(state: Path, *, registry: str = "") -> AsyncIterator[Scanner]:
    """Start one on the files in `state`; ended by its own process id. `registry`: a host that
    speaks plain HTTP."""
    rules = await asyncio.to_thread(_rules, state, registry)
    port = free_ports("scanner")["scanner"]
    programs = Programs(
        {
            "PATH": os.defpath,
            "PYTHONPATH": str(Path.cwd()),
            "IMAGEGATE_STATE": str(state),
            "IMAGEGATE_SCANNER_PORT": str(port),
            "IMAGEGATE_HEALTH_PORT": "0",
            "IMAGEGATE_RULES": str(rules),
            "IMAGEGATE_LOG_LEVEL": "WARNING",
        }
    )
    try:
        await programs.start("scanner", "services.scanner")
        await ready(port, "health")
        timeout = aiohttp.ClientTimeout(total=120)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            yield Scanner(port=port, session=session, pid=programs["scanner"].pid)
    finally:
        await programs.stop()


async def import_dump(state: Path, dump: Path, *more: Path) -> Imported:
    """Have the feed of the scanner on `state` say what a dump of Debian's records says, and
    `more` of scores."""
    folder = FeedFolder(state / "scanner" / "feeds")
    return await asyncio.to_thread(import_records, folder, [dump, *more], whole=["Debian"])


async def judged_anew(state: Path, count: int, *, by: str) -> None:
    """Wait until so many images have been judged by the data of that identity."""
    await eventually(lambda: _judged_by(state, by) >= count, within=PATIENCE)


async def analysed(
    server: Scanner, reference: ImageReference, digest: str, *, force: bool
) -> float:
    """Seconds from the submission of an image to the end of its analysis."""
    began = time.perf_counter()
    await server.submit(reference, digest, force=force)

    async def done() -> bool:
        (image,) = await server.get(f"/v1/images/{digest}")
        assert image["analysis_status"] != "analysis_failed", image
        return bool(image["analysis_status"] == "analyzed")

    await eventually(done, within=PATIENCE)
    return time.perf_counter() - began


def database_bytes(state: Path) -> int:
    """All files of the database."""
    return sum(path.stat().st_size for path in (state / "scanner").glob("scanner.db*"))


def _judged_by(state: Path, identity: str) -> int:
    with closing(sqlite3.connect(f"file:{state}/scanner/scanner.db?mode=ro", uri=True)) as database:
        asked = "SELECT count(*) FROM images WHERE judged_by LIKE ?"
        return int(database.execute(asked, (f"{identity}-%",)).fetchone()[0])


def _rules(state: Path, registry: str) -> Path:
    """A rules file that names the registry, if there is one."""
    state.mkdir(parents=True, exist_ok=True)
    rules = state / "rules.yaml"
    hosts = f"registries: [{{host: '{registry}', insecure: true}}]\n" if registry else ""
    rules.write_text(f"apiVersion: imagegate.dev/v1\n{hosts}")
    return rules


async def remember(state: Path, fleet: Iterable[ImageFacts]) -> list[Known]:
    """Have the scanner that will run on `state` know images, as if it had analysed them."""
    folder = state / "scanner"
    known: list[Known] = []
    async with open_database(folder) as database:
        for number, facts in enumerate(fleet):
            image = Known(f"sha256:{number:064x}", f"{HOST}/team/app-{number}:1.0")
            await database.run(_analysed, image, msgspec.json.encode(facts))
            known.append(image)
    return known


def _analysed(connection: Any, image: Known, facts: bytes) -> None:
    now = int(time.time() * 1000)
    images.add(
        connection,
        digest=image.digest,
        image_id=image.digest.removeprefix("sha256:"),
        repository=image.tag.rpartition(":")[0],
        dockerfile=None,
        annotations={},
        now=now,
    )
    images.add_tag(connection, digest=image.digest, fulltag=image.tag, now=now)
    begun = queue.claim(connection, now=now)
    assert begun is not None
    assert queue.finish(connection, begun, facts=facts, now=now)


async def checked(server: Scanner, known: Iterable[Known], *, at_a_time: int = 1) -> list[float]:
    """Milliseconds of each check."""
    places = asyncio.Semaphore(at_a_time)

    async def one(image: Known) -> float:
        async with places:
            return await server.check(image)

    return await asyncio.gather(*(one(image) for image in known))
