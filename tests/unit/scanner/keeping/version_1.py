"""A database as the scanner of version 1 made it: its own SQL, and rows as it wrote them."""

import json
import sqlite3
from pathlib import Path

SCHEMA = """
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

FACTS = {"distro": "debian", "distro_version": "12", "packages": [["a", "1", "deb", "a", "1"]]}


def write_version_1(folder: Path, *, images: dict[str, str], policy: bytes = b"{}") -> Path:
    """`images`: digest -> status. Policy `mine` is active; each image has the tag `r/a:1`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scanner.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = 1; COMMIT")
    for age, (digest, status) in enumerate(images.items()):
        facts = json.dumps(FACTS).encode() if status == "analyzed" else None
        connection.execute(
            "INSERT INTO images VALUES (?, ?, 'registry.example/a', ?, 1, ?, ?, ?, ?, NULL, ?, ?)",
            (digest, digest[7:], status, age, age, age, age if facts else None, b"{}", facts),
        )
        connection.execute("INSERT INTO tags VALUES (?, 'registry.example/a:1', ?)", (digest, age))
    connection.execute("INSERT INTO policies VALUES ('mine', 'Mine', ?, 1, 5, 6)", (policy,))
    connection.execute(
        "INSERT INTO failures VALUES ('f', 'registry.example/a:1', 'sha256:9', 'it \"broke\"', 7)"
    )
    connection.commit()
    connection.close()
    return file
