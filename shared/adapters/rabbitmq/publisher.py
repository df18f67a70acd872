"""Publishing with confirms: every step has one of four fates, told in time.

A publish is a task of its own, because the broker's answer may come after its caller has gone
on: that late answer says whether a queue still works (docs/design/broker-facts.md 8.22).
"""

import asyncio
import logging
import uuid
from collections import Counter
from functools import partial
from typing import Any

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractConnection, AbstractExchange
from aio_pika.exceptions import ChannelInvalidStateError, DeliveryError, PublishError

from shared.adapters.handling import OnEvent, QueueEvent
from shared.adapters.rabbitmq.calls import (
    background,
    broke,
    describe,
    open_channel,
    unblocked,
)
from shared.adapters.rabbitmq.link import Link, LinkSettings, Prepare
from shared.adapters.rabbitmq.topology import Topology
from shared.domain.errors import QueueError, QueueFull, QueueUnavailable, QueueUnconfirmed
from shared.domain.retry import DELAYS
from shared.domain.step import Lane, Step, encode_step

log = logging.getLogger(__name__)

RESOLVE_GRACE = 0.01
"""Seconds that a resolve step waits for its confirm: enough to hear a refusal when the broker
is idle; the asker's time is short, and the step may be lost (broker-facts.md 7)."""

LATE_TIMEOUT = 10.0
"""Seconds after which an answer is not waited for any more."""

MAX_UNANSWERED = 1_000
"""Publishes to one queue that may be under way: bounds memory while a broker hangs."""

PREPARE_TIMEOUT = 5.0
HEAL_PAUSE = 1.0
"""Seconds before a deleted queue is declared again. At once would be too quick: below 30 ms the
broker (3.10.8) tells no consumer that its queue is gone, and delivers nothing to it any more."""

SILENCE = 1.0
"""Seconds without a confirm that `check` forgives; a busy broker takes some 50 ms."""

DOUBT = 60.0
"""Seconds for which a confirm that did not come makes a queue doubtful. After LATE_TIMEOUT nobody
hears it any more, and after an alarm it does come: without an end a queue that few publish to would
be called leaderless for hours, and somebody would delete it."""


