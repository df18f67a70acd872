"""A whole imagegate in one process, for tests: real webhook, worker, Anchore adapter and registry
adapter, over a fake Anchore and a fake registry that speak their real wire formats."""

import io
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import aiohttp
import msgspec

from services.intake.settings import IntakeSettings
from services.intake.wiring import IntakePorts, IntakeSites, run_intake
from services.webhook.book import CurrentBook
from services.webhook.metrics import WebhookMetrics
from services.webhook.owners import OwnerPorts
from services.webhook.parts import WebhookPorts
from services.webhook.settings import WebhookSettings
from services.webhook.wiring import WebhookSites, run_webhook
from services.worker.metrics import WorkerMetrics
from services.worker.parts import WorkerPorts, run_worker
from services.worker.settings import WorkerSettings
from shared.adapters.anchore.detect import DetectedAnchore, Detection
from shared.adapters.anchore.either import PoliciesOfEither
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.breaker import Breaker
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.decisions import MemoryDecisionLog
from shared.adapters.memory.exceptions import MemoryExceptionStore
from shared.adapters.memory.leadership import MemoryLeadership
from shared.adapters.memory.polls import MemoryPolls
from shared.adapters.memory.presence import MemoryPresence
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.memory.usage import MemoryUsage
from shared.adapters.registry.breakers import RegistryBreakers
from shared.adapters.registry.client import RegistryClient
from shared.adapters.registry.limits import Timeouts
from shared.domain.rules import Mode, RegistryRule, Rule, Rules, Tags
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.cluster import Cluster
from shared.ports.decisions import DecisionLog
from shared.ports.exceptions import ExceptionStore
from shared.ports.leadership import Leadership
from shared.ports.namespaces import Namespaces
from shared.ports.polls import Polls
from shared.ports.presence import Presence
from shared.ports.steps import StepQueue
from shared.ports.usage import Usage
from shared.ports.verdicts import VerdictStore
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.settings import Secret
from tests.fakes.anchore import FakeAnchore
from tests.fakes.anchore_notices import PASSWORD
from tests.fakes.json_patch import apply_patch
from tests.fakes.pushes import KEY, TOKEN
from tests.fakes.registry import FakeRegistry
from tests.fakes.sealing import PlainSealer
from tests.waiting import PATIENCE, eventually

CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
PERSON = "ada@example.org"
WORKER_SETTINGS = WorkerSettings()

PATIENT = Timeouts(connect=30, head=30, manifest=30, index=30, token=30, idle=30)
"""For the fake registry on a busy machine: it answers at last, or hangs for ever."""


class Answer(msgspec.Struct, frozen=True):
    """What came back of one call: HTTP status and, for a review, its response half."""

    http: int
    body: Any

    @property
    def response(self) -> Any:
        return self.body["response"]

    @property
    def allowed(self) -> bool:
        return bool(self.response["allowed"])

    @property
    def code(self) -> int:
        return 200 if self.allowed else int(self.response["status"]["code"])

    @property
    def message(self) -> str:
        return "" if self.allowed else str(self.response["status"]["message"])


class Deployed(msgspec.Struct, frozen=True):
    """What became of an object: /validate's answer about what /mutate made of it."""

    answer: Answer
    content: dict[str, Any]
    """The object as the API server would keep it."""
    mutated: Answer

    @property
    def images(self) -> list[str]:
        """Of the containers of a Pod, in their order."""
        return [container["image"] for container in self.content["spec"]["containers"]]

    @property
    def warnings(self) -> list[str]:
        """What the person is warned of, by both calls."""
        calls = (self.mutated, self.answer)
        return [text for call in calls for text in call.response.get("warnings", ())]


class Backends(msgspec.Struct, frozen=True):
    """Where verdicts, claims, scan records and steps are kept, and what is kept for people."""

    store: VerdictStore
    claims: RequestClaims
    leases: ScanLeases
    polls: Polls
    queue: StepQueue
    exceptions: ExceptionStore
    decisions: DecisionLog = msgspec.field(
        default_factory=lambda: MemoryDecisionLog(clock=SystemClock())
    )
    presence: Presence = msgspec.field(default_factory=lambda: MemoryPresence(clock=SystemClock()))
    usage: Usage = msgspec.field(default_factory=lambda: MemoryUsage(clock=SystemClock()))
    leadership: Leadership = msgspec.field(
        default_factory=lambda: MemoryLeadership(clock=SystemClock())
    )
    namespaces: Namespaces | None = None
    cluster: Cluster | None = None
    owners: OwnerPorts | None = None


