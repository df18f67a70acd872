"""One run: sources, rules, what is known and what is asked for, in that order."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

from rich.console import Console

from services.cli.explain.signed import believed
from services.cli.feeds.wording import number
from services.cli.local.wiring import exception_files, rules_and_ring, terms_of
from services.cli.prewarm.cluster import ClusterImages
from services.cli.prewarm.found import Found, NotRead, PassedOver, Source
from services.cli.prewarm.image_list import ImageList
from services.cli.prewarm.judging import Judging
from services.cli.prewarm.known import Reader
from services.cli.prewarm.manifests import Manifests
from services.cli.prewarm.namespaces import Namespaces, namespaces_of
from services.cli.prewarm.order import Order
from services.cli.prewarm.progress import Shown, shown
from services.cli.prewarm.report import Report
from services.cli.prewarm.repository import Repository
from services.cli.prewarm.rows import Outcome, is_allowed, rows_of
from services.cli.prewarm.wanted import Setting, WantedImages
from services.cli.prewarm.wiring import (
    Backend,
    ClusterParts,
    open_backend,
    open_cluster,
    open_registries,
)
from services.cli.settings import CliSettings
from services.cli.tables import plain
from services.webhook.terms import Terms
from shared.domain.rules import Rules
from shared.domain.scope import RuleBook
from shared.ports.clock import Clock
from shared.ports.signing import Unsealer
from shared.runtime.clock import SystemClock

WITHOUT_RULES = (
    "no rules file was read (IMAGEGATE_RULES): where the webhooks have one, see whether other "
    "rules hold there"
)
STOPPED_EARLY = "stopped while it was read what to judge: nothing was asked for"


async def run(order: Order, configured: CliSettings, *, err: Console) -> Report:
    """Read, ask, wait, tell; `err` shows how far it is. Raises ImagegateError where nobody can be
    asked, or nothing can be read."""
    rules, ring = rules_and_ring(configured)
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(open_backend(configured))
        signed = believed(
            backend.exceptions,
            await exception_files(configured),
            ring,
            cluster=configured.imagegate_cluster,
        )
        book = RuleBook(rules, signed.here)
        telling = stack.enter_context(shown(err))
        return await _Run(
            order=order,
            backend=backend,
            book=book,
            ring=ring,
            terms=terms_of(configured),
            clock=SystemClock(),
            telling=telling,
            notes=[] if configured.imagegate_rules else [WITHOUT_RULES],
        ).run(configured, stack, err=err)


class _Run:
    """One of them, with all that it stands on."""

    def __init__(
        self,
        *,
        order: Order,
        backend: Backend,
        book: RuleBook,
        ring: Unsealer,
        terms: Terms,
        clock: Clock,
        telling: Shown,
        notes: list[str],
    ) -> None:
        self._order = order
        self._backend = backend
        self._book = book
        self._ring = ring
        self._terms = terms
        self._clock = clock
        self._telling = telling
        self._notes = notes
        self._not_read: list[NotRead] = []
        self._passed: Counter[str] = Counter()

    async def run(self, configured: CliSettings, stack: AsyncExitStack, *, err: Console) -> Report:
        """What is opened on the way is closed with `stack`."""
        try:
            wanted = await self._read(configured, stack)
        except (asyncio.CancelledError, KeyboardInterrupt):
            err.print(plain(STOPPED_EARLY), soft_wrap=True)
            raise
        return await self._judge(wanted)

    async def _read(self, configured: CliSettings, stack: AsyncExitStack) -> WantedImages:
        """All that sources name."""
        order = self._order
        spaces = Namespaces(given=order.namespace_labels, exempt=order.exempt)
        sources: list[Source] = []
        if order.asks_a_cluster:
            parts = await stack.enter_async_context(
                open_cluster(configured, kubeconfig=order.kubeconfig, context=order.context)
            )
            spaces = await self._spaces(parts)
            if order.sources.cluster:
                sources.append(ClusterImages(cluster=parts.cluster, workloads=parts.workloads))
        sources += await self._others(self._book.rules, stack)
        wanted = WantedImages(
            book=self._book,
            terms=self._terms,
            setting=Setting(order.user, spaces.labels_of, spaces.is_exempt),
            now=self._clock.now(),
        )
        await self._gather(sources, wanted)
        return wanted

    async def _spaces(self, parts: ClusterParts) -> Namespaces:
        self._telling.reading(f"namespaces of {parts.host}")
        spaces, notes = await namespaces_of(
            parts.cluster,
            parts.workloads,
            given=self._order.namespace_labels,
            exempt=self._order.exempt,
        )
        self._notes += notes
        return spaces

    async def _others(self, rules: Rules, stack: AsyncExitStack) -> list[Source]:
        """All but the cluster. Raises InvalidRepository."""
        named, namespace = self._order.sources, self._order.namespace
        opened: list[Source] = [ImageList(each, namespace=namespace) for each in named.images]
        opened += [Manifests(each, namespace=namespace) for each in named.manifests]
        if named.repositories:
            registries = await stack.enter_async_context(open_registries(rules))
            opened += [
                Repository(each, globs=named.tags or ("*",), tags=registries, namespace=namespace)
                for each in named.repositories
            ]
        return opened

    async def _gather(self, sources: Sequence[Source], wanted: WantedImages) -> None:
        seen = 0
        for source in sources:
            async for told in source.told():
                match told:
                    case Found():
                        wanted.add(told)
                        seen += bool(told.title)
                    case NotRead():
                        self._not_read.append(told)
                    case PassedOver():
                        self._passed[told.what] += told.count
                self._telling.reading(
                    f"{number(seen)} pods and workloads, {number(len(wanted))} images"
                )

    async def _judge(self, wanted: WantedImages) -> Report:
        order, stop = self._order, asyncio.Event()
        reader = Reader(
            records=self._backend.records,
            unsealer=self._ring,
            rules=self._book.rules,
            terms=self._terms,
            clock=self._clock,
        )
        judging = Judging(
            wanted.all,
            reader=reader,
            asks=self._backend.asks,
            terms=self._terms,
            clock=self._clock,
            at_once=order.at_once,
            tell=self._telling.judged,
        )
        with _stopping(stop):
            await judging.run(timeout=order.timeout, stop=stop)
        refused = {
            each
            for each, parts in judging.parts.items()
            if not is_allowed(parts)
            and any(part.outcome in (Outcome.FAIL, Outcome.ERROR) for part in parts)
        }
        return Report(
            at=self._clock.now(),
            sources=order.sources.named,
            rows=rows_of(judging.parts.items()),
            seen=wanted.standing(),
            refused=wanted.standing(refused),
            not_read=self._not_read,
            passed_over=self._passed,
            exempt=wanted.exempt,
            notes=tuple(self._notes),
            strange=reader.strange,
            stopped=stop.is_set(),
        )


@contextmanager
def _stopping(stop: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C, or SIGTERM, ends it with a report; a second one at once."""
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        stop.set()
        for each in signals:
            loop.remove_signal_handler(each)

    for each in signals:
        loop.add_signal_handler(each, end)
    try:
        yield
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
