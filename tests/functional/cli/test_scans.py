"""An operator's scan against a registry and an Anchore over real HTTP."""

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from services.cli.scans import MAX_DOCKERFILE, Scans
from services.webhook.knowledge import Knowledge
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.waiters import Waiters
from shared.adapters.anchore.reports import AnchoreReports
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v1_reports import V1_REPORTS
from shared.adapters.memory.claims import MemoryRequestClaims, MemoryScanLeases
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.memory.store import MemoryVerdictStore
from shared.adapters.registry.client import RegistryClient
from shared.domain.decision import State
from shared.domain.errors import (
    ErrorKind,
    InvalidReference,
    PermanentFailure,
    QueueUnavailable,
    StoreUnreachable,
)
from shared.domain.glob import Glob
from shared.domain.pointer import Pointer, pointer_key
from shared.domain.reference import ImageReference
from shared.domain.rules import (
    Match,
    Mode,
    PolicyChoice,
    RegistryRule,
    Requirement,
    Rule,
    Rules,
)
from shared.domain.signing import Kind
from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict, verdict_key
from shared.domain.why import Why
from shared.ports.claims import Claim
from shared.ports.steps import StepQueue
from shared.runtime.clock import SystemClock
from tests.fakes.anchore import FakeAnchore
from tests.fakes.images import index_of, tiny_image
from tests.fakes.registry import FakeRegistry
from tests.fakes.sealing import PlainSealer

DOCKERFILE = b"FROM debian:12\nUSER 65532\n"


class KeptQueue(MemoryQueue):
    """Keeps what was published."""

    def __init__(self) -> None:
        super().__init__(clock=SystemClock())
        self.steps: list[Step] = []

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        self.steps.append(step)


class DownQueue(MemoryQueue):
    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        raise QueueUnavailable("no broker")


class DownClaims(MemoryRequestClaims):
    async def claim(self, *_: object, **__: object) -> Claim:
        raise StoreUnreachable("no redis")


class World:
    """Scans on fakes that speak the wire, and in-process stores."""

    def __init__(self, registry: FakeRegistry, anchore: FakeAnchore) -> None:
        self.clock = SystemClock()
        self.registry = registry
        self.anchore = anchore
        self.rules = Rules(registries=(RegistryRule(host=registry.host, insecure=True),))
        self.leases = MemoryScanLeases(clock=self.clock)
        self.claims = MemoryRequestClaims(clock=self.clock, leases=self.leases)
        self.store = MemoryVerdictStore(clock=self.clock, leases=self.leases)
        self.kept = KeptQueue()
        self.queue: StepQueue = self.kept
        self.resolver = RegistryClient(rules=lambda: self.rules, clock=self.clock)
        self.transport = AnchoreTransport(url=anchore.url, user="admin", password=anchore.password)

    def scans(self) -> Scans:
        requests = Requests(claims=self.claims, queue=self.queue, clock=self.clock)
        cache = NearCache(store=self.store, unsealer=PlainSealer(), clock=self.clock)
        knowledge = Knowledge(
            cache=cache,
            requests=requests,
            waiters=Waiters(),
            clock=self.clock,
            rules=lambda: self.rules,
        )
        return Scans(
            knowledge=knowledge,
            cache=cache,
            requests=requests,
            resolver=self.resolver,
            scanner=AnchoreV1(transport=self.transport, clock=self.clock),
            reports=AnchoreReports(transport=self.transport, dialect=V1_REPORTS),
            rules=lambda: self.rules,
            clock=self.clock,
        )

    async def put(self, record: msgspec.Struct, *, kind: Kind, key: str) -> None:
        now = self.clock.now()
        ends = now + 60_000
        sealed = PlainSealer().seal(record, kind=kind, key=key, order=now, ends=ends)
        await self.store.put(sealed, key=key, ends=ends)

    async def point(self, reference: ImageReference, digest: str | None, **more: object) -> None:
        pointer = Pointer(reference=reference.tagged, asked_at=self.clock.now(), digest=digest)
        pointer = msgspec.structs.replace(pointer, **more)
        await self.put(pointer, kind=Kind.POINTER, key=pointer_key(reference))

    async def judge(
        self, reference: ImageReference, digest: str, question: Question, outcome: Outcome
    ) -> None:
        subject = Subject(reference.repository, digest, reference.tag)
        verdict = Verdict(subject, question, outcome, self.clock.now())
        await self.put(verdict, kind=Kind.VERDICT, key=verdict_key(subject, question))

    def given(self, digest: str) -> bytes | None:
        """The Dockerfile that Anchore has for a digest."""
        dockerfile = self.anchore.store.images["admin", digest].dockerfile
        return base64.b64decode(dockerfile) if dockerfile else None


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(FakeRegistry())
        anchore = await stack.enter_async_context(FakeAnchore())
        world = World(registry, anchore)
        await stack.enter_async_context(world.resolver)
        await stack.enter_async_context(world.transport)
        yield world


