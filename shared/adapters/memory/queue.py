"""The queue of steps in this process: the embedded default, gone when the process ends."""

import asyncio
from collections import Counter, deque

import msgspec

from shared.adapters.crew import Crew, drain
from shared.adapters.handling import (
    RESOLVE_LIFE,
    Handling,
    OnEvent,
    QueueEvent,
    cap,
    check_publish,
    handed_over,
    ignore,
)
from shared.adapters.memory.pile import Pile
from shared.domain.errors import QueueFull
from shared.domain.retry import DELAYS
from shared.domain.step import Lane, Step, encode_step
from shared.ports.carried import Carried
from shared.ports.clock import Clock
from shared.ports.steps import MAX_DEAD, Depths, Handler, LaneDepth, Settle


class MemoryQueue:
    """`StepQueue` for one process and one event loop.

    `max_ready`: steps that may stand in each lane; what comes back from a delay or from a
    cancelled handler is not refused. `on_event` counts what happens to deliveries.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        max_ready: int | None = None,
        max_dead: int = MAX_DEAD,
        on_event: OnEvent = ignore,
    ) -> None:
        self.carried = Carried()
        self.dead = Pile(clock=clock, most=max_dead)
        self._clock = clock
        self._on_event = on_event
        self._lanes = {lane: _Waiting(cap(lane, max_ready=max_ready)) for lane in Lane}
        self._delayed: Counter[int] = Counter()
        self._crews: set[Crew] = set()
        self._draining = False

    async def publish(self, step: Step, *, delay: int = 0, expires_in: float | None = None) -> None:
        """Queue `step` as the port says; raises QueueFull."""
        check_publish(step, delay=delay, expires_in=expires_in)
        body = encode_step(handed_over(step, delay=delay, now=self._clock.now()))
        if delay:
            self._delayed[delay] += 1
            asyncio.get_running_loop().call_later(delay, self._due, step.lane, body, delay)
        else:
            self.publish_raw(step.lane, body, expires_in=expires_in)
        self.carried.published(step, delay=delay)

    def publish_raw(self, lane: Lane, body: bytes, *, expires_in: float | None = None) -> None:
        """Queue any bytes, as a stranger with access to a broker could; raises QueueFull."""
        waiting = self._lanes[lane]
        if waiting.count() >= waiting.max_ready:
            raise QueueFull(f"lane {lane} holds {waiting.max_ready} steps, its cap: try later")
        waiting.put(_message(lane, body, expires_in=expires_in))

    async def consume(self, lane: Lane, handler: Handler, *, concurrency: int) -> None:
        """Hand deliveries to `handler` until drained."""
        crew = Crew(size=concurrency, name=f"handle {lane}")
        if self._draining:
            return
        handling = Handling(
            lane=lane,
            handler=handler,
            clock=self._clock,
            carried=self.carried,
            on_event=self._on_event,
        )
        self._crews.add(crew)
        self._lanes[lane].consumers += 1
        try:
            await self._take(lane, crew, handling)
            await crew.finished()
        finally:
            # Reached with handlers running only when the caller cancels.
            crew.cancel()
            crew.gone.set()
            self._crews.discard(crew)
            self._lanes[lane].consumers -= 1

    async def drain(self, *, timeout: float) -> None:
        """End every `consume`; no later one takes anything."""
        self._draining = True
        for waiting in self._lanes.values():
            waiting.arrived.set()
        await drain(self._crews, timeout=timeout)

    async def depths(self) -> Depths:
        """How much stands where."""
        in_hand = self.carried.in_hand()
        lanes = tuple(
            LaneDepth(
                lane=lane,
                ready=waiting.count(),
                unacknowledged=in_hand[lane],
                consumers=waiting.consumers,
            )
            for lane, waiting in self._lanes.items()
        )
        delayed = {delay: self._delayed[delay] for delay in DELAYS}
        return Depths(lanes=lanes, delayed=delayed, dead=len(self.dead))

    async def ping(self) -> None:
        """Always well: it lives and dies with the process that asks."""

    async def _take(self, lane: Lane, crew: Crew, handling: Handling) -> None:
        waiting = self._lanes[lane]
        while True:
            await crew.slots.acquire()
            while not self._draining and (message := waiting.take()) is None:
                waiting.arrived.clear()
                await waiting.arrived.wait()
            if self._draining:
                return
            assert message is not None
            self._start(message, waiting, crew, handling)

    def _start(
        self, message: "_Message", waiting: "_Waiting", crew: Crew, handling: Handling
    ) -> None:
        if message.redelivered:
            handling.count(QueueEvent.REDELIVERED)
        task = crew.start(_settled(handling, message.body))
        handling.in_hand(task)

        # Not a `finally` of the task: one that is cancelled before it ran has none.
        def ended(_: asyncio.Task[Settle]) -> None:
            crew.slots.release()
            if task.cancelled() or task.exception() is not None:
                waiting.put_back(message)
            elif task.result() is Settle.DEAD and message.lane is not Lane.RESOLVE:
                self.dead.add(message.lane, message.body)

        task.add_done_callback(ended)

    def _due(self, lane: Lane, body: bytes, delay: int) -> None:
        self._delayed[delay] -= 1
        self._lanes[lane].put(_message(lane, body))


class _Message(msgspec.Struct, frozen=True):
    lane: Lane
    body: bytes
    expires_at: float | None = None
    """On the event loop's clock."""
    redelivered: bool = False


class _Waiting:
    """What stands in one lane."""

    def __init__(self, max_ready: int) -> None:
        self.max_ready = max_ready
        self.consumers = 0
        self.arrived = asyncio.Event()
        self._messages: deque[_Message] = deque()

    def put(self, message: _Message) -> None:
        self._messages.append(message)
        self.arrived.set()

    def put_back(self, message: _Message) -> None:
        self._messages.appendleft(msgspec.structs.replace(message, redelivered=True))
        self.arrived.set()

    def take(self) -> _Message | None:
        self._drop_expired()
        return self._messages.popleft() if self._messages else None

    def count(self) -> int:
        self._drop_expired()
        return len(self._messages)

    def _drop_expired(self) -> None:
        """From the head, as a broker does: one lane's messages live about equally long."""
        now = asyncio.get_running_loop().time()
        while self._messages:
            expires_at = self._messages[0].expires_at
            if expires_at is None or expires_at > now:
                return
            self._messages.popleft()


def _message(lane: Lane, body: bytes, *, expires_in: float | None = None) -> _Message:
    if lane is not Lane.RESOLVE:
        return _Message(lane=lane, body=body)
    life = min(expires_in if expires_in is not None else RESOLVE_LIFE, RESOLVE_LIFE)
    expires_at = asyncio.get_running_loop().time() + life
    return _Message(lane=lane, body=body, expires_at=expires_at)


async def _settled(handling: Handling, body: bytes) -> Settle:
    step = handling.read(body)
    return step if isinstance(step, Settle) else await handling.run(step)
