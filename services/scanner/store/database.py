"""The scanner's SQLite file: opened, versioned, and used from one thread of its own.

WAL, so that a kill at any moment leaves whole transactions. One connection in one thread: SQL
never runs on the loop, and what a call does happens at once for every other call.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from services.scanner.store.schema import add_functions, ensure_schema
from shared.domain.errors import ImagegateError, InvalidSettings
from shared.runtime.folder_lock import FolderLock

P = ParamSpec("P")
T = TypeVar("T")

LOCK_SECONDS = 5.0
MAX_WAL = 64 * 1024**2
"""Bytes that the write-ahead log keeps of the disk after a checkpoint."""

_FULL = (sqlite3.SQLITE_FULL,)
_HELD = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF
"""The part of an error's number that says what kind it is."""


class StoreFailed(ImagegateError):
    """The database could not do it, and nothing of it was done; the message says what to do."""


class Database:
    """Runs functions of a connection, each in a transaction, one after the other."""

    def __init__(
        self, *, connection: sqlite3.Connection, thread: ThreadPoolExecutor, file: Path
    ) -> None:
        self._connection = connection
        self._thread = thread
        self._file = file

    async def run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """`work(connection, ...)`, committed when it returns, rolled back when it raises.

        Raises StoreFailed when the disk is full, or the file damaged or out of reach.
        """

        def transaction() -> T:
            with self._connection:
                return work(self._connection, *args, **kwargs)

        return await self._in_thread(transaction)

    async def tidy(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work(connection)` outside a transaction: what none may hold. Raises StoreFailed."""
        return await self._in_thread(lambda: work(self._connection))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise StoreFailed(_trouble(error, self._file)) from error


@asynccontextmanager
async def open_database(folder: Path) -> AsyncIterator[Database]:
    """Open `scanner.db` in `folder`, making both. Raises InvalidSettings when that cannot be."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as held:
        await held.enter_async_context(_locked(folder))
        thread = held.enter_context(ThreadPoolExecutor(1, thread_name_prefix="scanner-db"))
        file = folder / "scanner.db"
        connection = await loop.run_in_executor(thread, _connect, file)
        try:
            yield Database(connection=connection, thread=thread, file=file)
        finally:
            await loop.run_in_executor(thread, connection.close)


@asynccontextmanager
async def _locked(folder: Path) -> AsyncIterator[None]:
    """One scanner a folder: two would analyse the same rows and clear each other's scratch."""
    try:
        lock = FolderLock(folder)
    except OSError as error:
        raise InvalidSettings(
            f"the scanner's state folder {folder} cannot be used: {error.strerror or error}; "
            "choose a writable one"
        ) from error
    with closing(lock):
        # A child of a scanner that was killed holds its lock until it has become its program.
        deadline = time.monotonic() + LOCK_SECONDS
        while not lock.take():
            if time.monotonic() > deadline:
                raise InvalidSettings(
                    f"another scanner uses the state folder {folder}: stop it or choose another "
                    "folder"
                )
            await asyncio.sleep(0.05)
        yield


def _connect(file: Path) -> sqlite3.Connection:
    file.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(file, timeout=5.0)
    try:
        connection.row_factory = sqlite3.Row
        # Before the journal's mode, which writes the file's first page.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {MAX_WAL}")
        add_functions(connection)
        ensure_schema(connection, file)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InvalidSettings(_trouble(error, file)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def _trouble(error: sqlite3.DatabaseError, file: Path) -> str:
    """What is wrong with the file, and what to do."""
    kind = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    if kind in _FULL:
        return f"the disk is full: {file} cannot grow; make room there, and ask again"
    if kind in _HELD:
        return f"another program holds {file} ({error}): end it, and ask again"
    if kind in _DAMAGED:
        return (
            f"{file} is damaged, or not the scanner's database ({error}): stop the scanner, move "
            "the file away and start it again; images are analysed again when they are submitted, "
            "policies of your own must be pushed again"
        )
    return f"{file} cannot be used ({error}): look at its disk, its owner and its rights"
