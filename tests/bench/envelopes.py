"""Registries that push: envelopes with ever-new images, each on a connection of its own.

That is how Distribution sends them: it closes its connection after each.
`python -m tests.bench.envelopes '{"port": ..., ...}'` prints a `Report` as JSON.
"""

import asyncio
import sys
import time
import uuid
from typing import Any

import msgspec
import uvloop

from tests.bench.load import Report, report_of
from tests.fakes.pushes import bearer, envelope, event

AT_ONCE = 16
"""Registries that send one envelope after another, where there is no rate."""


class Envelopes(msgspec.Struct):
    """What to send. `rate` (a second) 0: as fast as the answers come."""

    port: int
    images: int = 3
    """Manifests with a tag in an envelope."""
    blobs: int = 2
    seconds: float = 5.0
    rate: float = 0.0


def request_of(load: Envelopes, number: int) -> bytes:
    """An HTTP request with an envelope of images that nobody has heard of."""
    run = uuid.uuid4().hex[:12]
    images = [
        event(repository=f"team/{run}/app-{number}", tag=f"1.{image}", **_DETAILS)
        for image in range(load.images)
    ]
    blob = "application/octet-stream"
    blobs = [event(tag="", media_type=blob, **_DETAILS) for _ in range(load.blobs)]
    body = envelope(*blobs, *images)
    head = (
        f"POST /events/distribution HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n"
        f"Authorization: {bearer()['Authorization']}\r\nConnection: close\r\n"
        "Content-Type: application/vnd.docker.distribution.events.v2+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


_DETAILS: dict[str, Any] = {
    "size": 26_576_195,
    "length": 26_576_195,
    "url": f"https://registry.example.com/v2/team/app/manifests/sha256:{'a' * 64}",
    "references": [
        {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{'b' * 64}"},
        {
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
            "digest": f"sha256:{'c' * 64}",
        },
    ],
}
"""Of a target, so that an event is as long as a real one."""


async def send(port: int, request: bytes) -> tuple[str, str]:
    """(status, body) of one envelope."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head[9:12].decode(), body.decode(errors="replace")


async def run(load: Envelopes) -> Report:
    """Send envelopes as the load says, and report."""
    times: list[float] = []
    statuses: dict[str, int] = {}
    bodies: dict[str, int] = {}

    async def one(request: bytes, began: float) -> None:
        status, body = await send(load.port, request)
        times.append(time.perf_counter() - began)
        statuses[status] = statuses.get(status, 0) + 1
        bodies[body] = bodies.get(body, 0) + 1

    async def one_after_another(numbers: range) -> None:
        for number in numbers:
            if time.perf_counter() > began + load.seconds:
                return
            await one(request_of(load, number), time.perf_counter())

    prepared = [request_of(load, number) for number in range(int(load.rate * load.seconds))]
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, request in enumerate(prepared):
            # From when it was due: a sender that is late is no excuse.
            due = began + number / load.rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(request, due))
        for number in range(0 if prepared else AT_ONCE):
            group.create_task(one_after_another(range(number, sys.maxsize, AT_ONCE)))
    spent = time.perf_counter() - began
    return report_of(times, spent, statuses=statuses, bodies=bodies)


def main() -> None:
    """Run the load that the first argument says."""
    load = msgspec.json.decode(sys.argv[1], type=Envelopes)
    sys.stdout.write(msgspec.json.encode(uvloop.run(run(load))).decode() + "\n")


if __name__ == "__main__":
    main()
