"""Break-glass from what is typed to what runs: two webhooks, a real Redis, real keys and files."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from services.cli.local.wiring import make_keys
from services.webhook.book import CurrentBook
from services.webhook.metrics import WebhookMetrics
from services.webhook.parts import WebhookPorts
from services.webhook.settings import WebhookSettings
from services.webhook.wiring import run_webhook
from shared.adapters.memory.queue import MemoryQueue
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.usage import RedisUsage
from shared.adapters.signatures import load_ring
from shared.domain.rules import Rules
from shared.domain.signing import Role, claimed_key
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from tests.functional.cli.commands import imagegate
from tests.house import pod, review_of
from tests.servers.redis import RedisServer
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

IMAGE = f"registry.test/team/app@sha256:{'a' * 64}"
OTHER_IMAGE = f"registry.test/team/other@sha256:{'b' * 64}"
SOON = 20.0
"""Seconds: far from the half minute after which a webhook looks without a word."""


class Webhook(msgspec.Struct):
    """One of those that run."""

    url: str
    health: str
    session: aiohttp.ClientSession

    async def allows(self, *, namespace: str = "team") -> bool:
        """Whether a pod with the image may run there: nobody ever judged it."""
        review = review_of(pod(IMAGE))
        review["request"]["namespace"] = namespace
        body = json.dumps(review)
        headers = {"Content-Type": "application/json"}
        async with self.session.post(self.url, data=body, headers=headers) as answer:
            return bool((await answer.json())["response"]["allowed"])

    async def metric(self, line: str) -> float:
        async with self.session.get(f"{self.health}/metrics") as answer:
            text = await answer.text()
        values = [found.split()[-1] for found in text.splitlines() if found.startswith(f"{line} ")]
        return float(values[0]) if values else 0.0


class Site:
    """Redis, keys, a folder, and the commands of whoever has the operator's key."""

    def __init__(self, folder: Path, redis: RedisServer) -> None:
        self.folder = folder
        self.redis = redis
        self.exceptions = folder / "exceptions"
        self.exceptions.mkdir()
        for role in Role:
            made = make_keys(folder / role, role=role)
            target = folder / "ring" / made.public.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(made.public.read_bytes())

    async def operator(self, *words: str) -> str:
        """What an operator's command prints; it must succeed."""
        ran = await imagegate(
            *words,
            state=self.folder,
            REDIS_URL=self.redis.url,
            IMAGEGATE_KEYS=str(self.folder / "ring"),
            IMAGEGATE_OPERATOR_KEYS=str(self.folder / Role.OPERATOR),
        )
        assert (ran.code, ran.err) == (0, "")
        return ran.out

    async def allow(self, *more: str) -> None:
        words = ("--namespace", "team", "--for", "1h", "--reason", "the site is down")
        await self.operator("allow", IMAGE, *words, *more)

    async def listed(self) -> list[dict[str, str]]:
        rows: list[dict[str, str]] = json.loads(
            await self.operator("exceptions", "list", "-o", "json")
        )
        return rows

    @asynccontextmanager
    async def webhook(
        self, name: str, *, cluster: str = "", ring: str = "ring"
    ) -> AsyncIterator[Webhook]:
        """One process' worth of webhook, with its own connections."""
        state = self.folder / name
        life, clock = Lifecycle(drain_deadline=1.0), SystemClock()
        async with AsyncExitStack() as stack:
            links = await stack.enter_async_context(RedisLinks(url=self.redis.url, limit=PATIENCE))
            stack.push_async_callback(life.cancel_tasks)
            sites = await stack.enter_async_context(
                run_webhook(
                    WebhookSettings(
                        imagegate_state=state,
                        imagegate_exceptions=self.exceptions,
                        imagegate_port=0,
                        imagegate_health_port=0,
                        imagegate_wait=0.1,
                        imagegate_cluster=cluster,
                    ),
                    life,
                    ports=WebhookPorts(
                        store=RedisVerdictStore(links=links),
                        claims=RedisRequestClaims(links=links),
                        queue=MemoryQueue(clock=clock),
                        unsealer=load_ring(self.folder / ring),
                        decisions=RedisDecisionLog(links=links),
                        presence=RedisPresence(links=links),
                        exceptions=RedisExceptionStore(links=links),
                        usage=RedisUsage(links=links),
                    ),
                    book=CurrentBook(Rules()),
                    metrics=WebhookMetrics(Metrics()),
                )
            )
            context = ssl.create_default_context(cafile=str(state / "webhook.crt"))
            connector = aiohttp.TCPConnector(ssl=context)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            stack.callback(life.stopping.set)
            url = f"{sites.reviews.url}/validate?timeout=5s"
            yield Webhook(url, sites.health.url, session)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path / "redis", persistent=True) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer) -> Site:
    return Site(tmp_path, redis)


@pytest.fixture
async def webhooks(site: Site) -> AsyncIterator[list[Webhook]]:
    async with site.webhook("one") as one, site.webhook("two") as two:
        yield [one, two]


async def all_say(webhooks: list[Webhook], *, allowed: bool) -> None:
    async def they_do() -> bool:
        answers = await asyncio.gather(*(each.allows() for each in webhooks))
        return answers == [allowed] * len(webhooks)

    await eventually(they_do, within=SOON)


async def has(webhook: Webhook, line: str, value: float) -> bool:
    return await webhook.metric(line) == value