class Publisher:
    """The connection that only publishes. `link.run()` keeps it."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        topology: Topology,
        prepare: Prepare,
        confirm_timeout: float,
        on_event: OnEvent,
        doubt: float = DOUBT,
    ) -> None:
        """`prepare` sees to it that the queues are there."""
        self.link = Link(settings, name="imagegate publish", prepare=self._prepare)
        self._topology = topology
        self._prepare_queues = prepare
        self._confirm_timeout = confirm_timeout
        self._on_event = on_event
        self._exchanges: dict[str, AbstractExchange] = {}
        """By the queue behind it, whose name it has."""
        self._unanswered: Counter[str] = Counter()
        """Publishes under way, by queue."""
        self._doubt_lasts = doubt
        self._silent: dict[str, tuple[float, float]] = {}
        """Queues that owe a confirm: since when, and when one was missed last."""
        self._healing: asyncio.Task[None] | None = None

    async def publish(self, step: Step, *, delay: int, expires_in: float | None) -> None:
        """Hand `step` to the broker; raises QueueFull, QueueUnavailable, QueueUnconfirmed.

        A step of the resolve lane that is not answered within RESOLVE_GRACE passes as queued.
        """
        await unblocked(self.link.connection)
        queue = self._topology.delay(delay) if delay else self._topology.lane(step.lane)
        if self._unanswered[queue] >= MAX_UNANSWERED:
            raise QueueUnavailable(f"{queue} owes {MAX_UNANSWERED} confirms: the broker lags")
        sending = self._send(step, queue, expires_in=expires_in)
        hasty = step.lane is Lane.RESOLVE
        await asyncio.wait({sending}, timeout=RESOLVE_GRACE if hasty else self._confirm_timeout)
        if sending.done():
            self._judge(sending, queue)
            return
        sending.add_done_callback(partial(self._answered_late, queue=queue, lane=step.lane))
        if not hasty:
            self._doubt(queue)
            raise QueueUnconfirmed(
                f"{queue} did not confirm within {self._confirm_timeout:g} s: it may still arrive"
            )

    async def check(self) -> None:
        """Raise QueueUnavailable when steps cannot be published now.

        No probe is sent: a quorum queue without leader shows in nothing but its missing
        confirms, so each queue's own last publish is the probe (broker-facts.md 3, 8.22), for DOUBT
        seconds.
        """
        await unblocked(self.link.connection)
        now = asyncio.get_running_loop().time()
        for queue, (since, last) in list(self._silent.items()):
            if now - last > self._doubt_lasts:
                self._heard(queue)
            elif now - since > SILENCE:
                raise QueueUnavailable(
                    f"{queue} has confirmed nothing for {now - since:.0f} s: the broker hangs, or "
                    "the queue has no leader (rabbitmq-queues quorum_status); where that stays, "
                    "delete the queue and it is declared again"
                )

    def heal(self) -> None:
        """Declare again what somebody deleted, once at a time."""
        if self._healing is None or self._healing.done():
            self._healing = background(self._redeclare(), name="declare the queues again")

    async def _prepare(self, connection: AbstractConnection) -> None:
        await self._prepare_queues(connection)
        # Nothing but publishes on this channel: a question that timed out there has made the
        # broker cut the connection (broker-facts.md 2).
        channel = await open_channel(connection, timeout=PREPARE_TIMEOUT, confirms=True)
        channel.close_callbacks.add(lambda *_: self.link.drop(connection))
        topology = self._topology
        names = [topology.lane(lane) for lane in Lane] + [topology.delay(span) for span in DELAYS]
        self._exchanges = {name: await channel.get_exchange(name, ensure=False) for name in names}
        self._silent.clear()

    def _send(self, step: Step, queue: str, *, expires_in: float | None) -> asyncio.Task[Any]:
        sending = background(
            self._exchanges[queue].publish(
                _message(step, expires_in=expires_in),
                routing_key=self._topology.lane(step.lane),
                mandatory=True,
                timeout=max(self._confirm_timeout, LATE_TIMEOUT),
            ),
            name=f"publish to {queue}",
        )
        self._unanswered[queue] += 1
        sending.add_done_callback(lambda _: self._unanswered.subtract([queue]))
        return sending

    def _judge(self, sending: asyncio.Task[Any], queue: str) -> None:
        """Say how a publish that ended has ended."""
        if sending.cancelled():
            raise QueueUnconfirmed(f"{queue}: the connection was closed before a confirm came")
        try:
            sending.result()
        except PublishError as error:
            self.heal()
            raise QueueUnavailable(
                f"{queue} does not exist: somebody deleted it, it is declared again"
            ) from error
        except DeliveryError as error:
            self._heard(queue)
            raise QueueFull(f"{queue} is full: its steps come in faster than they go") from error
        except ChannelInvalidStateError as error:
            raise QueueUnavailable("the connection to the broker was closed") from error
        except Exception as error:
            if not broke(error):
                raise
            raise QueueUnconfirmed(f"{queue}: no confirm: {describe(error)}") from error
        self._heard(queue)

    def _doubt(self, queue: str) -> None:
        now = asyncio.get_running_loop().time()
        since, _ = self._silent.get(queue, (now, now))
        self._silent[queue] = (since, now)

    def _heard(self, queue: str) -> None:
        self._silent.pop(queue, None)

    def _answered_late(self, sending: asyncio.Task[Any], *, queue: str, lane: Lane) -> None:
        try:
            self._judge(sending, queue)
        except QueueUnconfirmed:
            self._doubt(queue)
        except QueueError:
            # Counted, not logged: thousands end at once when a hung connection is closed.
            self._on_event(QueueEvent.REFUSED_LATE, lane)

    async def _redeclare(self) -> None:
        log.warning("a queue is missing, declaring all of them again")
        await asyncio.sleep(HEAL_PAUSE)
        try:
            await self._topology.declare(self.link.connection)
        except QueueUnavailable as error:
            log.warning("the queues could not be declared again: %s", error)


def _message(step: Step, *, expires_in: float | None) -> Message:
    """A message with an id of its own: the library tells returned ones apart by it (2)."""
    hasty = step.lane is Lane.RESOLVE
    return Message(
        encode_step(step),
        content_type="application/json",
        delivery_mode=DeliveryMode.NOT_PERSISTENT if hasty else DeliveryMode.PERSISTENT,
        # A broker takes 0 ms for "only if a consumer is idle"; nothing below a millisecond.
        expiration=None if expires_in is None else max(expires_in, 0.001),
        message_id=uuid.uuid4().hex,
        correlation_id=step.id,
        type=step.kind,
        app_id="imagegate",
    )
