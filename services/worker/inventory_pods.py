"""Pods: the images that run are marked as in use, under the questions that their rules ask.

What has no verdict is marked like the rest. That costs nothing: refresh asks for nothing of which
no verdict is known, and says how much there is of it (`imagegate_images_in_use{stand="unknown"}`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from shared.domain.errors import ClusterUnreachable, InvalidReference
from shared.domain.reference import ImageReference, parse_reference
from shared.domain.rules import Rules
from shared.domain.running import questions_of
from shared.domain.scope import Occasion
from shared.domain.verdict import Question
from shared.ports.clock import Clock
from shared.ports.cluster import Cluster, RunningPod
from shared.ports.usage import MAX_USES, Usage, Use

PAUSE = 0.02
"""Seconds between two pages: others want the loop, and the API server."""

Labels = Mapping[str, Mapping[str, str]]


class Running(msgspec.Struct):
    """What runs, as one look found it."""

    at: int
    """When it began (ms)."""
    pods: int = 0
    images: int = 0
    """As pods name them, each once."""
    unreadable: int = 0
    """Image places whose text is no reference: what runs there was let in by somebody else."""
    labels: bool = False
    """Whether labels of namespaces were needed."""
    unlabelled: ClusterUnreachable | None = None
    """Why they could not be had: every rule that may be about a pod counted."""


class RunningImages:
    """Looks at all pods. Raises ClusterUnreachable and StoreError."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        usage: Usage,
        rules: Callable[[], Rules],
        scanner: str,
        clock: Clock,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        max_uses: int = MAX_USES,
    ) -> None:
        """`max_uses` are remembered during one look: what comes more than once is written once."""
        self._cluster = cluster
        self._usage = usage
        self._rules = rules
        self._scanner = scanner
        self._clock = clock
        self._pause = pause
        self._max_uses = max_uses

    async def look(self) -> Running:
        """Once at all of them."""
        found = Running(self._clock.now())
        rules = self._rules()
        labels = await self._labels(rules, found)
        images: set[str] = set()
        marked: set[Use] = set()
        async with aclosing(self._cluster.pods()) as pages:
            async for page in pages:
                uses: dict[Use, int] = {}
                found.pods += len(page)
                for use in self._uses(page, rules, labels, found):
                    images.add(use.reference)
                    if use not in marked:
                        uses[use] = found.at
                        if len(marked) < self._max_uses:
                            marked.add(use)
                await self._usage.record(uses)
                await self._pause(PAUSE)
        found.images = len(images)
        return found

    def _uses(
        self, page: Sequence[RunningPod], rules: Rules, labels: Labels, found: Running
    ) -> Iterator[Use]:
        for pod in page:
            where = Occasion(
                namespace=pod.namespace,
                user="",
                kind="Pod",
                labels=pod.labels,
                annotations=pod.annotations,
                namespace_labels=labels.get(pod.namespace),
            )
            for image in pod.images:
                try:
                    reference = parse_reference(image)
                except InvalidReference:
                    found.unreadable += 1
                    continue
                for question in self._questions(rules, reference, where):
                    yield Use(str(reference), question)

    def _questions(
        self, rules: Rules, reference: ImageReference, where: Occasion
    ) -> tuple[Question, ...]:
        if not rules.allows_registry(reference.host):
            return ()
        return questions_of(rules, reference, where, scanner=self._scanner)

    async def _labels(self, rules: Rules, found: Running) -> Labels:
        """Those of all namespaces where some rule is about them; none where they cannot be had."""
        found.labels = any(rule.match.namespace_labels for rule in rules.rules)
        if not found.labels:
            return {}
        try:
            return await self._cluster.namespace_labels()
        except ClusterUnreachable as error:
            found.unlabelled = error
            return {}
