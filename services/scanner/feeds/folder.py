"""The folder of built feeds: `current` leads to the one that counts, and is replaced at once.

A feed's file is never changed once `current` leads to it. Who has it open goes on reading it when
it has been replaced and removed. A kill at any moment leaves the old feed or the new one.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from services.scanner.feeds.lifecycle import ended_before
from services.scanner.feeds.schema import open_read
from services.scanner.feeds.state import FeedBusy, FeedError, FeedState, ReleaseState
from shared.runtime.folder_lock import FolderLock

CURRENT = "current"


class FeedFolder:
    """`feed-IDENTITY.sqlite` files, `current` (a link to one of them) and a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state: tuple[Path, FeedState] | None = None

    def current(self) -> Path | None:
        """The file of the feed that counts; None: there is none. One system call."""
        try:
            return self.path / os.readlink(self.path / CURRENT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FeedError(
                f"the feed folder {self.path} cannot be read: {error.strerror or error}"
            ) from error

    def state(self) -> FeedState | None:
        """What the current feed says; None: there is none. Raises FeedError."""
        if (known := self.known()) is not None:
            return known
        file = self.current()
        if file is None:
            return None
        state = read_state(file)
        self._state = (file, state)
        return state

    def known(self) -> FeedState | None:
        """The same, while `current` has not changed since it was read: one system call."""
        kept = self._state
        return kept[1] if kept is not None and kept[0] == self.current() else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Only who holds it writes; a killed one lets go. Raises FeedBusy and FeedError."""
        try:
            lock = FolderLock(self.path)
        except OSError as error:
            raise FeedError(
                f"the feed folder {self.path} cannot be written: {error.strerror or error}; "
                "choose another (IMAGEGATE_SCANNER_FEED)"
            ) from error
        with closing(lock):
            if not lock.take():
                raise FeedBusy(
                    f"another import into {self.path} is under way: wait until it is done"
                )
            self._clear("building-*")
            yield

    def building(self) -> Path:
        """Where a new feed is written; cleared away by the next who holds the lock."""
        return self.path / f"building-{os.getpid()}.sqlite"

    def replace(self, file: Path, identity: str) -> Path:
        """Have `current` lead to `file` from now on, and remove the others."""
        name = f"feed-{identity}.sqlite"
        link = self.path / f"building-{os.getpid()}.link"
        os.replace(file, self.path / name)
        self._settle()
        with suppress(FileNotFoundError):
            link.unlink()
        link.symlink_to(name)
        os.replace(link, self.path / CURRENT)
        self._settle()
        self._clear("feed-*.sqlite", but=name)
        return self.path / name

    def _clear(self, pattern: str, but: str = "") -> None:
        for file in self.path.glob(pattern):
            if file.name != but:
                file.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Names are on the disk as well."""
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_state(file: Path) -> FeedState:
    """Raises FeedError."""
    connection = open_read(file)
    try:
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        (scores,) = connection.execute("SELECT count(*) FROM scores").fetchone()
        return FeedState(
            identity=meta["identity"],
            built_at=meta["built_at"],
            size=file.stat().st_size,
            releases=tuple(_releases(connection)),
            scores=scores,
            demonstration=meta["demonstration"],
        )
    except (sqlite3.Error, KeyError, OSError) as error:
        raise FeedError(f"the feed {file} cannot be read: {error}; import again") from error
    finally:
        connection.close()


def _releases(connection: sqlite3.Connection) -> Iterator[ReleaseState]:
    query = (
        "SELECT r.id, r.name, ecosystem, as_of, whole, records, count(p.name), count(doubt) "
        "FROM releases r LEFT JOIN packages p ON r.id = release GROUP BY r.id ORDER BY r.name"
    )
    for id_, name, ecosystem, as_of, whole, records, packages, doubtful in connection.execute(
        query
    ):
        covered = connection.execute(
            "SELECT name FROM packages WHERE release = ? AND doubt IS NULL ORDER BY name", (id_,)
        )
        yield ReleaseState(
            name=name,
            ecosystem=ecosystem,
            records=records,
            packages=packages,
            as_of=as_of,
            whole=bool(whole),
            doubtful=doubtful,
            covers=() if whole else tuple(row[0] for row in covered),
            ended=ended_before(name, as_of),
        )
