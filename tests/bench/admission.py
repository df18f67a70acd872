"""Admission: what a review of known images costs, and what ever-new images leave behind.

review_vs_bare_aiohttp      reviews of a known pod of two containers for each second of CPU,
                            everything on (rules, pin check, signatures, metrics, decisions; TLS
                            keep-alive), in parts of what an aiohttp handler does that reads the
                            body and returns a constant
review_vs_decoding_aiohttp  the same, against a handler that also reads the review
ten_containers_vs_two       CPU of a review of ten known containers, in parts of one with two
rules500_vs_none            CPU of reviews of many namespaces and users under 500 rules, of which
                            the last one matches, in parts of the same without any rule
p99_ms_at_1000              of reviews of a known pod, sent at 1 000 a second to one core; the
                            median of several runs
rss_growth_mib_200k_names   resident memory that a webhook, a process of its own over Redis, takes
                            more after 200 000 reviews, each of an image that nobody has seen, than
                            after the 20 000 before them (its queue is in the process and always
                            empty: RabbitMQ takes some hundred steps a second from one webhook)

All but the last run on one loop of one core, turn by turn, and are medians of the rounds' ratios.
CPU is what the process takes, so that what else runs on the machine matters less.
"""

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import uvloop

from shared.adapters.rules_file.loading import load_rules
from shared.domain.rules import Rules
from shared.runtime.http import serve
from shared.runtime.tls import ensure_certificate, server_context
from tests.bench.bodies import PERSON, REPLICASETS, review_body
from tests.bench.figures import figure, keep_to_first_core, load, remark
from tests.bench.known import bare_app, known_webhook, pinned
from tests.bench.load import Load
from tests.bench.processes import resident_mib
from tests.bench.site import Programs, ready
from tests.servers.ports import free_ports
from tests.servers.redis import RedisServer

ROUNDS = 7
REVIEWS = 8_000
"""Of each kind in each round."""

RULES = 500
NAMESPACES = [f"team-{name}-{stage}" for name in "abcdefgh" for stage in ("dev", "test", "prod")]
USERS = [
    REPLICASETS,
    REPLICASETS.replace("replicaset", "job"),
    "system:serviceaccount:argocd:argocd-application-controller",
    PERSON,
]
PODS = 12
"""Different pods that reviews of many namespaces are about."""

