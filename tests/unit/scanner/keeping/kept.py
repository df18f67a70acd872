"""Images in a database, as an analysis leaves them."""

import sqlite3

import msgspec

from services.scanner.records import Image
from services.scanner.store import images, queue
from services.scanner.store.database import Database
from tests.unit.scanner.samples import FACTS

REPOSITORY = "registry.example/team/app"


def digest_of(number: int) -> str:
    return f"sha256:{number:064x}"


def submit(connection: sqlite3.Connection, digest: str, *, now: int) -> None:
    """Waiting for its analysis, under a tag of its own."""
    images.add(
        connection,
        digest=digest,
        image_id=digest.removeprefix("sha256:"),
        repository=REPOSITORY,
        dockerfile=None,
        annotations={},
        now=now,
    )
    images.add_tag(connection, digest=digest, fulltag=tag_of(digest), now=now)


def tag_of(digest: str) -> str:
    return f"{REPOSITORY}:{digest[-4:]}"


def analyse(
    connection: sqlite3.Connection,
    digest: str,
    *,
    now: int,
    facts: bytes = msgspec.json.encode(FACTS),
) -> None:
    """Submitted and analysed."""
    submit(connection, digest, now=now)
    claimed = queue.claim(connection, now=now)
    assert claimed is not None
    assert claimed.digest == digest
    assert queue.finish(connection, claimed, facts=facts, now=now)


async def found(database: Database, digest: str) -> Image:
    image = await database.run(images.find, digest)
    assert image is not None
    return image
