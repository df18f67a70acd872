"""A running webhook to which a good review is sent that somebody has spoilt."""

import asyncio
import contextlib
import io
import json
import logging
import resource
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.logging import configure_logging
from tests.fakes.judged import let_pass
from tests.fakes.sealing import PlainSealer
from tests.house import Answer, House, house, pod, review_of

KNOWN = "ghcr.io/team/app:1"
"""Judged and pinnable: a review of it passes, and /mutate pins it."""

JSON = {"Content-Type": "application/json"}
GOOD = json.dumps(review_of(pod(KNOWN))).encode()
PATHS = ("/validate", "/mutate")
IMAGE = f'"image": "{KNOWN}"'.encode()

PATIENCE = 30.0
"""Seconds in which whatever is answered at all is answered, on a machine that is busy."""


class Caller:
    """Sends what is bad to one path, and holds every answer against what may come back."""

    def __init__(self, home: House, path: str, log: io.StringIO) -> None:
        self.home = home
        self.path = path
        self._log = log

    @property
    def lines(self) -> list[str]:
        """What was logged."""
        return self._log.getvalue().splitlines()

    async def good(self) -> Answer:
        """The answer to the good review."""
        return await self.home.post(GOOD, path=self.path)

    async def refused(
        self,
        body: bytes,
        *,
        headers: dict[str, str] | None = None,
        mib: int = 64,
    ) -> Answer:
        """Send the body: it is answered in time, within so much more memory, on one line of the
        log at most, with an error, a deny, or a mutation that changes nothing."""
        lines, peak = len(self.lines), peak_mib()
        async with asyncio.timeout(PATIENCE):
            answer = await self.home.post(body, path=self.path, headers=headers)
        assert peak_mib() - peak < mib
        assert len(self.lines) - lines <= 1
        self.check(answer)
        return answer

    async def review_refused(self, review: dict[str, Any]) -> Answer:
        """The same with a review."""
        return await self.refused(json.dumps(review).encode())

    def check(self, answer: Answer) -> None:
        if answer.http != 200:
            assert 400 <= answer.http < 500
            assert_shown(answer.body["error"])
        elif self.path == "/validate":
            assert not answer.allowed
            assert 400 <= answer.code < 500
            assert_shown(answer.message)
        else:
            assert answer.allowed
            assert "patch" not in answer.response


def with_member(member: bytes, *, where: bytes = b'"spec": {') -> bytes:
    """The good review with one member more, first in the object whose beginning that is."""
    assert GOOD.count(where) == 1
    return GOOD.replace(where, where + member + b", ")


def assert_shown(text: str) -> None:
    """Something to read, of bounded length, on lines that nothing in it has broken."""
    first, *more = text.split("\n")
    assert 0 < len(first) <= 500
    assert len(text) < 4_000
    assert all(line.isprintable() for line in (first, *more))


def peak_mib() -> float:
    """The most that this process had resident so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Raw:
    """A TLS connection without any HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send them, as far as they are taken."""
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
                if pause:
                    await asyncio.sleep(pause)

    async def answer(self) -> tuple[int, bytes, bytes]:
        """Status, head and body of the next answer."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return int(head[9:12]), head, await self.reader.readexactly(int(length or 0))

    async def closed(self) -> bool:
        """Whether the other side ends the connection; what still comes is not looked at."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65_536):
                pass
        return True


@contextlib.asynccontextmanager
async def connection(home: House) -> AsyncIterator[Raw]:
    """A connection to the reviews' port."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    address = home.sites.reviews
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=anybody)
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()


def request(body: bytes, path: str = "/validate", *, version: str = "1.1", more: str = "") -> bytes:
    """A whole request; `more` are lines of its head."""
    head = f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process of ours would have written to standard error."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    configure_logging(stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
async def home(state: Path) -> AsyncIterator[House]:
    async with house(state, worker=False, wait=0.05) as running:
        await let_pass(running.backends.store, PlainSealer(), KNOWN)
        yield running


@pytest.fixture(params=PATHS)
def caller(request: pytest.FixtureRequest, home: House, log: io.StringIO) -> Caller:
    return Caller(home, request.param, log)
