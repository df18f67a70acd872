"""The file of a built feed: one SQLite database, written once and then only read."""

import sqlite3
from pathlib import Path
from urllib.parse import quote

from services.scanner.feeds.state import FeedError

VERSION = 2
"""Another one whenever this file, or what is packed in it, is read differently (a test tells)."""

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE releases (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    ecosystem TEXT NOT NULL,
    as_of INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    records INTEGER NOT NULL
);
CREATE TABLE packages (
    release INTEGER NOT NULL REFERENCES releases (id),
    name TEXT NOT NULL,
    doubt TEXT,
    known BLOB,
    UNIQUE (release, name)
);
CREATE TABLE scores (id TEXT PRIMARY KEY, scores BLOB NOT NULL) WITHOUT ROWID;
"""


def create(file: Path) -> sqlite3.Connection:
    """A new file. A crash may break it: nobody reads it before it is whole."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.executescript(SCHEMA)
    return connection


def open_read(file: Path) -> sqlite3.Connection:
    """A built feed. Raises FeedError when it is none, or of another version of this program."""
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            connection.execute("SELECT 1 FROM meta, releases, packages, scores LIMIT 1").fetchone()
            return connection
        connection.close()
    except sqlite3.Error as error:
        raise FeedError(
            f"the feed {file} cannot be read: {error}; import the records again"
        ) from error
    raise FeedError(
        f"the feed {file} is of version {version}, this program reads {VERSION}: import the "
        "records again (imagegate feeds sync, or feeds import)"
    )


def is_demonstration(file: Path) -> bool:
    """Whether `file`, of whichever version, is a demonstration feed; False where nobody knows."""
    try:
        connection = sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)
        try:
            query = "SELECT value FROM meta WHERE name = 'demonstration'"
            return bool((connection.execute(query).fetchone() or ("",))[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return False
