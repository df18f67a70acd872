"""Webhooks in this process that know some images, and what they are compared with."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from services.webhook.book import CurrentBook
from services.webhook.metrics import WebhookMetrics
from services.webhook.parts import WebhookPorts
from services.webhook.settings import WebhookSettings
from services.webhook.wiring import run_webhook
from shared.adapters.signatures import ensure_keys, load_ring, load_sealer
from shared.domain.review import decode_review
from shared.domain.rules import Rules
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.metrics import Metrics
from tests.fakes.judged import let_pass
from tests.house import Backends, memory_backends


def pinned(name: str, tag: str = "1.0") -> str:
    """An image as /mutate leaves it: with its tag and the digest that it names."""
    return f"{name}:{tag}@sha256:{name.encode().hex():0<64}"[: len(name) + len(tag) + 73]


@asynccontextmanager
async def known_webhook(
    folder: Path, images: Iterable[str], *, rules: Rules | None = None
) -> AsyncIterator[int]:
    """A webhook with all that reviews pass through, whose store has a signed pass of each image;
    the port of its reviews. The certificate is `webhook.crt` in `folder`."""
    backends = memory_backends()
    keys = ensure_keys(folder / "keys")
    sealer = load_sealer(keys)
    for image in images:
        await let_pass(backends.store, sealer, image)
    life = Lifecycle()
    settings = WebhookSettings(imagegate_state=folder, imagegate_port=0, imagegate_health_port=0)
    async with AsyncExitStack() as stack:
        sites = await stack.enter_async_context(
            run_webhook(
                settings,
                life,
                ports=ports_on(backends, keys),
                book=CurrentBook(rules or Rules()),
                metrics=WebhookMetrics(Metrics()),
            )
        )
        # However the measuring ends: a task that is left to the loop's end is taken for a failure.
        stack.push_async_callback(life.cancel_tasks)
        yield sites.reviews.port


def ports_on(backends: Backends, keys: Path) -> WebhookPorts:
    """What a webhook stands on, with the public keys of a folder."""
    return WebhookPorts(
        store=backends.store,
        claims=backends.claims,
        queue=backends.queue,
        unsealer=load_ring(keys),
        decisions=backends.decisions,
        presence=backends.presence,
        exceptions=backends.exceptions,
        usage=backends.usage,
    )


def bare_app(*, decodes: bool = False) -> web.Application:
    """A handler that reads the body and returns a constant; `decodes`: it also reads the review."""
    answer = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{}}'

    async def constant(http: web.Request) -> web.Response:
        await http.read()
        return web.Response(body=answer, content_type="application/json")

    async def decoding(http: web.Request) -> web.Response:
        decode_review(await http.read())
        return web.Response(body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_post("/validate", decoding if decodes else constant)
    return app