STEADY_RUNS = 5
NAMES = 200_000
WARM_UP = 20_000
FRESH = "0000000000"


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_cost(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        uvloop.run(_growth(Path(folder)))


async def _cost(folder: Path) -> None:
    keep_to_first_core()
    images = [pinned(f"ghcr.io/team/app-{number}") for number in range(2 * PODS)]
    bodies = folder / "bodies"
    bodies.mkdir()
    two, ten = review_body(bodies, *images[:2]), review_body(bodies, *images[:10])
    many = [
        review_body(bodies, *images[2 * pod : 2 * pod + 2], user=user, namespace=namespace)
        for namespace in NAMESPACES
        for user in USERS
        for pod in range(PODS)
    ]
    remark(f"one core, TLS keep-alive, uvloop; {two.stat().st_size} bytes a review of two images")
    files = ensure_certificate(folder)
    async with AsyncExitStack() as stack:
        webhook = await stack.enter_async_context(known_webhook(folder, images))
        ruled = await stack.enter_async_context(
            known_webhook(folder, images, rules=_five_hundred(folder / "rules.yaml"))
        )
        bare, decoding = [
            (await stack.enter_async_context(serve(app, tls=server_context(files)))).port
            for app in (bare_app(), bare_app(decodes=True))
        ]
        ca = str(files.certificate)
        others = [str(body) for body in many[1:]]
        loads = {
            "bare": Load(bare, ca, str(two), total=REVIEWS),
            "decoding": Load(decoding, ca, str(two), total=REVIEWS),
            "two": Load(webhook, ca, str(two), total=REVIEWS),
            "ten": Load(webhook, ca, str(ten), total=REVIEWS),
            "none": Load(webhook, ca, str(many[0]), others=others, total=REVIEWS),
            "500": Load(ruled, ca, str(many[0]), others=others, total=REVIEWS),
        }
        costs: dict[str, list[float]] = {name: [] for name in loads}
        for _ in range(ROUNDS):
            for name, each in loads.items():
                costs[name].append(await _cpu_of(each, reviews=name not in ("bare", "decoding")))
        _tell(costs)
        await _steady(loads["two"])


async def _cpu_of(each: Load, *, reviews: bool) -> float:
    """Seconds of this process's CPU for one request."""
    began = time.process_time()
    report = await load(each)
    spent = time.process_time() - began
    assert set(report.statuses) == {"200"}, report.statuses
    if reviews:
        assert all('"allowed":true' in answer for answer in report.bodies), report.bodies
    return spent / report.answers


def _tell(costs: dict[str, list[float]]) -> None:
    def ratio(one: str, other: str) -> float:
        pairs = zip(costs[one], costs[other], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)

    for name, values in costs.items():
        remark(f"{name}: {statistics.median(values) * 1e6:.1f} us of CPU")
    figure("reviews_per_second_of_cpu", 1 / statistics.median(costs["two"]), "1/s")
    figure("review_vs_bare_aiohttp", ratio("bare", "two"), "", goal=">= 0.6")
    figure("review_vs_decoding_aiohttp", ratio("decoding", "two"), "", goal=">= 0.8")
    figure("ten_containers_vs_two", ratio("ten", "two"), "", goal="<= 1.5")
    figure("rules500_vs_none", ratio("500", "none"), "", goal="<= 1.15")


async def _steady(each: Load) -> None:
    steady = msgspec.structs.replace(each, rate=1_000.0, seconds=5.0, total=0)
    runs = [await load(steady) for _ in range(STEADY_RUNS)]
    assert all(set(run.statuses) == {"200"} for run in runs)
    figure("p50_ms_at_1000", statistics.median(run.p50_ms for run in runs), "ms")
    figure("p99_ms_at_1000", statistics.median(run.p99_ms for run in runs), "ms", goal="< 5")


def _five_hundred(file: Path) -> Rules:
    """Rules as a cluster of many tenants has them; only the last one is about the images here.

    A third are for its namespaces and other images, a third for other namespaces and its images.
    """
    rules = []
    for number in range(RULES - 1):
        tenant = f"tenant-{number:03}"
        namespaces, images = f"[{tenant}-*]", f'["registry.corp/{tenant}/**"]'
        if number % 3 == 1:
            namespaces = "[team-*, shared-*]"
        if number % 3 == 2:
            images = '["ghcr.io/team/**", "docker.io/library/*"]'
        users = f', users: ["system:serviceaccount:{tenant}:*"]' if number % 10 == 2 else ""
        match = f"{{namespaces: {namespaces}, images: {images}{users}}}"
        rules.append(f"  - {{name: {tenant}, match: {match}, mode: enforce}}\n")
    match = '{namespaces: [team-*], images: ["ghcr.io/team/**"]}'
    rules.append(f"  - {{name: teams, match: {match}, mode: enforce}}\n")
    file.write_text("apiVersion: imagegate.dev/v1\nrules:\n" + "".join(rules))
    return load_rules(file)


async def _growth(folder: Path) -> None:
    bodies = folder / "bodies"
    bodies.mkdir()
    body = review_body(bodies, f"ghcr.io/team/app-{FRESH}:1.0@sha256:{'a' * 64}")
    ports = free_ports("reviews", "health")
    with RedisServer(folder / "redis") as redis:
        # Whoever waits for each image would make this take a day; all else is as it always is.
        environment = {
            "PATH": os.defpath,
            "REDIS_URL": redis.url,
            "IMAGEGATE_STATE": str(folder),
            "IMAGEGATE_PORT": str(ports["reviews"]),
            "IMAGEGATE_HEALTH_PORT": str(ports["health"]),
            "IMAGEGATE_SYSTEM_WAIT": "0.001",
            "IMAGEGATE_LOG_LEVEL": "WARNING",
        }
        programs = Programs(environment)
        try:
            await programs.start("webhook", "tests.bench.alone")
            await ready(ports["health"])
            remark("a webhook and Redis as processes, each step taken from the queue at once")
            each = Load(
                ports["reviews"],
                str(folder / "webhook.crt"),
                str(body),
                fresh=FRESH,
                connections=32,
            )
            pid = programs["webhook"].pid
            warm = await _after(pid, each, WARM_UP)
            remark(f"{warm:.1f} MiB after {WARM_UP} names")
            each.first = WARM_UP
            grown = await _after(pid, each, NAMES) - warm
            figure("rss_growth_mib_200k_names", grown, "MiB", goal="<= 10")
        finally:
            await programs.stop()


async def _after(pid: int, each: Load, names: int) -> float:
    """MiB resident of the process after so many reviews."""
    report = await load(msgspec.structs.replace(each, total=names))
    assert report.answers == names
    assert set(report.statuses) == {"200"}, report.statuses
    remark(f"{names} reviews, {report.answers / report.seconds:.0f} a second")
    await asyncio.sleep(2.0)
    return resident_mib(pid)
