"""The platforms of nodes on a real Redis, signed with real keys: from a worker's look to what a
webhook counts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from services.webhook.catalogue import Image
from services.webhook.knowledge import Knowledge
from services.webhook.near_cache import NearCache
from services.webhook.requests import Requests
from services.webhook.terms import Terms
from services.webhook.waiters import Waiters
from services.worker.inventory_nodes import NodePlatforms
from services.worker.inventory_pods import RunningImages
from services.worker.ledger import Ledger
from shared.adapters.memory.cluster import MemoryCluster
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.usage import RedisUsage
from shared.adapters.signatures import load_ring, load_sealer, new_keys
from shared.domain.decision import State
from shared.domain.platforms import Platforms, PlatformTerms, platforms_key
from shared.domain.pointer import Index, Manifest
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules
from shared.domain.signing import Kind, Role
from shared.domain.verdict import Outcome, Question, Subject, Verdict
from shared.runtime.clock import SystemClock
from tests.fakes.queue import RememberingQueue
from tests.servers.redis import RedisServer
from tests.servers.rights import PASSWORD, make_users
from tests.waiting import eventually

pytestmark = pytest.mark.servers

A, B, C = ("sha256:" + letter * 64 for letter in "abc")
IMAGE = f"registry.corp/team/app@{A}"
PATIENT = 10.0
"""Seconds for a question to Redis: the machine may be busy."""


class Site:
    """A worker and a webhook that see the same Redis, each as the user that it is."""

    def __init__(self, folder: Path, *, worker: RedisLinks, webhook: RedisLinks) -> None:
        new_keys(folder)
        self.clock, self.cluster = SystemClock(), MemoryCluster()
        self.ledger = self.pen(folder, worker)
        self.worker = worker
        self.untrusted = 0
        self.cache = NearCache(
            store=RedisVerdictStore(links=webhook),
            unsealer=load_ring(folder),
            clock=self.clock,
            on_bad_signature=self._untrusted,
        )
        self.requests = Requests(
            claims=RedisRequestClaims(links=webhook),
            queue=RememberingQueue(clock=self.clock),
            clock=self.clock,
        )
        self.webhook_store = RedisVerdictStore(links=webhook)
        self.nodes = NodePlatforms(
            cluster=self.cluster, ledger=self.ledger, rules=Rules, clock=self.clock
        )

    def pen(self, folder: Path, links: RedisLinks) -> Ledger:
        return Ledger(
            store=RedisVerdictStore(links=links),
            sealer=load_sealer(folder),
            unsealer=load_ring(folder),
            clock=self.clock,
        )

    def _untrusted(self, key: str) -> None:
        self.untrusted += 1

    async def judges(self) -> None:
        """An index whose manifest for linux/arm64 is bad."""
        manifests = (Manifest(B, "linux", "amd64"), Manifest(C, "linux", "arm64"))
        await self.ledger.write_index(Index(A, manifests, self.clock.now()))
        for digest, outcome in ((B, Outcome.PASS), (C, Outcome.FAIL)):
            subject = Subject("registry.corp/team/app", digest, None)
            verdict = Verdict(subject, Question(), outcome, self.clock.now())
            await self.ledger.write_verdict(verdict, chain="")

    async def state(self, *, needed: bool = False) -> State:
        """What a webhook knows of the image, without asking anybody but Redis."""
        knowledge = Knowledge(
            cache=self.cache,
            requests=self.requests,
            waiters=Waiters(),
            clock=self.clock,
            rules=Rules,
            terms=Terms(policy_grace=0, platforms=PlatformTerms(needed=needed)),
        )
        image = Image(IMAGE, parse_reference(IMAGE), always=True, question=Question())
        known = await knowledge.known(image)
        assert known is not None
        return known.state

    async def comes_to_be(self, state: State) -> None:
        async def is_so() -> bool:
            return await self.state() is state

        await eventually(is_so)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        make_users(running)
        yield running


def _as(server: RedisServer, user: str) -> RedisLinks:
    url = server.url.replace("redis://", f"redis://{user}:{PASSWORD}@")
    return RedisLinks(url=url, limit=PATIENT)


@asynccontextmanager
async def site(server: RedisServer, folder: Path) -> AsyncIterator[Site]:
    server.command("FLUSHALL")
    async with _as(server, "worker") as worker, _as(server, "webhook") as webhook:
        made = Site(folder / "keys", worker=worker, webhook=webhook)
        listening = asyncio.create_task(made.webhook_store.listen(made.cache))
        try:
            await made.judges()
            yield made
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening


async def test_what_a_worker_saw_counts_at_a_webhook_as_soon_as_it_is_announced(
    server: RedisServer, tmp_path: Path
) -> None:
    async with site(server, tmp_path) as here:
        here.cluster.node("a", "linux/amd64")
        assert await here.nodes.look()
        await here.comes_to_be(State.PASS)
        here.cluster.node("b", "linux/arm64")
        assert await here.nodes.look()
        await here.comes_to_be(State.FAIL)


async def test_a_record_that_an_operator_or_nobody_signed_is_as_if_it_were_not_there(
    server: RedisServer, tmp_path: Path
) -> None:
    async with site(server, tmp_path) as here:
        strangers = tmp_path / "strangers"
        new_keys(strangers)
        forged = Platforms("", here.clock.now())
        await here.pen(strangers, here.worker).write_platforms(forged)
        assert await here.state(needed=True) is State.FAIL
        assert here.untrusted == 1
        new_keys(tmp_path / "operator", role=Role.OPERATOR)
        operator = load_sealer(tmp_path / "operator", role=Role.OPERATOR)
        with pytest.raises(ValueError, match="may not sign platforms records"):
            operator.seal(forged, kind=Kind.PLATFORMS, key=platforms_key(""), order=1, ends=2)


async def test_a_record_that_was_deleted_opens_nothing_where_nodes_must_be_known(
    server: RedisServer, tmp_path: Path
) -> None:
    async with site(server, tmp_path) as here:
        here.cluster.node("b", "linux/arm64")
        await here.nodes.look()
        server.command("DEL", f"ig1:record:{platforms_key('')}")
        assert await here.state() is State.PASS  # as without any inventory
        assert await here.state(needed=True) is State.FAIL


async def test_what_a_worker_saw_running_is_in_use_by_the_rights_that_it_has(
    server: RedisServer, tmp_path: Path
) -> None:
    async with site(server, tmp_path) as here:
        for at in range(500):
            here.cluster.pod(f"web-{at}", f"registry.corp/team/app{at}@{A}")
        usage = RedisUsage(links=here.worker)
        look = RunningImages(
            cluster=here.cluster, usage=usage, rules=Rules, scanner="anchore", clock=here.clock
        )
        found = await look.look()
        assert (found.pods, found.images, await usage.count()) == (500, 500, 500)
