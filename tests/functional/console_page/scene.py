"""A quarter of an hour in the life of a cluster, for pictures: lanes in motion, real records.

The numbers follow the clock alone, so that two pictures of one moment are alike.
"""

import math
import random
from collections.abc import Iterator

from shared.domain.errors import ErrorKind
from shared.domain.reference import parse_reference
from shared.domain.step import Lane, Step, StepKind, encode_step
from shared.domain.verdict import (
    Action,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
)
from shared.domain.why import Why
from shared.ports.decisions import DecisionRecord
from shared.ports.presence import Beat
from shared.ports.steps import Depths, LaneDepth
from shared.runtime.clock import SystemClock
from tests.functional.console_page.site import DELAYS, Site

MINUTE = 60_000
HOUR = 60 * MINUTE
SPAN = 15 * MINUTE

QUESTION = Question()
POLICY = "production"
REVISION = "8d1c30e5f2a94b7714a0c6c95e0f3bb27d2b96fe10f5dc7c6a0c1f9e4ab0d751"


class PastClock:
    """Begins SPAN ago; each `advance` takes it nearer to now, where it becomes the real one."""

    def __init__(self) -> None:
        self._real = SystemClock()
        self._behind = SPAN

    def now(self) -> int:
        return self._real.now() - self._behind

    def monotonic(self) -> float:
        return self._real.monotonic() - self._behind / 1000

    def advance(self, milliseconds: int) -> bool:
        """Whether the present is reached."""
        self._behind = max(0, self._behind - milliseconds)
        return not self._behind


class Scene:
    """Fills a site and moves its lanes."""

    def __init__(self, site: Site, *, began: int) -> None:
        self._site = site
        self._began = began
        self._delivered = dict.fromkeys(Lane, 0.0)
        self._moved = began
        self._dying = list(DYING)

    async def fill(self, *, now: int) -> None:
        """Decisions and verdicts as they are at the end."""
        await self._site.decisions.write(list(decisions(now)))
        for verdict in verdicts(now):
            await self._site.put(verdict)

    async def move(self, now: int) -> None:
        """The lanes and workers as they are at `now` (ms)."""
        seconds = (now - self._began) / 1000
        self._deliver(now)
        ready = {lane: round(_depth(lane, seconds)) for lane in Lane}
        self._site.queue.shown = Depths(
            lanes=tuple(
                LaneDepth(lane=lane, ready=ready[lane], consumers=WORKERS) for lane in Lane
            ),
            delayed=_delayed(seconds),
            dead=len(self._site.queue.dead),
        )
        ages = {lane: _age(lane, seconds) for lane in Lane}
        self._site.claims.shown = {
            lane: now - round(age * 1000) for lane, age in ages.items() if age > 0
        }
        while self._dying and self._dying[0][0] <= seconds:
            _, image, lane = self._dying.pop(0)
            self._site.queue.dead.add(lane, letter(image, lane, now))
        for beat in self._beats(seconds):
            await self._site.presence.beat(beat)

    def _deliver(self, now: int) -> None:
        passed = (now - self._moved) / 1000
        self._moved = now
        for lane in Lane:
            self._delivered[lane] += passed * _rate(lane, (now - self._began) / 1000)

    def _beats(self, seconds: float) -> Iterator[Beat]:
        for service, number, host, days in PROCESSES:
            mine = service == "worker"
            yield Beat(
                name=f"{service}@{host}:7:{number:04x}",
                service=service,
                version="0.1.0",
                started=self._began - round(days * 24 * HOUR),
                delivered={
                    lane: (int(done) + number) // WORKERS for lane, done in self._delivered.items()
                }
                if mine
                else {},
                in_hand={lane: _in_hand(lane, seconds, number) for lane in Lane} if mine else {},
            )


WORKERS = 3
PROCESSES = (
    ("webhook", 0x3F2A, "imagegate-webhook-6c9d7f4b8-2xkqp", 6.2),
    ("webhook", 0x91C4, "imagegate-webhook-6c9d7f4b8-h8w5z", 6.2),
    ("webhook", 0x5D10, "imagegate-webhook-6c9d7f4b8-n4jtm", 1.4),
    ("worker", 0xA7E1, "imagegate-worker-79f6c5d94-7lq2v", 6.2),
    ("worker", 0x18BC, "imagegate-worker-79f6c5d94-d5xrs", 6.2),
    ("worker", 0xC060, "imagegate-worker-79f6c5d94-w9fkt", 0.08),
    ("intake", 0x77E9, "imagegate-intake-5b8c94c6f-qm6zj", 6.2),
    ("console", 0x2B95, "imagegate-console-7d58bfb5c9-k2hnx", 6.2),
)


def _wave(seconds: float, period: float, shift: float = 0.0) -> float:
    return 0.5 + 0.5 * math.sin(2 * math.pi * seconds / period + shift)