async def test_a_manifest_whose_body_is_something_else_is_never_submitted(world: World) -> None:
    content = tiny_image()
    reference = world.registry.put(content, "team/app:1.0")
    world.registry.replace_body(content.digest, content.manifest + b" ")
    with pytest.raises(PermanentFailure, match="something else under this digest"):
        await world.scans().start(str(reference), dockerfile=DOCKERFILE)
    assert not world.anchore.store.submits


async def test_without_a_dockerfile_only_a_request_is_queued(world: World) -> None:
    reference = world.registry.put(tiny_image(), "team/app:1.0")
    started = await world.scans().start(str(reference), dockerfile=None)
    assert (started.image, started.under_way, started.submitted) == (str(reference), False, ())
    (step,) = world.kept.steps
    assert (step.kind, step.lane, step.why) == (StepKind.REQUEST, Lane.PREWARM, Why.OPERATOR)
    assert step.reference == str(reference)
    assert not world.anchore.store.calls
    assert not world.registry.requests


async def test_what_is_to_be_analysed_anew_is_said_in_the_request(world: World) -> None:
    started = await world.scans().start("a.example/b:1", dockerfile=None, force=True)
    assert not started.under_way
    (step,) = world.kept.steps
    assert (step.force, step.why, step.lane) == (True, Why.OPERATOR, Lane.PREWARM)


async def test_with_a_dockerfile_it_is_analysed_anew_here_and_no_second_time(world: World) -> None:
    content = tiny_image()
    reference = world.registry.put(content, "team/app:1.0")
    for times in (1, 2):
        await world.scans().start(str(reference), dockerfile=DOCKERFILE)
        assert world.anchore.store.submits == {content.digest: times}
    world.anchore.store.settle_after(None)
    await world.scans().start(str(reference), dockerfile=DOCKERFILE, force=True)
    assert world.anchore.store.images["admin", content.digest].status == "not_analyzed"
    assert not any(step.force for step in world.kept.steps)


PCI = Rule("pci", policy=PolicyChoice("pci", "strict"))
LAB = Rule("lab", require=Requirement.ANALYSIS, match=Match(namespaces=(Glob("lab"),)))


def with_rules(world: World, *rules: Rule, default: Rule | None = None) -> Rules:
    """The world's rules, and these."""
    return msgspec.structs.replace(world.rules, rules=rules, default=default or Rule())


async def test_an_image_is_asked_about_by_all_that_the_rules_may_ask(world: World) -> None:
    world.rules = with_rules(world, PCI, LAB)
    started = await world.scans().start("a.example/b:1", dockerfile=None)
    assert not started.under_way
    assert [step.question for step in world.kept.steps] == [
        Question(account="pci", policy="strict"),
        Question(requirement="analysis"),
        Question(),
    ]
    assert (await world.scans().start("a.example/b:1", dockerfile=None)).under_way


async def test_a_policy_that_is_chosen_is_asked_alone(world: World) -> None:
    world.rules = with_rules(world, PCI)
    choice = PolicyChoice("team", "mine")
    await world.scans().start("a.example/b:1", dockerfile=None, policy=choice)
    (step,) = world.kept.steps
    assert step.question == Question(account="team", policy="mine")


async def test_an_image_of_which_no_verdict_is_needed_is_said_and_can_be_asked_about(
    world: World,
) -> None:
    world.rules = with_rules(world, default=Rule(mode=Mode.DENY))
    scans = world.scans()
    with pytest.raises(PermanentFailure, match="without a verdict; name a policy"):
        await scans.start("a.example/b:1", dockerfile=None)
    await scans.start("a.example/b:1", dockerfile=None, policy=PolicyChoice(id="p"))


async def test_a_dockerfile_goes_to_each_account_that_is_asked_once(world: World) -> None:
    world.anchore.store.add_account("pci")
    world.rules = with_rules(world, PCI, LAB, Rule("more", policy=PolicyChoice("pci")))
    image = tiny_image()
    reference = world.registry.put(image, "team/app:1.0")
    await world.scans().start(str(reference), dockerfile=DOCKERFILE)
    assert {account for account, _ in world.anchore.store.images} == {"admin", "pci"}
    assert world.anchore.store.submits == {image.digest: 2}


async def test_what_is_known_is_as_good_as_the_worst_answer(world: World) -> None:
    world.rules = with_rules(world, PCI, LAB)
    image = tiny_image()
    reference = world.registry.put(image, "team/app:1.0")
    await world.point(reference, image.digest)
    scans = world.scans()
    await world.judge(reference, image.digest, Question(), Outcome.PASS)
    await world.judge(reference, image.digest, Question(requirement="analysis"), Outcome.PASS)
    assert (await scans.state(str(reference))).state is State.PENDING
    strict = Question(account="pci", policy="strict")
    await world.judge(reference, image.digest, strict, Outcome.FAIL)
    state = await scans.state(str(reference))
    assert (state.state, state.digests) == (State.FAIL, (image.digest,))
    assert state.answers == (
        "fail: policy strict of account pci",
        "pass: analysis alone",
        "pass: the active policy",
    )
    alone = await scans.state(str(reference), policy=PolicyChoice())
    assert (alone.state, alone.answers) == (State.PASS, ())


