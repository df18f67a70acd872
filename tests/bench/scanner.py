"""The built-in scanner: what an evaluation takes, how soon another feed is known, and its memory.

The scanner is a process of its own, asked over HTTP as a worker asks; its feed is imported from a
dump of 40 000 Debian-like OSV records; its images have 500 real packages of Debian 12, of which
they share as many as the images of a site do. About five minutes.

feed_import_seconds            40 000 records, from the dump to a feed that answers
evaluate_500_packages_ms       GET /v1/images/{digest}/check of an image that the feed has not been
                               asked about, one after the other; the median
evaluate_500_packages_ms_known the same of images that it has been asked about
reevaluations_per_second       after a later dump was imported beside it: images that are judged
                               anew, a second of CPU that the server and its children take together
reevaluations_per_wall_second  the same, a second of the clock, with two judges
scanner_rss_mib_10000_images   the most memory resident of the server, without its children, with
                               10 000 analysed images, while they are listed, some hundreds checked,
                               and these judged anew by another feed
engine_agreement               recorded checks of a real Engine that the scanner answers with the
                               same rows and action, of all for whose difference no reason is named
database_bytes_an_image        of these
analysis_seconds               a small Debian image out of a registry, by the real Syft
"""

import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from tests.agreement import agreement
from tests.bench.figures import figure, remark
from tests.bench.scanner_records import image_of, write_dump, write_scores
from tests.bench.scanner_site import (
    Known,
    Scanner,
    analysed,
    checked,
    database_bytes,
    import_dump,
    judged_anew,
    remember,
    scanner,
)
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.images import BASH, NETBASE, debian_image

RECORDS = 40_000
PACKAGES = 500
EVALUATED = 40
REEVALUATED = 600
HELD = 10_000
CHECKED = 400
AT_A_TIME = 4


def main() -> None:
    """Print the figures."""
    _agreement()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scores = write_scores(folder / "scores.zip", count=RECORDS)
        dumps = [
            write_dump(folder / f"dump-{round_}.zip", count=RECORDS, round_=round_)
            for round_ in (1, 2)
        ]
        uvloop.run(_evaluated(folder / "evaluated", scores, *dumps))
        uvloop.run(_held(folder / "held", scores, *dumps))
        uvloop.run(_analysed(folder / "analysed"))


def _agreement() -> None:
    found = agreement()
    figure("engine_agreement", found.percent, "%", goal="100")
    named = len(found.named)
    remark(f"{len(found.counted)} recorded checks; of {named} more the reason to differ is named")


async def _evaluated(state: Path, scores: Path, earlier: Path, later: Path) -> None:
    began = time.perf_counter()
    imported = await import_dump(state, earlier, scores)
    figure("feed_import_seconds", time.perf_counter() - began, "s")
    size = imported.state.size / 2**20
    remark(f"{imported.records} records read, {size:.0f} MiB of feed, {imported.bad_count} are bad")
    known = await _fleet(state, REEVALUATED)
    async with scanner(state) as server:
        first, *cold = await checked(server, known[:EVALUATED])
        again = await checked(server, known[:EVALUATED])
        remark(f"the first after the start took {first:.0f} ms, the worst after it {max(cold):.0f}")
        figure("evaluate_500_packages_ms", statistics.median(cold), "ms", goal="<= 300")
        figure("evaluate_500_packages_ms_known", statistics.median(again), "ms")
        cpu, wall = await _changed(server, state, known, later)
        figure("reevaluations_per_second", len(known) / cpu, "1/s a core", goal=">= 50")
        figure("reevaluations_per_wall_second", len(known) / wall, "1/s")


async def _changed(
    server: Scanner, state: Path, known: list[Known], later: Path
) -> tuple[float, float]:
    """Seconds of CPU and of the clock from a new feed until all images are judged by it."""
    await checked(server, known, at_a_time=AT_A_TIME)
    imported = await import_dump(state, later)
    assert imported.changed
    cpu, began = server.cpu_seconds, time.perf_counter()
    await judged_anew(state, len(known), by=imported.state.identity)
    return server.cpu_seconds - cpu, time.perf_counter() - began


async def _held(state: Path, scores: Path, earlier: Path, later: Path) -> None:
    await import_dump(state, earlier, scores)
    known = await _fleet(state, HELD)
    figure("database_bytes_an_image", database_bytes(state) / HELD, "B")
    async with scanner(state) as server:
        marks = [("after its start", server.resident_mib)]
        listed = await server.get("/v1/images")
        assert len(listed) == HELD
        marks.append(("after all were listed", server.resident_mib))
        await _changed(server, state, known[:CHECKED], later)
        marks.append((f"after {CHECKED} were judged by two feeds", server.resident_mib))
        await server.get("/v1/images")
        marks.append(("after all were listed again", server.resident_mib))
        remark(", ".join(f"{mib:.0f} MiB {when}" for when, mib in marks))
        figure("scanner_rss_mib_10000_images", server.peak_mib, "MiB", goal="< 200")
        remark(f"its children have {', '.join(f'{mib:.0f}' for mib in server.children_mib)} MiB")


async def _analysed(state: Path) -> None:
    async with FakeRegistry() as registry:
        content = debian_image(NETBASE, BASH)
        reference = registry.put(content, "team/app:1.0")
        async with scanner(state, registry=registry.host) as server:
            seconds = [
                await analysed(server, reference, content.digest, force=bool(again))
                for again in range(4)
            ]
    figure("analysis_seconds", statistics.median(seconds), "s")


async def _fleet(state: Path, count: int) -> list[Known]:
    return await remember(state, (image_of(number, size=PACKAGES) for number in range(count)))