def _noise(seconds: float, seed: int) -> float:
    return random.Random(int(seconds / 6) * 1_000 + seed).random()


def _burst(seconds: float, at: float, length: float) -> float:
    """A rollout: up within a few seconds, then slowly down."""
    since = seconds - at
    if since < 0:
        return 0.0
    return min(1.0, since / 18) * math.exp(-max(0.0, since - 18) / length)


def _depth(lane: Lane, seconds: float) -> float:
    noise = _noise(seconds, len(lane))
    rollout = _burst(seconds, 330, 85)
    return {
        Lane.RESOLVE: 1.6 * noise * _wave(seconds, 160),
        Lane.ADMISSION: 2 * noise + 38 * rollout,
        Lane.PREWARM: max(0.0, 190 * _burst(seconds, 60, 420) - 6 * noise),
        Lane.CHECK: 3 * noise + 14 * rollout,
        Lane.CHECK_PREWARM: 4 * noise + 9 * _wave(seconds, 420),
    }[lane]


def _rate(lane: Lane, seconds: float) -> float:
    noise = 0.75 + 0.5 * _noise(seconds, 7 + len(lane))
    rollout = _burst(seconds, 330, 110)
    return (
        noise
        * {
            Lane.RESOLVE: 6.5 + 3 * _wave(seconds, 300),
            Lane.ADMISSION: 0.6 + 4.2 * rollout,
            Lane.PREWARM: 0.45 if seconds > 60 else 0.05,
            Lane.CHECK: 1.1 + 7 * rollout,
            Lane.CHECK_PREWARM: 1.8 + 0.6 * _wave(seconds, 200),
        }[lane]
    )


def _age(lane: Lane, seconds: float) -> float:
    rollout = _burst(seconds, 330, 120)
    noise = _noise(seconds, 31 + len(lane))
    return {
        Lane.RESOLVE: 0.4 * noise,
        Lane.ADMISSION: 0.8 * noise + 21 * rollout,
        Lane.PREWARM: min(max(0.0, seconds - 60) * 0.5, 145 + 26 * noise),
        Lane.CHECK: 14 + 22 * rollout + 6 * noise,
        Lane.CHECK_PREWARM: 34 + 12 * noise + 20 * _wave(seconds, 380),
    }[lane]


def _in_hand(lane: Lane, seconds: float, number: int) -> int:
    most = {Lane.RESOLVE: 3, Lane.ADMISSION: 2, Lane.PREWARM: 1, Lane.CHECK: 2}.get(lane, 1)
    return round(most * _noise(seconds, number + len(lane)))


def _delayed(seconds: float) -> dict[int, int]:
    most = dict(zip(DELAYS, (3, 6, 9, 12, 5, 1, 1, 0), strict=True))
    return {delay: round(top * _noise(seconds, delay)) for delay, top in most.items()}


def _digest(name: str) -> str:
    generator = random.Random(name)
    return f"sha256:{generator.getrandbits(256):064x}"


HARBOR = "registry.example.com"

WANTED = (
    ("payments", "Pod", "ledger-api-7d9c5b-*", "ledger-api:4.18.2", "pass", ""),
    ("payments", "Pod", "ledger-worker-5f7b-*", "ledger-worker:4.18.2", "pass", ""),
    ("web", "Pod", "shop-front-66bd-*", "shop/front:2026.11.3", "pass", ""),
    (
        "team-lab",
        "Pod",
        "notebook-ada",
        "lab/notebook:latest",
        "fail",
        "image registry.example.com/lab/notebook:latest: refused by policy production: "
        "User root found as effective user",
    ),
    (
        "search",
        "Pod",
        "indexer-0",
        "search/indexer:9.2.0",
        "pending",
        "image registry.example.com/search/indexer:9.2.0: not judged yet, its scan is under way "
        "since 6 s: try again",
    ),
    ("web", "Pod", "shop-cart-5c4d9-*", "shop/cart:2026.11.3", "pass", ""),
    (
        "batch",
        "Job",
        "export-29412300",
        "batch/export:1.9",
        "fail",
        "image registry.example.com/batch/export:1.9: refused by policy production: CRITICAL "
        "Vulnerability found in os package type (dpkg) - libexpat1 (CVE-2024-45491)",
    ),
    ("monitoring", "Pod", "node-exporter-*", "mirror/node-exporter:v1.9.1", "pass", ""),
    ("payments", "Pod", "fraud-scorer-84cc-*", "fraud/scorer:0.31.0", "pass", ""),
    (
        "team-lab",
        "Pod",
        "debug-shell",
        "lab/toolbox:7",
        "fail",
        "image registry.example.com/lab/toolbox:7: refused by policy production: Package is "
        "blacklisted: openssh-server",
    ),
    ("search", "Pod", "query-6f5d7c-*", "search/query:9.1.4", "pass", ""),
    (
        "team-ml",
        "Pod",
        "train-2291",
        "ml/trainer:nightly",
        "error",
        "image registry.example.com/ml/trainer:nightly: could not be judged: 404: the registry "
        "has no such image",
    ),
)
CODES = {"pass": 200, "pending": 429}
PEOPLE = ("ada@example.com", "lin@example.com", "system:serviceaccount:ci:deployer")
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"


