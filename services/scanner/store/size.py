"""The database's size, what of it is used, and giving the rest back to the disk."""

import sqlite3

import msgspec

VACUUM_PAGES = 2_000
"""At a time: other calls wait meanwhile."""


class Size(msgspec.Struct, frozen=True):
    """Bytes of the file, and those of them that hold something."""

    file: int
    used: int


def measure(connection: sqlite3.Connection) -> Size:
    """How large it is now."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    return Size(pages * page, (pages - free) * page)


def give_back(connection: sqlite3.Connection) -> bool:
    """Free pages at the file's end; whether there are more. Outside a transaction."""
    connection.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    return bool(free and mode)


def empty_log(connection: sqlite3.Connection) -> None:
    """The write-ahead log into the file, and its own file to nothing. Outside a transaction."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
