"""A waiter is woken or reads again at its deadline, whatever became of the announcement."""

import asyncio

import pytest

from services.webhook.catalogue import Image
from services.webhook.knowledge import Knowledge, Patience
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.waiters import Waiters
from services.worker.ledger import Ledger
from shared.domain.decision import Judgement, State
from shared.domain.pointer import Pointer
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.runtime.clock import SystemClock
from tests.fakes.sealing import PlainSealer
from tests.house import memory_backends

DIGEST = "sha256:" + "a" * 64
REFERENCE = parse_reference("registry.corp/team/app:1")
SUBJECT = Subject(REFERENCE.repository, DIGEST, "1")
QUESTION = Question()
OLD_POINTER = 30_000
"""Milliseconds: a pod with pull policy Always has the registry asked again."""


class Rig:
    """What a webhook knows, over a store whose announcements it never hears."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        backends = memory_backends()
        sealer = PlainSealer()
        self.ledger = Ledger(store=backends.store, sealer=sealer, unsealer=sealer, clock=self.clock)
        self.knowledge = Knowledge(
            cache=NearCache(store=backends.store, unsealer=sealer, clock=self.clock),
            requests=Requests(claims=backends.claims, queue=backends.queue, clock=self.clock),
            waiters=Waiters(),
            clock=self.clock,
            rules=Rules,
        )

    async def point(self, *, age: int) -> None:
        pointer = Pointer(REFERENCE.tagged, self.clock.now() - age, DIGEST)
        await self.ledger.write_pointer(pointer)

    async def judge(self) -> None:
        verdict = Verdict(SUBJECT, QUESTION, Outcome.PASS, self.clock.now())
        await self.ledger.write_verdict(verdict, chain="chain")

    async def waited_for(self) -> Judgement:
        image = Image("registry.corp/team/app:1", REFERENCE, True, QUESTION)
        return await self.knowledge.learn(image, Patience(until=self.clock.monotonic() + 0.3))


@pytest.mark.parametrize("known", ["nothing", "the pointer", "all, with an old pointer"])
async def test_what_was_written_while_a_review_waited_is_seen_though_nobody_announced_it(
    known: str,
) -> None:
    rig = Rig()
    if known == "the pointer":
        await rig.point(age=0)
    if known == "all, with an old pointer":
        await rig.point(age=OLD_POINTER)
        await rig.judge()
    waiting = asyncio.create_task(rig.waited_for())
    await asyncio.sleep(0.1)
    if known != "the pointer":
        await rig.point(age=0)
    if known != "all, with an old pointer":
        await rig.judge()
    assert (await waiting).state is State.PASS


async def test_a_pointer_renewed_while_a_review_waited_counts_whatever_the_workers_clock_says() -> (
    None
):
    rig = Rig()
    await rig.point(age=20 * OLD_POINTER)
    await rig.judge()
    waiting = asyncio.create_task(rig.waited_for())
    await asyncio.sleep(0.1)
    await rig.point(age=2 * OLD_POINTER)  # asked just now, by a clock a minute behind
    assert (await waiting).state is State.PASS
    assert (await rig.waited_for()).state is State.REGISTRY_AWAY
