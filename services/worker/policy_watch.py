"""The policy watcher: reads the policies by which questions are answered, and tells their changes.

Without it a new policy is noticed by the next evaluation, which may be an hour away. What it
writes is the same record that an evaluation leaves (`shared.domain.revision`), ordered by the time
at which Anchore was *asked*: what is read while the policy is replaced was asked before the new one
answers, and does not win. No verdict is relabelled: each keeps the revision that its own answer
named (docs/design/protocol.md, "What orders evaluations").
"""

import asyncio
import logging
from collections.abc import Callable, Container, Iterable
from enum import StrEnum

import msgspec

from services.worker.ledger import Ledger
from shared.domain.errors import StepFailure, StoreError, TransientFailure
from shared.domain.policy import Policy, bundle_revision
from shared.domain.revision import Revision
from shared.domain.rules import Requirement
from shared.domain.verdict import Question
from shared.ports.clock import Clock
from shared.ports.policies import Policies

log = logging.getLogger(__name__)

READ_EVERY = 60.0
"""Seconds between two looks at the policies."""

MAX_POLICIES = 50
"""Policies that are watched; those of the rules first, then those last asked for."""


class PolicyRead(StrEnum):
    """What reading a policy told, for the metric."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    """There is none of that id, or none is active: nothing can be judged by it."""
    FAILED = "failed"
    """Anchore did not tell."""
    DISAGREES = "disagrees"
    """Evaluations name another revision of it than its own record has."""


class _Seen(msgspec.Struct, frozen=True):
    """What a policy was when it was read."""

    revision: str
    at: int
    """When Anchore was asked (ms)."""


class PolicyWatch:
    """Reads until it is cancelled; one at a time does (the leader)."""

    def __init__(
        self,
        *,
        policies: Policies,
        ledger: Ledger,
        questions: Callable[[], Iterable[Question]],
        clock: Clock,
        on_read: Callable[[PolicyRead], None] = lambda read: None,
        on_change: Callable[[Revision], None] = lambda revision: None,
        every: float = READ_EVERY,
    ) -> None:
        """`questions` are those whose policies matter, the most important first; `on_change` is
        told of each revision that replaces another."""
        self._policies = policies
        self._ledger = ledger
        self._questions = questions
        self._clock = clock
        self._on_read = on_read
        self._on_change = on_change
        self._every = every
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._said: dict[tuple[str, str], str] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(self._every)

    async def once(self) -> None:
        """Read each policy once; never raises for an Anchore or a store that is away."""
        watched = self._watched()
        self._forget_all_but(watched)
        for (account, policy_id), questions in watched.items():
            try:
                read = await self._read(account, policy_id, questions)
            except (StepFailure, StoreError) as error:
                read = PolicyRead.FAILED
                level = logging.WARNING if _may_pass(error) else logging.ERROR
                self._say(account, policy_id, level, f"cannot be read: {error}")
            self._on_read(read)

    def _forget_all_but(self, watched: Container[tuple[str, str]]) -> None:
        """What is in use names policies that come and go, and whoever may record uses makes some
        up."""
        for kept in (self._seen, self._said):
            for name in [name for name in kept if name not in watched]:
                del kept[name]

    def _watched(self) -> dict[tuple[str, str], list[Question]]:
        """The questions by account and policy; an analysis is asked of none."""
        watched: dict[tuple[str, str], list[Question]] = {}
        for question in dict.fromkeys(self._questions()):
            name = (question.account, question.policy)
            if question.requirement == Requirement.ANALYSIS:
                continue
            if name in watched or len(watched) < MAX_POLICIES:
                watched.setdefault(name, []).append(question)
        return watched

    async def _read(self, account: str, policy_id: str, questions: list[Question]) -> PolicyRead:
        asked_at = self._clock.now()
        policy = await self._policy(account, policy_id)
        if policy is None:
            self._say(account, policy_id, logging.ERROR, _gone(policy_id))
            return PolicyRead.GONE
        revision = bundle_revision(policy.bundle)
        last = self._seen.get((account, policy_id))
        reads = {
            await self._note(Revision(question, policy.id, revision, seen_at=asked_at), last)
            for question in questions
        }
        if PolicyRead.DISAGREES in reads:
            self._say(account, policy_id, logging.ERROR, _disagrees(policy.id, revision))
            return PolicyRead.DISAGREES
        self._seen[account, policy_id] = _Seen(revision, asked_at)
        self._said.pop((account, policy_id), None)
        return PolicyRead.CHANGED if PolicyRead.CHANGED in reads else PolicyRead.SAME

    async def _policy(self, account: str, policy_id: str) -> Policy | None:
        """The policy with its bundle; of no id, the account's active one."""
        if policy_id:
            return await self._policies.get(policy_id, account=account)
        active = [each for each in await self._policies.all(account=account) if each.active]
        if not active:
            return None
        policy = await self._policies.get(active[0].id, account=account)
        if policy is None or not policy.active:
            raise TransientFailure("another policy was made the active one while it was read")
        return policy

    async def _note(self, named: Revision, last: _Seen | None) -> PolicyRead:
        """Write it down where it is news, or the record of it ends soon."""
        before = await self._ledger.revision(named.question)
        if before is not None and before.revision != named.revision:
            if before.seen_at >= named.seen_at:
                return PolicyRead.SAME  # an evaluation was answered since by another one
            if last is not None and _disagree(before, named, last):
                return PolicyRead.DISAGREES
        if before is not None and not before.changes_to(named):
            return PolicyRead.SAME
        await self._ledger.write_revision(named.after(before))
        if before is None or before.revision == named.revision:
            return PolicyRead.SAME
        log.warning(
            "the policy has changed: what is in use is judged anew, the last used first",
            extra={
                "account": named.question.account,
                "policy": named.policy_id,
                "revision": named.revision,
                "before": before.revision,
            },
        )
        self._on_change(named)
        return PolicyRead.CHANGED

    def _say(self, account: str, policy_id: str, level: int, what: str) -> None:
        """Once for as long as it is so."""
        if self._said.get((account, policy_id)) != what:
            whose = f"of account {account}" if account else "of our own account"
            log.log(level, "policy %s %s: %s", policy_id or "(the active one)", whose, what)
        self._said[account, policy_id] = what


def _disagree(before: Revision, named: Revision, last: _Seen) -> bool:
    """Whether an evaluation between two readings that are the same named another revision. Were it
    written down each time, all that is in use would be judged anew each minute; a policy that was
    changed for less than that is written down by the evaluations that find it changed."""
    return last.revision == named.revision and before.seen_at >= last.at


def _may_pass(error: Exception) -> bool:
    return isinstance(error, TransientFailure | StoreError)


def _gone(policy_id: str) -> str:
    if policy_id:
        return (
            "Anchore has none of that id, and nothing can be judged by it: push it "
            "(imagegate policies push FILE), or name another one in the rules"
        )
    return (
        "the account has no active policy, and nothing can be judged: activate one "
        "(imagegate policies list, imagegate policies activate ID)"
    )


def _disagrees(policy_id: str, revision: str) -> str:
    return (
        f"Anchore's evaluations name another revision of {policy_id} than its own record has "
        f"({revision[:12]}): was it changed for a moment, or do Anchore's parts differ? Until they "
        "agree, only evaluations tell of its changes"
    )