def decisions(now: int) -> Iterator[DecisionRecord]:
    """The last half hour, the oldest first."""
    chance = random.Random(5)
    for number in reversed(range(140)):
        namespace, kind, name, image, state, reason = WANTED[number % len(WANTED)]
        controller = name.endswith(("*", "-0"))
        images = [f"{HARBOR}/{image}"]
        if namespace == "payments":
            images.append(f"{HARBOR}/mirror/envoy:v1.36.2")
        if name.endswith("*"):
            name = name.replace("*", f"{chance.choice('bcdfghjklmn')}{chance.randrange(10)}x*")
        yield DecisionRecord(
            at=now - 4_000 - number * 13_000 - chance.randrange(9_000),
            allowed=state == "pass",
            state=state,
            code=CODES.get(state, 403),
            kind=kind,
            namespace=namespace,
            name=name,
            user=CONTROLLER if controller else chance.choice(PEOPLE),
            operation="CREATE",
            images=tuple(images),
            reason=reason,
            took=round(0.3 + chance.random() * 0.6, 2) if state == "pass" else 512.4,
            times=7 if state == "pending" else 3 if name.startswith("node-exporter") else 1,
            webhook=f"webhook@{PROCESSES[number % 3][2]}:7:{PROCESSES[number % 3][1]:04x}",
        )


CVE = "CRITICAL Vulnerability found in os package type (dpkg) - "
FINDINGS = {
    "lab/notebook:latest": (
        Finding(
            "dockerfile", "effective_user", "", Action.STOP, "User root found as effective user"
        ),
        Finding("files", "suid", "", Action.WARN, "SUID file found: /usr/bin/newgrp"),
    ),
    "batch/export:1.9": (
        Finding("vulnerabilities", "package", "", Action.STOP, f"{CVE}libexpat1 (CVE-2024-45491)"),
        Finding("vulnerabilities", "package", "", Action.STOP, f"{CVE}zlib1g (CVE-2023-45853)"),
        Finding("dockerfile", "instruction", "", Action.WARN, "Directive 'HEALTHCHECK' not found"),
    ),
    "lab/toolbox:7": (
        Finding("packages", "blacklist", "", Action.STOP, "Package is blacklisted: openssh-server"),
    ),
}
LOST = "ml/trainer:nightly"


def verdicts(now: int) -> Iterator[Verdict]:
    """One of each image that was decided about, and two that nobody asks for any more."""
    images = [*dict.fromkeys(image for *_, image, state, _ in WANTED if state != "pending")]
    for number, image in enumerate((*images, "shop/front:2026.11.2", "mirror/envoy:v1.36.2")):
        repository, _, tag = image.partition(":")
        subject = Subject(f"{HARBOR}/{repository}", _digest(image), tag)
        if image == LOST:
            yield error_verdict(
                subject,
                QUESTION,
                kind=ErrorKind.NOT_FOUND,
                message="404: the registry has no such image",
                now=now - 40_000,
            )
            continue
        findings = FINDINGS.get(image, ())
        yield Verdict(
            subject=subject,
            question=QUESTION,
            outcome=Outcome.FAIL if findings else Outcome.PASS,
            evaluated_at=now - 16_000 - number * (18_000 if findings else 470_000),
            findings=findings,
            policy_id=POLICY,
            revision=REVISION,
            scan_id=f"{random.Random(number).getrandbits(64):016x}",
        )


DYING = (
    (212.0, "ml/trainer:2026-11-24", Lane.PREWARM),
    (655.0, "ml/cuda-base:12.9", Lane.PREWARM),
)
"""Second, image and lane of the steps that no attempt could settle."""


def letter(image: str, lane: Lane, now: int) -> bytes:
    """The message of such a step."""
    step = Step(
        id=f"{random.Random(image).getrandbits(64):016x}",
        kind=StepKind.REQUEST,
        lane=lane,
        reference=str(parse_reference(f"{HARBOR}/{image}")),
        question=QUESTION,
        first_seen=now - 19 * MINUTE,
        why=Why.PREWARM,
        attempt=8,
        history=(
            "the scanner does not answer: connection refused",
            "the scanner does not answer: connection refused",
            "the scanner answered 500: Internal Server Error",
            "the scanner answered 500: disk full while reading layer sha256:77ab02ce41d9",
        ),
    )
    return encode_step(step)