def memory_backends() -> Backends:
    clock = SystemClock()
    leases = MemoryScanLeases(clock=clock)
    store = MemoryVerdictStore(clock=clock, leases=leases)
    return Backends(
        store=store,
        claims=MemoryRequestClaims(clock=clock, leases=leases),
        leases=leases,
        polls=MemoryPolls(clock=clock, under_way=leases.under_way),
        queue=MemoryQueue(clock=clock),
        exceptions=MemoryExceptionStore(clock=clock, announce=store.announce),
    )


class House:
    """The running whole, and a client to ask it with."""

    def __init__(
        self,
        *,
        sites: WebhookSites,
        session: aiohttp.ClientSession,
        anchore: FakeAnchore,
        registry: FakeRegistry,
        backends: Backends,
        book: CurrentBook,
        life: Lifecycle,
        worker_metrics: Metrics,
    ) -> None:
        self.sites = sites
        self.session = session
        self.anchore = anchore
        self.registry = registry
        self.backends = backends
        self.book = book
        self.life = life
        self.worker_metrics = worker_metrics

    async def post(
        self,
        body: bytes,
        *,
        headers: dict[str, str] | None = None,
        query: str = "timeout=5s",
        path: str = "/validate",
    ) -> Answer:
        """Send bytes to the webhook."""
        headers = headers or {"Content-Type": "application/json"}
        url = f"{self.sites.reviews.url}{path}?{query}"
        async with self.session.post(url, data=io.BytesIO(body), headers=headers) as answer:
            return Answer(answer.status, await answer.json())

    async def review(
        self, *images: str, user: str = PERSON, timeout: str = "5s", **more: Any
    ) -> Answer:
        """A Pod with these images is created by `user`."""
        return await self.ask(review_of(pod(*images), user=user, **more), timeout=timeout)

    async def ask(self, review: dict[str, Any], *, timeout: str = "5s") -> Answer:
        """Send a whole AdmissionReview, as an API server that waits so long for the answer."""
        return await self.post(json.dumps(review).encode(), query=f"timeout={timeout}")

    async def mutate(self, review: dict[str, Any]) -> Answer:
        """Send a whole AdmissionReview to /mutate."""
        return await self.post(json.dumps(review).encode(), path="/mutate")

    async def deploy(self, content: dict[str, Any], **more: Any) -> Deployed:
        """Create a Pod through both calls."""
        return await deploy(self.session, self.sites.reviews.url, content, **more)

    async def deployed(
        self, content: dict[str, Any], *, within: float = PATIENCE, **more: Any
    ) -> Deployed:
        """Create a Pod until it is no longer pending, as a person's kubectl does."""
        made = await self.deploy(content, **more)

        async def try_again() -> bool:
            nonlocal made
            if made.answer.code == 429:
                made = await self.deploy(content, **more)
            return made.answer.code != 429

        await eventually(try_again, within=within)
        return made

    async def settled(self, *images: str, within: float = PATIENCE, **more: Any) -> Answer:
        """Ask until it is no longer pending, as a controller would."""
        return await self.asked_until(
            review_of(pod(*images), **more), lambda answer: answer.code != 429, within=within
        )

    async def asked_until(
        self, review: dict[str, Any], good: Callable[[Answer], bool], *, within: float = PATIENCE
    ) -> Answer:
        """Ask again and again until the answer is `good`."""
        answer = await self.ask(review)

        async def ask_again() -> bool:
            nonlocal answer
            if not good(answer):
                answer = await self.ask(review)
            return good(answer)

        await eventually(ask_again, within=within)
        return answer

    @property
    def asked_of_anchore(self) -> dict[str, int]:
        """Calls about images, by operation; policies are watched whatever anybody asks."""
        calls = self.anchore.store.calls
        return {name: count for name, count in calls.items() if name.startswith("image_")}

    async def metrics(self) -> str:
        async with self.session.get(f"{self.sites.health.url}/metrics") as answer:
            return await answer.text()

    async def ready(self) -> int:
        async with self.session.get(f"{self.sites.health.url}/readyz") as answer:
            return answer.status