async def test_what_is_typed_counts_in_every_webhook_and_what_is_revoked_in_none(
    site: Site, webhooks: list[Webhook]
) -> None:
    await all_say(webhooks, allowed=False)
    await site.allow()
    await all_say(webhooks, allowed=True)
    assert not await webhooks[0].allows(namespace="elsewhere")
    (row,) = await site.listed()
    assert (row["state"], row["image"], row["reason"]) == ("active", IMAGE, "the site is down")
    assert await webhooks[1].metric('imagegate_exceptions{source="store"}') == 1
    await site.operator("exceptions", "revoke", row["id"])
    await all_say(webhooks, allowed=False)
    (row,) = await site.listed()
    assert row["state"] == "revoked"


async def test_of_two_clusters_on_one_redis_only_the_one_that_is_named_lets_it_run(
    site: Site,
) -> None:
    async with (
        site.webhook("one", cluster="staging") as staging,
        site.webhook("two", cluster="production") as production,
    ):
        await site.allow("--cluster", "staging")
        await all_say([staging], allowed=True)
        # It has heard of what was put later than this one.
        await site.operator(
            *("allow", OTHER_IMAGE, "--namespace", "team", "--for", "1h", "--reason", "a mark"),
        )
        mark = 'imagegate_exceptions{source="store"}'
        await eventually(lambda: has(production, mark, 1), within=SOON)
        assert not await production.allows()
        assert await staging.allows()
        async with site.webhook("three", cluster="production") as later:
            assert not await later.allows()
            assert await later.metric(mark) == 1


async def test_what_counted_goes_on_to_count_while_redis_is_away_and_a_file_revokes_it(
    site: Site, webhooks: list[Webhook]
) -> None:
    await site.allow()
    await all_say(webhooks, allowed=True)
    (row,) = await site.listed()
    kept = site.folder / "kept.exception"
    kept.write_text(site.redis.command("HGET", "ig1:exceptions", row["id"]))
    site.redis.stop()
    await asyncio.sleep(0.5)
    assert all([await each.allows() for each in webhooks])
    revoked = site.exceptions / "revoked.exception"
    words = ("exceptions", "revoke", row["id"], "--from", str(kept), "--out", str(revoked))
    await site.operator(*words)
    await all_say(webhooks, allowed=False)


async def test_with_redis_away_a_file_is_enough_to_allow_and_to_revoke(
    site: Site, webhooks: list[Webhook]
) -> None:
    site.redis.stop()
    await all_say(webhooks, allowed=False)
    allowed = site.exceptions / "app.exception"
    await site.allow("--out", str(allowed))
    await all_say(webhooks, allowed=True)
    exception_id = claimed_key(allowed.read_bytes().strip()).partition(":")[2]
    revoked = site.exceptions / "app-revoked.exception"
    words = ("exceptions", "revoke", exception_id, "--from", str(allowed), "--out", str(revoked))
    await site.operator(*words)
    await all_say(webhooks, allowed=False)
    # One that starts now, with nothing but the folder, says the same.
    async with site.webhook("three") as three:
        assert not await three.allows()


async def test_a_webhook_that_starts_without_redis_has_read_the_folder_before_it_is_ready(
    site: Site,
) -> None:
    await site.allow("--out", str(site.exceptions / "app.exception"))
    site.redis.stop()
    async with site.webhook("one") as webhook:
        assert await webhook.allows()
        assert await webhook.metric('imagegate_exceptions{source="folder"}') == 1


async def test_a_revocation_that_a_thief_takes_out_of_redis_goes_on_to_hold(
    site: Site, webhooks: list[Webhook]
) -> None:
    await site.allow()
    await all_say(webhooks, allowed=True)
    (row,) = await site.listed()
    before = site.redis.command("HGET", "ig1:exceptions", row["id"])
    await site.operator("exceptions", "revoke", row["id"])
    await all_say(webhooks, allowed=False)
    site.redis.command("HSET", "ig1:exceptions", row["id"], before)
    site.redis.command("PUBLISH", "ig1:changed", f"exception:{row['id']}")
    await asyncio.sleep(1)
    assert not any([await each.allows() for each in webhooks])
    # What a thief can do: a webhook that never saw the revocation believes what it is shown.
    async with site.webhook("three") as three:
        assert await three.allows()


async def test_what_stands_under_another_id_is_counted_and_not_believed(
    site: Site, webhooks: list[Webhook]
) -> None:
    await site.allow()
    await all_say(webhooks, allowed=True)
    (row,) = await site.listed()
    await site.operator("exceptions", "revoke", row["id"])
    await all_say(webhooks, allowed=False)
    out = site.folder / "other.exception"
    await site.allow("--out", str(out))
    site.redis.command("HSET", "ig1:exceptions", "moved", out.read_bytes().strip())
    site.redis.command("ZADD", "ig1:exceptions:ends", 10**14, "moved")
    site.redis.command("PUBLISH", "ig1:changed", "exception:moved")

    async def counted() -> bool:
        line = 'imagegate_exceptions_left_out_total{reason="signature",source="store"}'
        return all([await each.metric(line) >= 1 for each in webhooks])

    await eventually(counted, within=SOON)
    assert not any([await each.allows() for each in webhooks])
    assert all([await each.metric("imagegate_bad_signatures_total") >= 1 for each in webhooks])
    assert {row["state"] for row in await site.listed()} == {"revoked", "not believed"}
