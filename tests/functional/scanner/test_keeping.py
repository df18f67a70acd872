"""What is kept is not asked for again, and outlives a kill, a full disk and an older version."""

import asyncio
import os
import re
import resource
import signal
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Callable
from pathlib import Path

import msgspec

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.store.database import open_database
from services.scanner.store.schema import SCHEMA_VERSION
from tests.bench.processes import children
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import LISTED, Client, opened_scanner
from tests.functional.scanner.feeding import about, feed
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image
from tests.functional.scanner.processes import process
from tests.servers.ports import free_port
from tests.unit.scanner.feeds.osv import write
from tests.unit.scanner.keeping.version_1 import write_version_1
from tests.unit.scanner.samples import baseline
from tests.waiting import eventually

IMAGE = debian_image(BASE_FILES, NETBASE)

DAY = 86_400
JUDGE = b"services.scanner.judging.judge"

WRITER = """
import asyncio, sys
from pathlib import Path
from services.scanner.store import images
from services.scanner.store.database import open_database

def half(connection):
    for number in range(500):
        images.add(connection, digest=f"sha256:{number}", image_id="1", repository="r.example/a",
                   dockerfile=b"x" * 4096, annotations={}, now=number)
    print("half way", flush=True)
    sys.stdin.read()

async def main():
    async with open_database(Path(sys.argv[1])) as database:
        await database.run(half)

asyncio.run(main())
"""


def counted(folder: Path) -> int:
    """Images in the file of a scanner that is gone."""
    connection = sqlite3.connect(folder / "scanner.db")
    try:
        (count,) = connection.execute("SELECT count(*) FROM images").fetchone()
        (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    assert sound == "ok"
    return int(count)


def judges_of(pid: int) -> list[int]:
    """The judges that a process has started."""
    commands = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children(pid)}
    return [child for child, command in commands.items() if JUDGE in command]


async def test_a_digest_that_is_known_costs_no_new_analysis_and_its_check_no_new_matching(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    runs = tmp_path / "runs"
    path = fake_syft(f"echo run >> {runs}\n{LISTED}")
    feeds = tmp_path / "feeds"
    await feed(feeds, about("netbase"))
    async with opened_scanner(
        registry, tmp_path, path=path, imagegate_scanner_feed=feeds
    ) as scanner:
        reference = await scanner.analysed(registry, IMAGE)
        first = await scanner.entry(reference, IMAGE.digest)
        requests = len(registry.requests)
        for _ in range(3):
            status, body = await scanner.submit(reference, IMAGE.digest)
            assert (status, body[0]["analysis_status"]) == (200, "analyzed")
        # The data itself is gone, and who had it open: what it said of this image is not.
        (current,) = feeds.glob("feed-*.sqlite")
        current.write_bytes(b"")
        for judge in judges_of(os.getpid()):
            os.kill(judge, signal.SIGKILL)
        again = await scanner.entry(reference, IMAGE.digest)

    told = [one["detail"]["result"] for one in (first, again)]
    assert told[0]["evaluation_problems"] == []
    assert told[1] == told[0] | {name: told[1][name] for name in ("created_at", "last_modified")}
    assert len(registry.requests) == requests
    assert runs.read_text() == "run\n"


async def test_a_kill_in_the_middle_of_a_transaction_leaves_nothing_of_it(tmp_path: Path) -> None:
    async with open_database(tmp_path):
        pass
    writing = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(tmp_path), stdin=PIPE, stdout=PIPE
    )
    assert writing.stdout is not None
    async with asyncio.timeout(60):
        assert await writing.stdout.readline() == b"half way\n"
    writing.send_signal(signal.SIGKILL)
    await writing.wait()

    assert counted(tmp_path) == 0
    async with open_database(tmp_path):
        pass


async def test_a_file_that_may_not_grow_is_told_and_what_was_asked_is_done_once_it_may(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    state = tmp_path / "state"
    async with process(state, registry, fake_syft(LISTED)) as (scanner, running):
        reference = await scanner.analysed(registry, IMAGE)
        database = state / "scanner" / "scanner.db"
        size = max(database.stat().st_size, (database.parent / "scanner.db-wal").stat().st_size)
        _, hard = resource.prlimit(running.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (size, hard))
        large = debian_image(NETBASE, config={"User": "other"})
        other = registry.put(large, "team/other:1.0")
        refused = await until_refused(scanner, other.tagged, large.digest)
        assert "scanner.db cannot be used" in refused or "cannot grow" in refused
        assert (await scanner.get("/health"))[0] == 200
        assert (await scanner.get(f"/v1/images/{IMAGE.digest}"))[0] == 200
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (hard, hard))
        await scanner.submit(other, large.digest)
        assert (await scanner.finished(large.digest))["analysis_status"] == "analyzed"
        assert (await scanner.entry(reference, IMAGE.digest))["status"] in ("pass", "fail")
    assert counted(state / "scanner") == 2


