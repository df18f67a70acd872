"""The whole way: how soon an unknown image is known, and what that asks of Anchore.

analyzed_to_answer_ms_over_poll from the end of an analysis to the answer of a review that
                                waits, less the poll interval; the worst of several whose
                                analysis is not young any more
young_analyzed_to_answer_ms     the same, whole, of analyses that are looked at quickly
submits_for_1000_reviews        calls to Anchore that begin an analysis, for 1 000 reviews of
                                one unknown image sent at once to two webhooks
"""

import asyncio
import tempfile
import time
from pathlib import Path

import aiohttp
import uvloop

from services.worker.quick import YOUNG
from shared.runtime.tls import client_context
from tests.bench.bodies import PERSON, review_body
from tests.bench.figures import figure, load, remark
from tests.bench.load import Load
from tests.bench.site import Site, site
from tests.fakes.images import Content, tiny_image
from tests.waiting import eventually

POLL = 1.0
"""Seconds: the first interval of the ladder."""

WAITING_REVIEWS = 8
AGE = 1.5
OLD_AGE = YOUNG + 0.2
"""Seconds that an analysis has taken when a review is waited for it."""


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_unknown(Path(folder)))


async def _unknown(folder: Path) -> None:
    environment = {"IMAGEGATE_WAIT": "8", "IMAGEGATE_BUDGET": "9"}
    async with site(folder, webhooks=2, workers=1, environment=environment) as running:
        remark("Redis, RabbitMQ, two webhooks, a worker and a fake Anchore as processes")
        await running.order("settle_after", seconds=None)
        old = [await _answered(running, number, age=OLD_AGE) for number in range(WAITING_REVIEWS)]
        figure("analyzed_to_answer_ms_over_poll", (max(old) - POLL) * 1000, "ms", goal="<= 50")
        young = [await _answered(running, -1 - n, age=AGE) for n in range(WAITING_REVIEWS)]
        figure("young_analyzed_to_answer_ms", max(young) * 1000, "ms", goal="<= 300")
        await _thousand_reviews(running)


async def _answered(running: Site, number: int, *, age: float) -> float:
    """Seconds from the end of an analysis, once it has taken `age`, to the answer."""
    content = tiny_image(config={"Labels": {"number": str(number)}})
    image = _pushed(running, content, f"team/slow:{number + WAITING_REVIEWS}")
    answering = asyncio.create_task(_person_asks(running, image))
    await asyncio.sleep(age)
    await _poll_seen(running)
    # Right after a poll, so that the next one is a whole interval away: the worst case.
    await running.order("finish", digest=content.digest)
    finished = time.monotonic()
    assert await answering
    return time.monotonic() - finished


def _pushed(running: Site, content: Content, name: str) -> str:
    """What a pod names it by after /mutate: these figures are of /validate alone."""
    return f"{running.registry.put(content, name)}@{content.digest}"


async def _poll_seen(running: Site) -> None:
    """Wait until the worker asks Anchore about an image."""

    async def polls() -> float:
        return (await running.anchore_state())["calls"]["image_get"]

    before = await polls()

    async def more() -> bool:
        return await polls() > before

    await eventually(more)


async def _person_asks(running: Site, image: str) -> bool:
    body = review_body(running.folder, image, user=PERSON).read_bytes()
    connector = aiohttp.TCPConnector(ssl=client_context(running.ca))
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"https://127.0.0.1:{running.webhooks[0]}/validate?timeout=10s"
        headers = {"Content-Type": "application/json"}
        async with session.post(url, data=body, headers=headers) as answer:
            return bool((await answer.json())["response"]["allowed"])


async def _thousand_reviews(running: Site) -> None:
    await running.order("settle_after", seconds=2.0)
    content = tiny_image(config={"Labels": {"many": "1"}})
    image = _pushed(running, content, "team/many:1")
    body = review_body(running.folder, image, user=PERSON)
    half = Load(0, str(running.ca), str(body), path="/validate?timeout=10s", connections=500)
    loads = [
        Load(port, half.ca, half.body, path=half.path, connections=500, total=500)
        for port in running.webhooks
    ]
    reports = await asyncio.gather(*(load(each) for each in loads))
    allowed = pending = other = 0
    for report in reports:
        for answer, times in report.bodies.items():
            if '"allowed":true' in answer:
                allowed += times
            elif '"code":429' in answer:
                pending += times
            else:
                other += times
    await running.order("settle_after", seconds=0.0)
    await eventually(lambda: _person_asks(running, image), within=60)
    submits = (await running.anchore_state())["submits"]
    remark(f"of 1 000 reviews {allowed} got the verdict, {pending} an honest pending, {other} else")
    figure("submits_for_1000_reviews", submits[content.digest], "", goal="1")
    figure("answers_neither_verdict_nor_pending", other, "", goal="0")
