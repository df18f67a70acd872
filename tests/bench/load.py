"""Load from a process of its own: keep-alive HTTPS connections that send one request each.

A raw protocol and bodies made beforehand, so that the client costs much less than the server.
`python -m tests.bench.load '{"port": ..., ...}'` prints a `Report` as JSON.
"""

import asyncio
import itertools
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import uvloop


class Load(msgspec.Struct):
    """What to send. `rate` 0: as fast as the answers come."""

    port: int
    ca: str
    body: str
    """A file that holds the body."""
    others: list[str] = []
    """Files of other bodies, sent in turn with it."""
    fresh: str = ""
    """A text in the body that is another one in each request: its number, of the same length."""
    path: str = "/validate?timeout=5s"
    connections: int = 16
    seconds: float = 3.0
    rate: float = 0.0
    total: int = 0
    """Send so many in all, instead of for so many seconds."""
    first: int = 0
    """The number of the first request."""


class Report(msgspec.Struct):
    """What came of it."""

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    statuses: dict[str, int]
    bodies: dict[str, int]
    """How often each different body came, the first 20."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        at = head.lower().index(b"content-length: ") + 16
        length = int(head[at : head.find(b"\r\n", at) if b"\r\n" in head[at:] else None])
        if len(rest) < length:
            return
        self._buffer = b""
        assert self._answer is not None
        if not self._answer.done():
            self._answer.set_result((head[9:12], rest[:length]))

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Send the request; (status, body)."""
        self._answer = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        return await self._answer


def requests(load: Load) -> Iterator[bytes]:
    """Whole requests, without end."""
    made = []
    for body in (Path(file).read_bytes() for file in (load.body, *load.others)):
        head = (
            f"POST {load.path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        made.append(head.encode() + body)
    if not load.fresh:
        yield from itertools.cycle(made)
    for number, request in enumerate(itertools.cycle(made), load.first):
        text = f"{number:0{len(load.fresh)}}"
        yield request.replace(load.fresh.encode(), text.encode())


async def run(load: Load) -> Report:
    """Send what the load says, and report."""
    context = ssl.create_default_context(cafile=load.ca)
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(load.connections):
        _, connection = await loop.create_connection(
            Connection, "127.0.0.1", load.port, ssl=context
        )
        connections.append(connection)
    to_send = requests(load)
    times: list[float] = []
    statuses: dict[str, int] = {}
    bodies: dict[str, int] = {}
    began = time.perf_counter()
    left = load.total or sys.maxsize
    until = began + (load.seconds if not load.total else 600)
    gap = load.connections / load.rate if load.rate else 0.0

    async def work(number: int, connection: Connection) -> None:
        nonlocal left
        due = began + gap * number / load.connections
        while left > 0 and time.perf_counter() < until:
            left -= 1
            if gap:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent = due if gap else time.perf_counter()
            status, answer = await connection.ask(next(to_send))
            times.append(time.perf_counter() - sent)
            due += gap
            statuses[status.decode()] = statuses.get(status.decode(), 0) + 1
            text = answer.decode(errors="replace")
            if text in bodies or len(bodies) < 20:
                bodies[text] = bodies.get(text, 0) + 1

    await asyncio.gather(*(work(number, each) for number, each in enumerate(connections)))
    spent = time.perf_counter() - began
    return report_of(times, spent, statuses=statuses, bodies=bodies)


def report_of(
    times: list[float], spent: float, *, statuses: dict[str, int], bodies: dict[str, int]
) -> Report:
    """The report of answers that took `times` (s), within `spent` seconds."""
    times.sort()
    return Report(
        answers=len(times),
        seconds=spent,
        p50_ms=times[len(times) // 2] * 1000,
        p99_ms=times[int(len(times) * 0.99)] * 1000,
        statuses=statuses,
        bodies=bodies,
    )


def main() -> None:
    """Run the load that the first argument says."""
    load = msgspec.json.decode(sys.argv[1], type=Load)
    report = uvloop.run(run(load))
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")


if __name__ == "__main__":
    main()