async def until_refused(scanner: Client, tag: str, digest: str) -> str:
    """Submit with annotations, each time others, until the scanner says that it cannot."""
    for number in range(200):
        body = {"tag": tag, "digest": digest, "dockerfile": "QUFB" * 60_000}
        query = {"force": "true", "number": str(number)}
        status, answer = await scanner.call("POST", "/v1/images", json=body, params=query)
        if status != 200:
            assert status == 503
            return str(answer["message"])
    raise AssertionError("the file grew")


async def test_a_scanner_goes_on_with_the_database_of_the_first_version(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    reference = registry.put(IMAGE, "team/app:1.0")
    policy = baseline() | {"id": "mine", "name": "Mine"}
    file = write_version_1(
        tmp_path / "scanner",
        images={IMAGE.digest: "analyzed"},
        policy=msgspec.json.encode(policy),
    )
    connection = sqlite3.connect(file)
    connection.execute("UPDATE images SET repository = ?", (reference.repository,))
    connection.execute("UPDATE tags SET fulltag = ?", (reference.tagged,))
    connection.commit()
    connection.close()

    async with opened_scanner(registry, tmp_path, path=fake_syft(LISTED)) as scanner:
        _, policies = await scanner.get("/v1/policies")
        assert [(one["policyId"], one["active"]) for one in policies] == [("mine", True)]
        record = await scanner.finished(IMAGE.digest)
        assert record["image_content"]["metadata"]["distro"] == "debian"
        assert (await scanner.entry(reference, IMAGE.digest))["policyId"] == "mine"
        _, status = await scanner.get("/v1/status")
        assert status["db_version"] == str(SCHEMA_VERSION)


async def test_a_scanner_that_runs_forgets_what_nobody_asked_about_and_what_is_too_much(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    path = fake_syft(LISTED)
    made = [debian_image(NETBASE, config={"User": f"u{number}"}) for number in range(4)]
    others = [image.digest for image in made[1:]]
    async with opened_scanner(registry, tmp_path, path=path) as scanner:
        for number, image in enumerate(made):
            dockerfile = b"FROM debian:12\n" + b"#" * 700_000
            await scanner.analysed(registry, image, f"team/app:{number}", dockerfile=dockerfile)
    connection = sqlite3.connect(tmp_path / "scanner" / "scanner.db")
    for number, image in enumerate(made):
        used = int(time.time() - (4 - number) * DAY) * 1000
        connection.execute("UPDATE images SET last_used = ? WHERE digest = ?", (used, image.digest))
    connection.commit()
    connection.close()

    async def left(scanner: Client, *digests: str) -> bool:
        _, listed = await scanner.get("/v1/images")
        return {one["imageDigest"] for one in listed} == set(digests)

    async with opened_scanner(
        registry, tmp_path, path=path, imagegate_scanner_keep_days=3.5
    ) as scanner:
        await eventually(lambda: left(scanner, *others), within=60)
    async with opened_scanner(
        registry, tmp_path, path=path, imagegate_scanner_max_store=1024**2
    ) as scanner:
        await eventually(lambda: left(scanner), within=60)  # fifty go at a time


async def test_what_it_counts_can_be_scraped(
    registry: FakeRegistry, tmp_path: Path, fake_syft: Callable[[str], str]
) -> None:
    port, state = free_port(), tmp_path / "state"
    made = int(time.time()) - 3 * DAY
    feeds = FeedFolder(state / "scanner" / "feeds")
    records = write(tmp_path / "records", about("openssl"))
    await asyncio.to_thread(import_records, feeds, [records], whole=["Debian"], as_of=made * 1000)
    async with process(state, registry, fake_syft(LISTED), IMAGEGATE_HEALTH_PORT=str(port)) as (
        scanner,
        _,
    ):
        await scanner.analysed(registry, IMAGE)

        async def scraped() -> bool:
            async with scanner.session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                text = await answer.text()
            (age,) = re.findall(r"\nimagegate_scanner_feed_age_seconds (\S+)", text) or ["0"]
            return (
                'imagegate_scanner_analyses_total{outcome="done"} 1.0' in text
                and 'imagegate_scanner_images{status="analyzed"} 1.0' in text
                and "\nimagegate_scanner_feed_usable 1.0" in text
                and "\nimagegate_scanner_feed_records 1.0" in text
                and 3 * DAY <= float(age) < 4 * DAY
            )

        await eventually(scraped, within=60)
        async with scanner.session.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert (await answer.json())["ready"] is True