async def test_an_image_that_was_asked_for_already_is_not_queued_twice(world: World) -> None:
    assert not (await world.scans().start("a.example/b:1", dockerfile=None)).under_way
    assert (await world.scans().start("a.example/b:1", dockerfile=None)).under_way
    assert len(world.kept.steps) == 1


async def test_a_dockerfile_goes_to_anchore_and_never_to_the_queue(world: World) -> None:
    image = tiny_image()
    reference = world.registry.put(image, "team/app:1.0")
    started = await world.scans().start(str(reference), dockerfile=DOCKERFILE)
    assert started.submitted == (image.digest,)
    assert world.given(image.digest) == DOCKERFILE
    (step,) = world.kept.steps
    assert b"FROM" not in msgspec.json.encode(step)


async def test_an_image_that_is_analysed_already_is_analysed_anew_with_it(world: World) -> None:
    image = tiny_image()
    reference = world.registry.put(image, "team/app:1.0")
    world.anchore.store.know(image.digest, str(reference))
    await world.scans().start(str(reference), dockerfile=DOCKERFILE)
    assert world.given(image.digest) == DOCKERFILE


async def test_of_an_index_the_manifests_that_count_are_submitted(world: World) -> None:
    counted, other = tiny_image(), tiny_image(platform="linux/s390x")
    index = index_of((counted, "linux/amd64"), (other, "linux/s390x"))
    reference = world.registry.put(index, "team/app:1.0")
    started = await world.scans().start(str(reference), dockerfile=DOCKERFILE)
    assert started.submitted == (counted.digest,)
    assert world.given(counted.digest) == DOCKERFILE


async def test_an_index_without_a_manifest_that_counts_is_an_error(world: World) -> None:
    index = index_of((tiny_image(platform="linux/s390x"), "linux/s390x"))
    reference = world.registry.put(index, "team/app:1.0")
    with pytest.raises(PermanentFailure, match="no manifest for linux/amd64"):
        await world.scans().start(str(reference), dockerfile=DOCKERFILE)


async def test_a_dockerfile_that_is_too_large_goes_nowhere(world: World) -> None:
    with pytest.raises(PermanentFailure, match="larger than"):
        await world.scans().start("a.example/b:1", dockerfile=b"#" * (MAX_DOCKERFILE + 1))
    assert not world.anchore.store.calls


async def test_a_dead_queue_or_store_is_said(world: World) -> None:
    world.queue = DownQueue(clock=world.clock)
    with pytest.raises(QueueUnavailable, match="nothing was queued"):
        await world.scans().start("a.example/b:1", dockerfile=None)
    world.claims = DownClaims(clock=world.clock, leases=world.leases)
    with pytest.raises(StoreUnreachable, match="nothing was queued"):
        await world.scans().start("a.example/b:1", dockerfile=None)


async def test_the_state_is_pending_then_what_the_verdict_says(world: World) -> None:
    image = tiny_image()
    reference = world.registry.put(image, "team/app:1.0")
    scans = world.scans()
    assert (await scans.state(str(reference))).state is State.PENDING
    await world.point(reference, image.digest)
    subject = Subject(reference.repository, image.digest, reference.tag)
    stop = Finding("packages", "blacklist", "x", Action.STOP, "openssh-server")
    verdict = Verdict(
        subject=subject,
        question=Question(),
        outcome=Outcome.FAIL,
        evaluated_at=world.clock.now(),
        findings=(stop,),
    )
    await world.put(verdict, kind=Kind.VERDICT, key=verdict_key(subject, Question()))
    state = await scans.state(str(reference))
    assert state.state is State.FAIL
    assert state.findings == ("stop: openssh-server (packages/blacklist)",)
    assert state.digests == (image.digest,)
    assert state.known_at == verdict.evaluated_at


async def test_a_tag_that_was_not_found_tells_when_the_registry_was_asked(world: World) -> None:
    reference = world.registry.put(tiny_image(), "team/app:1.0")
    await world.point(reference, None, error=ErrorKind.NOT_FOUND, message="no such image")
    state = await world.scans().state(str(reference))
    assert (state.state, state.message) == (State.ERROR, "no such image")
    assert state.known_at > 0


async def test_asking_for_the_state_asks_nobody_else(world: World) -> None:
    await world.scans().state("a.example/b:1")
    assert world.kept.steps == []
    with pytest.raises(InvalidReference):
        await world.scans().state("NOT VALID")
