"""The whole way: what a review of a known image costs, and how soon an unknown one is known.

review_vs_bare_aiohttp          reviews a second of a known pod of two containers, over TLS on
                                one core, in parts of what an aiohttp handler does that reads
                                the body and returns a constant; both on one loop, turn by turn
review_p99_ms_at_1000           of the same reviews, sent at 1 000 a second
analyzed_to_answer_ms_over_poll from the end of an analysis to the answer of a review that
                                waits, less the poll interval; the worst of several whose
                                analysis is not young any more
young_analyzed_to_answer_ms     the same, whole, of analyses that are looked at quickly
submits_for_1000_reviews        calls to Anchore that begin an analysis, for 1 000 reviews of
                                one unknown image sent at once to two webhooks
"""

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import uvloop
from aiohttp import web

from services.webhook.metrics import WebhookMetrics
from services.webhook.settings import WebhookSettings
from services.webhook.wiring import WebhookPorts, run_webhook
from services.worker.quick import YOUNG
from shared.adapters.signatures import ensure_keys, load_ring, load_sealer
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.signing import Kind
from shared.domain.verdict import Outcome, Question, Subject, Verdict, verdict_key
from shared.ports.signing import Sealer
from shared.ports.verdicts import VerdictStore
from shared.runtime.clock import SystemClock
from shared.runtime.http import serve
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.tls import client_context, ensure_certificate, server_context
from tests.bench.figures import figure, keep_to_first_core, load, remark, review_body
from tests.bench.load import Load
from tests.bench.site import Site, site
from tests.fakes.images import tiny_image
from tests.house import eventually, memory_backends

IMAGES = ("ghcr.io/team/app:1.0", "ghcr.io/team/sidecar:2.0")
ROUNDS = 7
SECONDS = 1.5
POLL = 1.0
"""Seconds: the first interval of the ladder."""

WAITING_REVIEWS = 8
AGE = 1.5
OLD_AGE = YOUNG + 0.2
"""Seconds that an analysis has taken when a review is waited for it."""


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_known(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_unknown(Path(folder)))


async def _known(folder: Path) -> None:
    keep_to_first_core()
    backends = memory_backends()
    keys = ensure_keys(folder / "keys")
    for image in IMAGES:
        await _judge(backends.store, load_sealer(keys), image)
    life = Lifecycle()
    settings = WebhookSettings(imagegate_state=folder, imagegate_port=0, imagegate_health_port=0)
    ports = WebhookPorts(
        store=backends.store,
        claims=backends.claims,
        queue=backends.queue,
        unsealer=load_ring(keys),
        decisions=backends.decisions,
        presence=backends.presence,
        exceptions=backends.exceptions,
    )
    metrics = WebhookMetrics(Metrics())
    files = ensure_certificate(folder)
    body = review_body(folder, *IMAGES)
    remark(f"one core, TLS keep-alive, uvloop, {body.stat().st_size} bytes a review")
    async with (
        AsyncExitStack() as stack,
        run_webhook(settings, life, ports=ports, rules=Rules(), metrics=metrics) as sites,
        serve(_bare(), tls=server_context(files)) as bare,
    ):
        # However the measuring ends: a task that is left to the loop's end is taken for a failure.
        stack.push_async_callback(life.cancel_tasks)
        reviews = Load(sites.reviews.port, str(files.certificate), str(body), seconds=SECONDS)
        constant = Load(bare.port, str(files.certificate), str(body), seconds=SECONDS)
        rates = []
        ratios = []
        for _ in range(ROUNDS):
            ours, theirs = await load(reviews), await load(constant)
            assert set(ours.statuses) == {"200"}, ours.statuses
            assert all('"allowed":true' in answer for answer in ours.bodies), ours.bodies
            rates.append(ours.answers / ours.seconds)
            ratios.append(rates[-1] / (theirs.answers / theirs.seconds))
        figure("reviews_per_second", statistics.median(rates), "1/s")
        figure("review_vs_bare_aiohttp", statistics.median(ratios), "", goal=">= 0.5, aim 0.65")
        reviews.rate, reviews.seconds = 1_000.0, 8.0
        steady = await load(reviews)
        figure("review_p50_ms_at_1000", steady.p50_ms, "ms")
        figure("review_p99_ms_at_1000", steady.p99_ms, "ms", goal="< 5")


def _bare() -> web.Application:
    answer = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{}}'

    async def handle(http: web.Request) -> web.Response:
        await http.read()
        return web.Response(body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_post("/validate", handle)
    return app


async def _judge(store: VerdictStore, sealer: Sealer, image: str) -> None:
    """Have a passing verdict of `image` in the store."""
    now = SystemClock().now()
    reference = parse_reference(image)
    digest = f"sha256:{reference.path.encode().hex():0<64}"[:71]
    pointer = Pointer(reference.tagged, now, digest)
    key = pointer_key(reference)
    sealed = sealer.seal(pointer, kind=Kind.POINTER, key=key, order=now, ends=pointer.ends_at)
    await store.put(sealed, key=key, ends=pointer.ends_at)
    subject = Subject(reference.repository, digest, reference.tag)
    verdict = Verdict(subject, Question(), Outcome.PASS, now, policy_id="baseline", scan_id="s")
    key = verdict_key(subject, verdict.question)
    sealed = sealer.seal(verdict, kind=Kind.VERDICT, key=key, order=now, ends=verdict.ends_at)
    await store.put(sealed, key=key, ends=verdict.ends_at)


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
    image = str(running.registry.put(content, f"team/slow:{number + WAITING_REVIEWS}"))
    answering = asyncio.create_task(_person_asks(running, image))
    await asyncio.sleep(age)
    await _poll_seen(running)
    # Right after a poll, so that the next one is a whole interval away: the worst case.
    await running.order("finish", digest=content.digest)
    finished = time.monotonic()
    assert await answering
    return time.monotonic() - finished


async def _poll_seen(running: Site) -> None:
    """Wait until the worker asks Anchore about an image."""

    async def polls() -> float:
        return (await running.anchore_state())["calls"]["image_get"]

    before = await polls()

    async def more() -> bool:
        return await polls() > before

    await eventually(more)


async def _person_asks(running: Site, image: str) -> bool:
    body = review_body(running.folder, image, user="ada").read_bytes()
    connector = aiohttp.TCPConnector(ssl=client_context(running.ca))
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"https://127.0.0.1:{running.webhooks[0]}/validate?timeout=10s"
        headers = {"Content-Type": "application/json"}
        async with session.post(url, data=body, headers=headers) as answer:
            return bool((await answer.json())["response"]["allowed"])


async def _thousand_reviews(running: Site) -> None:
    await running.order("settle_after", seconds=2.0)
    content = tiny_image(config={"Labels": {"many": "1"}})
    image = str(running.registry.put(content, "team/many:1"))
    body = review_body(running.folder, image, user="ada")
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
