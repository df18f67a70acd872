"""What the timeline is shown on: webhooks over a real store, on a clock that stands still.

Nobody works here but the test: it writes with a worker's pen what a worker would have found out,
as of some time ago, and sees which steps a webhook asked for. A Redis has a clock of its own and
takes no record from the future: so the clock begins now, records are of the past, and it is moved
on by seconds where something is written afterwards.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from services.webhook.mutate import PIN_WAIT
from services.webhook.terms import POLICY_GRACE
from services.worker.ledger import Ledger
from shared.adapters.signatures import load_ring, load_sealer
from shared.domain.errors import ErrorKind, StoreUnreachable
from shared.domain.pointer import SECOND, Index, Manifest, Pointer, index_key, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.revision import Revision, revision_key
from shared.domain.rules import PinWhat, Rules
from shared.domain.verdict import (
    Action,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    last_error_key,
    verdict_key,
)
from shared.ports.claims import RequestClaims
from shared.ports.verdicts import VerdictStore
from tests.fakes.clock import FakeClock
from tests.fakes.queue import RememberingQueue
from tests.functional.timeline.columns import REPOSITORY, TAG, A, Asked
from tests.functional.timeline.webhook import Webhook

QUESTION = Question()
STOP = Finding("vulnerabilities", "package", "CVE-1", Action.STOP, "CVE-1 in openssl")
LAST_MOMENT = 8 * SECOND
"""What a record of nearly seven days has left: a Redis takes it, and a test moves on to its end."""

JUST_NOW = LAST_MOMENT // 2
"""How old a record is that is written at that end: a Redis takes none from the future."""

SHORT = 0.02
"""Seconds that a pod waits here for what is not known."""

BEHIND = ("refresh ", "what ")
"""How the names of tasks begin that a webhook has behind its answers."""


class Site:
    """Store, queue and a worker's pen; webhooks are opened on it."""

    def __init__(
        self,
        *,
        store: VerdictStore,
        claims: RequestClaims,
        clock: FakeClock,
        keys: Path,
    ) -> None:
        """`keys`: the folder of all signing keys."""
        self.store, self.claims, self.clock, self.keys = store, claims, clock, keys
        self.sealer, self.ring = load_sealer(keys), load_ring(keys)
        self.queue = RememberingQueue(clock=clock)
        self.ledger = Ledger(store=store, sealer=self.sealer, unsealer=self.ring, clock=clock)
        self._webhooks: list[Webhook] = []
        self._listening: list[asyncio.Task[None]] = []

    async def webhook(
        self,
        *,
        pin: PinWhat = PinWhat.PODS,
        rules: Rules | None = None,
        policy_grace: int = POLICY_GRACE,
        wait: float = SHORT,
        pin_wait: float = PIN_WAIT,
    ) -> Webhook:
        """A webhook that hears what the store announces. `pin` none: an installation without
        /mutate; `wait`: seconds that a pod waits for what is not known, and `pin_wait`: at most
        in /mutate."""
        webhook = Webhook(
            store=self.store,
            claims=self.claims,
            queue=self.queue,
            unsealer=self.ring,
            clock=self.clock,
            pin=pin,
            rules=rules or Rules(),
            policy_grace=policy_grace,
            wait=wait,
            pin_wait=pin_wait,
        )
        self._listening.append(asyncio.create_task(self.store.listen(webhook.cache)))
        await webhook.hears(None, times=1)
        self._webhooks.append(webhook)
        return webhook

    async def close(self) -> None:
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)

    async def asked(self) -> list[Asked]:
        """The steps that were queued since the last time, those behind answers too; as if workers
        had begun them."""
        while behind := [task for task in asyncio.all_tasks() if _is_behind(task)]:
            await asyncio.wait(behind)
        steps, self.queue.published = self.queue.published, []
        for step in steps:
            await self.claims.begin(step.claim)
        return [Asked(step.lane, step.kind, step.reference) for step in steps]

    # A worker's pen. `age`: so many milliseconds ago it was found out.

    async def points(
        self,
        digest: str | None = A,
        *,
        age: int = 0,
        is_index: bool = False,
        previous: str | None = None,
        error: ErrorKind | None = None,
        known: int | None = None,
    ) -> None:
        """The registry said what the tag names; `known`: so long ago first (ms)."""
        now = self.clock.now()
        pointer = Pointer(
            TAG,
            asked_at=now - age,
            digest=digest,
            is_index=is_index,
            previous=previous,
            previous_seen_at=now - age if previous else 0,
            known_since=now - (age if known is None else known),
            error=error,
            message="the registry has no such image" if error else "",
        )
        await self._heard(
            pointer_key(parse_reference(TAG)), lambda: self.ledger.write_pointer(pointer)
        )

    async def names(self, digest: str, *manifests: Manifest, age: int = 0) -> None:
        """The digest is an index of these."""
        index = Index(digest, manifests, self.clock.now() - age)
        await self._heard(index_key(digest), lambda: self.ledger.write_index(index))

    async def judges(
        self,
        digest: str = A,
        outcome: Outcome = Outcome.PASS,
        *,
        tag: str | None = "1",
        age: int = 0,
        question: Question = QUESTION,
        revision: str = "",
        turned: int | None = None,
        repository: str = REPOSITORY,
    ) -> None:
        """A scanner answered; `turned`: so long ago the fail replaced a pass (ms)."""
        now = self.clock.now()
        verdict = Verdict(
            Subject(repository, digest, tag),
            question,
            outcome,
            evaluated_at=now - age,
            findings=(STOP,) if outcome is Outcome.FAIL else (),
            policy_id="baseline",
            revision=revision,
            turned_at=None if turned is None else now - turned,
        )
        key = verdict_key(verdict.subject, question)
        await self._heard(key, lambda: self.ledger.write_verdict(verdict, chain=""))

    async def fails_to_judge(
        self,
        digest: str = A,
        kind: ErrorKind = ErrorKind.ANALYSIS_FAILED,
        *,
        tag: str | None = "1",
        age: int = 0,
        beside: bool = False,
    ) -> None:
        """No verdict came of it; `beside`: there was one before."""
        error = error_verdict(
            Subject(REPOSITORY, digest, tag),
            QUESTION,
            kind=kind,
            message="Anchore says why not",
            now=self.clock.now() - age,
        )
        error = msgspec.structs.replace(error, beside=beside)
        key = last_error_key(error.subject, QUESTION)
        await self._heard(key, lambda: self.ledger.write_verdict(error, chain=""))

    async def changes_policy(self, revision: str, *, age: int = 0, policy: str = "") -> None:
        """Another revision was first seen to answer."""
        question = Question(policy=policy)
        record = Revision(question, "baseline", revision, seen_at=self.clock.now() - age)
        await self._heard(revision_key(question), lambda: self.ledger.write_revision(record))

    async def writes(self, key: str, sealed: bytes) -> None:
        """Somebody with access to the store puts these bytes there."""
        await self._heard(
            key, lambda: self.store.put(sealed, key=key, ends=self.clock.now() + 60_000)
        )

    async def _heard(self, key: str, write: Callable[[], Awaitable[object]]) -> None:
        """Write, and wait until every webhook has heard of it."""
        before = [webhook.heard[key] for webhook in self._webhooks]
        await _as_a_worker(write)
        for webhook, times in zip(self._webhooks, before, strict=True):
            await webhook.hears(key, times=times + 1)


async def _as_a_worker(write: Callable[[], Awaitable[object]]) -> None:
    """A busy machine's Redis may take longer than a tenth of a second: it is tried again."""
    for _ in range(3):
        try:
            await write()
        except StoreUnreachable:
            await asyncio.sleep(0.2)
        else:
            return
    await write()


def now() -> int:
    """The time that a Redis beside us has (ms)."""
    return time.time_ns() // 1_000_000


def _is_behind(task: "asyncio.Task[object]") -> bool:
    return task.get_name().startswith(BEHIND) and not task.done()
