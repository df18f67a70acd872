"""A webhook as a process of its own over Redis, whose steps are taken as soon as they are queued.

`python -m tests.bench.alone`, told by its environment as `imagegate webhook` is.
"""

import asyncio
import sys
from contextlib import AsyncExitStack

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
from shared.adapters.signatures import ensure_keys, load_ring
from shared.domain.rules import Rules
from shared.domain.step import Lane, Step
from shared.ports.steps import Settle
from shared.runtime.clock import SystemClock
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from shared.runtime.process import run_process


async def serve(settings: WebhookSettings, life: Lifecycle) -> int:
    """Until it is stopped; its exit code."""
    queue = MemoryQueue(clock=SystemClock())
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(RedisLinks(url=settings.redis_url.value))
        ports = WebhookPorts(
            store=RedisVerdictStore(links=links),
            claims=RedisRequestClaims(links=links),
            queue=queue,
            unsealer=load_ring(ensure_keys(settings.state_folder / "keys")),
            decisions=RedisDecisionLog(links=links),
            presence=RedisPresence(links=links),
            exceptions=RedisExceptionStore(links=links),
            usage=RedisUsage(links=links),
        )
        book, metrics = CurrentBook(Rules()), WebhookMetrics(Metrics())
        await stack.enter_async_context(
            run_webhook(settings, life, ports=ports, book=book, metrics=metrics)
        )
        taking = asyncio.create_task(queue.consume(Lane.ADMISSION, _throw_away, concurrency=16))
        code = await life.until_stopped()
        await queue.drain(timeout=1.0)
        await taking
        return code


async def _throw_away(_: Step) -> Settle:
    return Settle.ACK


if __name__ == "__main__":
    sys.exit(run_process("webhook", WebhookSettings, serve))
