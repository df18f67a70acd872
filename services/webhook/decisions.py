"""The last decisions, for people: recorded beside the answer, written in batches behind it.

Only for show (`shared.ports.decisions`): a store that is dead or slow loses some, and delays and
fails nothing. A batch is bounded in its lines, and each line in every text.
"""

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

import msgspec

from shared.domain.decision import Decision, State
from shared.domain.errors import ImagegateError, StoreMisconfigured
from shared.domain.review import AdmissionRequest, object_name
from shared.ports.clock import Clock
from shared.ports.decisions import MAX_TEXT, DecisionLog, DecisionRecord

log = logging.getLogger(__name__)

WRITE_EVERY = 0.5
"""Seconds between two batches."""

WRITE_LIMIT = 2.0
"""Seconds after which a batch is given up."""

MAX_TOLD = 200
MAX_PASSED = 20
"""Lines of one batch. What there is something to tell of has most of the room: denials, and what is
allowed all the same."""


class LeftOut(StrEnum):
    """Why a decision is not among the last ones."""

    FULL = "full"
    """More different ones came within a moment than are kept."""
    STORE = "store"
    """They could not be written."""


class _Line(msgspec.Struct):
    """Decisions that were alike; `decision` is the last of them."""

    decision: Decision
    at: int
    took: float
    times: int = 1


_Key: TypeAlias = tuple[str, str, str, str, str, State, bool, bool, tuple[str, ...]]


class Recorder:
    """Gathers what was decided, and writes it to a `DecisionLog`."""

    def __init__(
        self,
        *,
        decisions: DecisionLog,
        clock: Clock,
        webhook: str,
        on_left_out: Callable[[LeftOut, int], None] = lambda why, decisions: None,
        write_every: float = WRITE_EVERY,
        write_limit: float = WRITE_LIMIT,
    ) -> None:
        """`webhook` is this process's name; `on_left_out` is told why so many are not kept."""
        self._decisions = decisions
        self._clock = clock
        self._webhook = webhook
        self._on_left_out = on_left_out
        self._write_every = write_every
        self._write_limit = write_limit
        self._lines: dict[_Key, _Line] = {}
        self._told = 0
        self._no_room = 0
        self._unheard = False

    def record(self, request: AdmissionRequest, decision: Decision, seconds: float) -> None:
        """A review was answered after `seconds`. What passed without any image is no record."""
        tells = bool(decision.reason) or not decision.allowed
        if not tells:
            if not decision.images:
                return
            if len(self._lines) - self._told >= MAX_PASSED:
                # Thousands a second may come here: not even whether they are alike is looked at.
                self._no_room += 1
                return
        # Cut here, since a batch keeps them: nothing says how long a stranger's texts are.
        key = (
            request.kind.kind[:MAX_TEXT],
            request.namespace[:MAX_TEXT],
            object_name(request)[:MAX_TEXT],
            request.user_info.username[:MAX_TEXT],
            request.operation[:MAX_TEXT],
            decision.state,
            decision.allowed,
            request.dry_run is True,
            decision.images,
        )
        line = self._lines.get(key)
        if line is not None:
            line.decision, line.at, line.took = decision, self._clock.now(), seconds
            line.times += 1
        elif not tells or self._told < MAX_TOLD:
            self._lines[key] = _Line(decision, self._clock.now(), seconds)
            self._told += tells
        else:
            self._no_room += 1

    async def run(self) -> None:
        """Write until cancelled; no error ends it."""
        while True:
            await asyncio.sleep(self._write_every)
            await self.flush()

    async def flush(self) -> None:
        """Write what was gathered since the last time; what cannot be written is lost."""
        lines, self._lines, self._told = self._lines, {}, 0
        no_room, self._no_room = self._no_room, 0
        if no_room:
            self._on_left_out(LeftOut.FULL, no_room)
        if not lines:
            return
        records = [self._written(key, line) for key, line in lines.items()]
        records.sort(key=lambda record: record.at)
        try:
            async with asyncio.timeout(self._write_limit):
                await self._decisions.write(records)
        except Exception as error:  # whatever befalls them, reviews go on
            self._on_left_out(LeftOut.STORE, sum(record.times for record in records))
            self._lost_because(error)
        else:
            if self._unheard:
                log.info("decisions are written down again")
            self._unheard = False

    def _lost_because(self, error: Exception) -> None:
        """Said once an outage: it is tried again twice a second."""
        if not self._unheard:
            expected = isinstance(error, ImagegateError | TimeoutError)
            wrong = isinstance(error, StoreMisconfigured) or not expected
            log.log(
                logging.ERROR if wrong else logging.WARNING,
                "the last decisions are not written down; reviews are answered all the same",
                extra={"why": str(error) or f"no answer within {self._write_limit:g} s"},
                exc_info=None if expected else error,
            )
        self._unheard = True

    def _written(self, key: _Key, line: _Line) -> DecisionRecord:
        kind, namespace, name, user, operation, state, allowed, dry_run, images = key
        return DecisionRecord(
            at=line.at,
            allowed=allowed,
            state=state.value,
            code=line.decision.code,
            kind=kind,
            namespace=namespace,
            name=name,
            user=user,
            operation=operation,
            images=images,
            reason=line.decision.reason[:MAX_TEXT],
            rule=line.decision.rule[:MAX_TEXT],
            dry_run=dry_run,
            took=round(line.took * 1000, 3),
            times=line.times,
            webhook=self._webhook,
        )