LONG, SHORT = 25.0, 10.0
"""Seconds that are waited for a verdict, and in which who does not wait is answered on any machine.
"""

PATIENT_SERVER = "30s"
"""What an API server waits that waits longer than anybody here."""

FEW = 8
"""Answers of which one is in time, however often the machine stands still."""


async def in_time(ask: Callable[[int], Awaitable[Answer]], *, within: float) -> Answer:
    """An answer that came within so many seconds, of the few that `ask` gets by their numbers: on
    a machine that stands still just then one is late whatever is done."""
    for number in range(FEW):
        began = time.monotonic()
        answer = await ask(number)
        if time.monotonic() - began < within:
            return answer
    raise AssertionError(f"none of {FEW} answers came within {within:g} s")


def pod(
    *images: str, policy: str = "IfNotPresent", more: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A Pod as an API server would send it; `more` goes into its spec."""
    containers = [
        {"name": f"c{number}", "image": image, "imagePullPolicy": policy}
        for number, image in enumerate(images)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "team"},
        "spec": {"containers": containers, **(more or {})},
    }


def review_of(
    new: dict[str, Any] | None,
    *,
    user: str = PERSON,
    operation: str = "CREATE",
    old: dict[str, Any] | None = None,
    dry_run: bool = False,
    sub_resource: str = "",
    kind: str = "Pod",
) -> dict[str, Any]:
    """An AdmissionReview around a Pod."""
    request = {
        "uid": "6b5cf0c8-0d3c-4a7b-9b0e-000000000001",
        "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": "team",
        "operation": operation,
        "userInfo": {"username": user},
        "object": new,
        "oldObject": old,
        "dryRun": dry_run,
    }
    if sub_resource:
        request["subResource"] = sub_resource
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


async def deploy(
    session: aiohttp.ClientSession,
    url: str,
    content: dict[str, Any],
    *,
    timeout: str = "5s",
    **more: Any,
) -> Deployed:
    """Create a Pod as an API server does: mutate, patch, validate what comes of it."""

    async def call(path: str, sent: dict[str, Any]) -> Answer:
        body = json.dumps(review_of(sent, **more)).encode()
        headers = {"Content-Type": "application/json"}
        whole = f"{url}{path}?timeout={timeout}"
        async with session.post(whole, data=body, headers=headers) as answer:
            return Answer(answer.status, await answer.json())

    mutated = await call("/mutate", content)
    assert (mutated.http, mutated.allowed) == (200, True)
    patched = apply_patch(mutated.response, content)
    return Deployed(await call("/validate", patched), patched, mutated)


@asynccontextmanager
async def house(
    state: Path,
    *,
    backends: Backends | None = None,
    worker: bool = True,
    mode: Mode = Mode.ENFORCE,
    tags: Tags = Tags.ALLOW,
    rules: Rules | None = None,
    pin: Literal["pods", "all", "none"] = "pods",
    wait: float = 2.0,
    max_waiters: int = 200,
    policy_grace: float = 3600.0,
    analysis_seconds: float | None = 0.0,
    registries: Sequence[str] = (),
    client_ca: Path | None = None,
    client_names: tuple[str, ...] = (),
    worker_settings: WorkerSettings = WORKER_SETTINGS,
    anchore_api: Literal["v1", "v2"] = "v1",
    anchore_url: str = "",
) -> AsyncIterator[House]:
    """Everything, running, with its state in the folder `state`; `registries` are hosts of
    others that speak plain HTTP, beside its own fake one. Tags that nobody pinned may pass, unless
    `tags` or `rules` say otherwise. `client_ca`: whose certificate callers must show,
    `client_names`: with one of which names.
    `anchore_api`: what the server speaks, which the worker finds out by itself. `anchore_url`: of
    another server, which the worker asks in the place of the fake one."""
    backends = backends or memory_backends()
    clock = SystemClock()
    sealer = PlainSealer()
    worker_metrics = Metrics()
    life = Lifecycle(drain_deadline=2.0)
    async with AsyncExitStack() as stack:
        anchore = await stack.enter_async_context(
            FakeAnchore(analysis_seconds=analysis_seconds, api=anchore_api)
        )
        registry = await stack.enter_async_context(FakeRegistry())
        rules = msgspec.structs.replace(
            rules or Rules(default=Rule(mode=mode, tags=tags)),
            registries=tuple(
                RegistryRule(host, insecure=True) for host in (registry.host, *registries)
            ),
        )
        transport = await stack.enter_async_context(
            AnchoreTransport(
                url=anchore_url or anchore.url,
                user="admin",
                password=anchore.password,
                breaker=Breaker(what=f"Anchore at {anchore_url or anchore.url}", clock=clock),
            )
        )
        detection = Detection(transport=transport)
        book = CurrentBook(rules)
        resolver = await stack.enter_async_context(
            RegistryClient(
                rules=lambda: book.rules,
                clock=clock,
                breakers=RegistryBreakers(rules=lambda: book.rules, clock=clock),
                timeouts=PATIENT,
            )
        )
        stack.push_async_callback(life.cancel_tasks)
        stack.push_async_callback(backends.queue.drain, timeout=1.0)
        if worker:
            run_worker(
                worker_settings,
                life,
                ports=WorkerPorts(
                    store=backends.store,
                    claims=backends.claims,
                    leases=backends.leases,
                    polls=backends.polls,
                    queue=backends.queue,
                    scanner=DetectedAnchore(detection=detection, transport=transport, clock=clock),
                    policies=PoliciesOfEither(detection=detection, transport=transport),
                    usage=backends.usage,
                    leadership=backends.leadership,
                    resolver=resolver,
                    sealer=sealer,
                    unsealer=sealer,
                    cluster=backends.cluster,
                ),
                rules=lambda: book.rules,
                metrics=WorkerMetrics(worker_metrics),
            )
        settings = WebhookSettings(
            imagegate_state=state,
            imagegate_port=0,
            imagegate_health_port=0,
            imagegate_pin=pin,
            imagegate_wait=wait,
            imagegate_max_waiters=max_waiters,
            imagegate_policy_grace=policy_grace,
            imagegate_client_ca=client_ca,
            imagegate_client_names=client_names,
        )
        ports = WebhookPorts(
            store=backends.store,
            claims=backends.claims,
            queue=backends.queue,
            unsealer=sealer,
            decisions=backends.decisions,
            presence=backends.presence,
            exceptions=backends.exceptions,
            usage=backends.usage,
            namespaces=backends.namespaces,
            owners=backends.owners,
        )
        sites = await stack.enter_async_context(
            run_webhook(settings, life, ports=ports, book=book, metrics=WebhookMetrics(Metrics()))
        )
        context = ssl.create_default_context(cafile=str(state / "webhook.crt"))
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        stack.callback(life.stopping.set)
        yield House(
            sites=sites,
            session=session,
            anchore=anchore,
            registry=registry,
            backends=backends,
            book=book,
            life=life,
            worker_metrics=worker_metrics,
        )


@asynccontextmanager
async def intake(home: House, *, port: int = 0) -> AsyncIterator[IntakeSites]:
    """Ears for push events and notices, on the house's backends and under its rules."""
    settings = IntakeSettings(
        imagegate_intake_port=port,
        imagegate_health_port=0,
        imagegate_events_token=Secret(TOKEN),
        imagegate_events_hmac=Secret(KEY),
        imagegate_events_password=Secret(PASSWORD),
    )
    ports = IntakePorts(
        claims=home.backends.claims,
        queue=home.backends.queue,
        store_ping=home.backends.store.ping,
    )
    running = run_intake(
        settings, home.life, ports=ports, rules=lambda: home.book.rules, metrics=Metrics()
    )
    async with running as sites:
        yield sites
