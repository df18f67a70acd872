"""Push events: how many one intake takes, and how soon a pushed image is known.

envelope_p99_ms                  of envelopes of five events (three images that nobody has heard of,
                                 two blobs), sent at 100 a second to one intake on one core, over
                                 real Redis and RabbitMQ, each on a connection of its own; from
                                 when each was due to its whole answer
envelopes_per_second             of the same envelopes, as fast as they are taken
push_to_verdict_over_analysis_ms from the POST of a push event to the verdict in the store, less
                                 what the built-in scanner's own record says its analysis took
                                 (submit to analysed); a small Debian image in a real registry;
                                 the worst of several
"""

import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec
import uvloop

from services.cli.show.images import show_images, write_layouts
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.domain.reference import ImageReference
from shared.domain.verdict import Question, Subject, verdict_key
from tests.bench.envelopes import Envelopes, send
from tests.bench.figures import FIRST_CORE, figure, load, remark
from tests.bench.load import Report
from tests.bench.site import Site, site
from tests.fakes.pushes import bearer, envelope, event
from tests.servers.registry import RegistryServer

RATE = 100.0
IMAGES = 8
PATIENCE = 60.0
"""Seconds for one image."""


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_accepted(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_known(Path(folder)))


async def _accepted(folder: Path) -> None:
    async with site(folder, webhooks=0, workers=0, intake=True) as running:
        os.sched_setaffinity(running.programs["intake"].pid, {FIRST_CORE})
        remark("an intake on one core, Redis and RabbitMQ beside it; no worker takes the steps")
        envelopes = Envelopes(running.intake, rate=RATE)
        await load(msgspec.structs.replace(envelopes, seconds=1.0))
        steady = await load(msgspec.structs.replace(envelopes, seconds=8.0))
        _tell(steady, envelopes)
        figure("envelope_p50_ms", steady.p50_ms, "ms")
        figure("envelope_p99_ms", steady.p99_ms, "ms", goal="< 50")
        # Last, because it may fill the lane.
        fastest = await load(msgspec.structs.replace(envelopes, rate=0.0, seconds=3.0))
        taken = fastest.statuses.get("202", 0)
        figure("envelopes_per_second", taken / fastest.seconds, "1/s", goal=">= 100")


def _tell(report: Report, envelopes: Envelopes) -> None:
    """What became of the images of the envelopes, each of which is one of its own."""
    outcomes: Counter[str] = Counter()
    for body, times in report.bodies.items():
        told = msgspec.json.decode(body)
        assert told.pop("ignored") == envelopes.blobs, body
        assert told.pop("reasons") == {"blob": envelopes.blobs}, body
        assert sum(told.values()) == envelopes.images, body
        outcomes.update({outcome: count * times for outcome, count in told.items() if count})
    remark(f"of {envelopes.images * report.answers} images: {dict(outcomes)}")


async def _known(folder: Path) -> None:
    with RegistryServer(folder / "registry") as registry:
        async with site(
            folder / "site",
            webhooks=0,
            workers=1,
            intake=True,
            scanner=True,
            registries=[registry.host],
        ) as running:
            remark("an intake, a worker and the built-in scanner as processes, a docker-registry")
            over = []
            async with RedisLinks(url=running.redis.url) as links:
                verdicts = Verdicts()
                listening = asyncio.create_task(RedisVerdictStore(links=links).listen(verdicts))
                for number in range(IMAGES):
                    image, digest = await asyncio.to_thread(_push, registry, folder, number)
                    took = await _warm(running, verdicts, image, digest)
                    analysis = _analysis(folder / "site" / "state", digest)
                    over.append(took - analysis)
                    remark(f"known after {took:.0f} ms, of which the analysis took {analysis:.0f}")
                listening.cancel()
            figure("push_to_verdict_over_analysis_ms", max(over), "ms", goal="<= 300")
            figure("push_to_verdict_over_analysis_ms_median", statistics.median(over), "ms")


def _push(registry: RegistryServer, folder: Path, number: int) -> tuple[ImageReference, str]:
    """Push the show's good image under a name of its own, which makes another digest."""
    good = next(image for image in show_images() if image.name == "good")
    named = msgspec.structs.replace(good, name=f"good-{number}")
    layouts = folder / f"layout-{number}"
    (digest,) = write_layouts(layouts, (named,)).values()
    layout = f"{layouts / named.repository}:{named.tag}"
    return registry.push_layout(layout, f"team/good-{number}:1.0"), digest


class Verdicts:
    """A listener that knows when each record was put."""

    def __init__(self) -> None:
        self._put: dict[str, float] = {}
        self._news = asyncio.Event()

    def changed(self, key: str) -> None:
        """An announcement."""
        self._put.setdefault(key, time.perf_counter())
        self._news.set()

    def gap(self) -> None:
        """The subscription stands."""
        self._news.set()

    async def heard(self, key: str) -> float:
        """Wait for the record of `key`; when it was put."""
        async with asyncio.timeout(PATIENCE):
            while key not in self._put:
                self._news.clear()
                await self._news.wait()
        return self._put[key]


async def _warm(running: Site, verdicts: Verdicts, image: ImageReference, digest: str) -> float:
    """Milliseconds from the event to the verdict."""
    pushed = event(host=image.host, repository=image.path, tag=image.tag or "", digest=digest)
    body = envelope(pushed)
    request = (
        f"POST /events/distribution HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Authorization: {bearer()['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    key = verdict_key(Subject(image.repository, digest, image.tag), Question())
    began = time.perf_counter()
    status, said = await send(running.intake, request.encode() + body)
    assert status == "202", said

    return (await verdicts.heard(key) - began) * 1000


def _analysis(state: Path, digest: str) -> float:
    """Milliseconds from submit to analysed, as the scanner wrote them down."""
    with closing(sqlite3.connect(f"file:{state}/scanner/scanner.db?mode=ro", uri=True)) as database:
        created, analysed = database.execute(
            "SELECT created_at, analyzed_at FROM images WHERE digest = ?", (digest,)
        ).fetchone()
    return float(analysed - created)
