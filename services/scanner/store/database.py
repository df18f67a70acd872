"""The scanner's SQLite file: opened, versioned, and used from one thread of its own.

WAL, so that a kill at any moment leaves whole transactions. One connection in one thread: SQL
never runs on the loop, and what a call does happens at once for every other call.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from shared.domain.errors import InvalidSettings

P = ParamSpec("P")
T = TypeVar("T")

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE images (
    digest TEXT PRIMARY KEY,
    image_id TEXT NOT NULL,
    repository TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_updated INTEGER NOT NULL,
    analyzed_at INTEGER,
    dockerfile BLOB,
    annotations BLOB NOT NULL,
    facts BLOB
) STRICT;
CREATE INDEX images_by_status ON images (status, queued_at);
CREATE TABLE tags (
    digest TEXT NOT NULL REFERENCES images (digest) ON DELETE CASCADE,
    fulltag TEXT NOT NULL,
    detected_at INTEGER NOT NULL,
    PRIMARY KEY (digest, fulltag)
) STRICT;
CREATE INDEX tags_by_name ON tags (fulltag, detected_at);
CREATE TABLE policies (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    bundle BLOB NOT NULL,
    active INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    last_updated INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_active_policy ON policies (active) WHERE active;
CREATE TABLE failures (
    id TEXT PRIMARY KEY,
    fulltag TEXT NOT NULL,
    digest TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX failures_by_tag ON failures (fulltag, at);
"""


class Database:
    """Runs functions of a connection, each in a transaction, one after the other."""

    def __init__(self, *, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """`work(connection, ...)`, committed when it returns, rolled back when it raises."""

        def transaction() -> T:
            with self._connection:
                return work(self._connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)


@asynccontextmanager
async def open_database(folder: Path) -> AsyncIterator[Database]:
    """Open `scanner.db` in `folder`, making both. Raises InvalidSettings when that cannot be."""
    loop = asyncio.get_running_loop()
    with _locked(folder), ThreadPoolExecutor(1, thread_name_prefix="scanner-db") as thread:
        connection = await loop.run_in_executor(thread, _connect, folder / "scanner.db")
        try:
            yield Database(connection=connection, thread=thread)
        finally:
            await loop.run_in_executor(thread, connection.close)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One scanner a folder: two would analyse the same rows and clear each other's scratch."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidSettings(
            f"the scanner's state folder {folder} cannot be used: {error.strerror or error}; "
            "choose a writable one"
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidSettings(
                f"another scanner uses the state folder {folder}: stop it or choose another folder"
            ) from error
        yield
    finally:
        os.close(lock)


def _connect(file: Path) -> sqlite3.Connection:
    file.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(file, timeout=5.0)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        _ensure_schema(connection, file)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InvalidSettings(
            f"{file} is not the scanner's database ({error}): move it away to begin anew"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _ensure_schema(connection: sqlite3.Connection, file: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
    elif version != SCHEMA_VERSION:
        raise InvalidSettings(
            f"{file} has schema version {version}, this scanner knows {SCHEMA_VERSION}: use the "
            "newer imagegate, or move the file away to begin anew"
        )
