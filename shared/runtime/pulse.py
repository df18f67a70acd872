"""The pulse of a process: it says that it lives, and looks whether what it depends on answers.

    async with pulse_of(
        service="worker", presence=presence, checks=checks, metrics=metrics, life=life
    ):
        return await life.until_stopped()

For people only: nothing waits for it, and a process without a pulse does its work all the same.
"""

import asyncio
import logging
import os
import re
import secrets
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

import msgspec

from shared.domain.errors import ImagegateError, StoreMisconfigured
from shared.domain.step import Lane
from shared.ports.carried import Carried
from shared.ports.clock import Clock
from shared.ports.presence import BEAT_EVERY, Beat, Caring, Presence
from shared.runtime.clock import SystemClock
from shared.runtime.health import Check, unready
from shared.runtime.lifecycle import Lifecycle
from shared.runtime.logging import one_line
from shared.runtime.metrics import Metrics

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0
"""Seconds between two looks at what the process depends on."""
BEAT_LIMIT = 1.0
GOODBYE_LIMIT = 0.5
"""Seconds that the end of a process may be late because of its goodbye."""
MAX_HOST = 63

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


class Pulse:
    """Beats and looks until cancelled; `goodbye` ends it.

    `beat` makes what is said, but for `away`, which is what did not answer at the last look.
    Each look sets the gauge `imagegate_dependency_up`.
    """

    def __init__(
        self,
        *,
        presence: Presence,
        beat: Callable[[], Beat],
        checks: Mapping[str, Check],
        metrics: Metrics,
        beat_every: float = BEAT_EVERY,
        look_every: float = LOOK_EVERY,
    ) -> None:
        self._presence = presence
        self._beat = beat
        self._checks = checks
        self._beat_every = beat_every
        self._look_every = look_every
        self._up = metrics.gauge(
            "imagegate_dependency_up",
            "Whether what this process depends on answered it lately: 1, else 0.",
            ["dependency"],
        )
        self._reasons: dict[str, str] = {}
        self._telling = asyncio.Lock()
        self._unheard = False
        self._over = False

    async def run(self) -> None:
        """Until cancelled; beats and looks go on side by side, and no error ends them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_beating(), name="beat")
            group.create_task(self._keep_looking(), name="look at dependencies")

    async def goodbye(self) -> None:
        """Beat no more and be gone at once, where that can be said in half a second."""
        self._over = True
        try:
            async with asyncio.timeout(GOODBYE_LIMIT), self._telling:
                await self._presence.goodbye(self._beat().name)
        except Exception as error:  # the end of a process is not the time to fail
            log.info("our goodbye was not heard", extra={"why": _words(error, GOODBYE_LIMIT)})

    async def _keep_beating(self) -> None:
        while True:
            await self._beat_once()
            await asyncio.sleep(self._beat_every)

    async def _beat_once(self) -> None:
        try:
            async with asyncio.timeout(BEAT_LIMIT), self._telling:
                if not self._over:
                    said = msgspec.structs.replace(self._beat(), away=tuple(self._reasons))
                    await self._presence.beat(said)
        except Exception as error:  # nobody is to suffer because nobody hears us
            self._unheard_because(error)
        else:
            if self._unheard:
                log.info("our presence is heard again")
            self._unheard = False

    def _unheard_because(self, error: Exception) -> None:
        """Said once an outage: it is tried again every other second."""
        if not self._unheard:
            expected = isinstance(error, ImagegateError | TimeoutError)
            wrong = isinstance(error, StoreMisconfigured) or not expected
            log.log(
                logging.ERROR if wrong else logging.WARNING,
                "nobody hears that this process is alive; it works all the same",
                extra={"why": _words(error, BEAT_LIMIT)},
                exc_info=None if expected else error,
            )
        self._unheard = True

    async def _keep_looking(self) -> None:
        while True:
            await self._look_once()
            await asyncio.sleep(self._look_every)

    async def _look_once(self) -> None:
        """Each change is said once."""
        before, self._reasons = self._reasons, await unready(self._checks)
        for name in self._checks:
            self._up.set(name not in self._reasons, name)
            if name in self._reasons and name not in before:
                log.warning("%s is away", name, extra={"why": self._reasons[name]})
            elif name in before and name not in self._reasons:
                log.info("%s answers again", name)


@asynccontextmanager
async def pulse_of(
    *,
    service: str,
    presence: Presence,
    checks: Mapping[str, Check],
    metrics: Metrics,
    life: Lifecycle,
    carried: Carried | None = None,
    clock: Clock | None = None,
    name: str = "",
    caring: Callable[[], Caring | None] = lambda: None,
    emergency: Callable[[], int] = lambda: 0,
    emergency_signed: Callable[[], int] = lambda: 0,
    certificate_ends: Callable[[], int] = lambda: 0,
    cluster: str = "",
) -> AsyncIterator[Pulse]:
    """A pulse that `life` watches until the context ends, and then a goodbye.

    `checks` are by the names of `Beat.away`. `carried` are the counters of the queue whose steps
    the process handles, None for one that handles none. `name` is one of `new_name` that the
    process goes by elsewhere too. `caring`: what it knows if it leads. `emergency`:
    until when a webhook's lasts; `emergency_signed`: when the newest was signed that it heard of;
    `certificate_ends`: when what it shows does; `cluster`: whose reviews it answers.
    """
    identity = Beat(
        name=name or new_name(service),
        service=service,
        version=own_version(),
        started=(clock or SystemClock()).now(),
        cluster=cluster,
    )

    def beat() -> Beat:
        said = msgspec.structs.replace(
            identity,
            stopping=life.stopping.is_set(),
            caring=caring(),
            emergency=emergency(),
            emergency_signed=emergency_signed(),
            certificate_ends=certificate_ends(),
        )
        if carried is None:
            return said
        return msgspec.structs.replace(
            said, delivered=_delivered(carried), in_hand=carried.in_hand()
        )

    pulse = Pulse(presence=presence, beat=beat, checks=checks, metrics=metrics)
    life.watch(pulse.run(), name=f"pulse of {service}")
    try:
        yield pulse
    finally:
        await pulse.goodbye()


def new_name(service: str, *, host: str | None = None) -> str:
    """`worker@HOST:PID:RANDOM`; a machine may be called anything, HOST is short and plain."""
    named = socket.gethostname() if host is None else host
    plain = _NOT_IN_NAMES.sub("-", named[:MAX_HOST]) or "-"
    return f"{service}@{plain}:{os.getpid()}:{secrets.token_hex(4)}"


def own_version() -> str:
    """imagegate's, as it was installed."""
    try:
        return version("imagegate")
    except PackageNotFoundError:
        return "unknown"


def _delivered(carried: Carried) -> dict[Lane, int]:
    delivered: Counter[Lane] = Counter()
    for steps in carried.steps():
        delivered[steps.lane] += steps.delivered
    return {lane: delivered[lane] for lane in Lane}


def _words(error: Exception, limit: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {limit:g} s"
    return one_line(str(error) or type(error).__name__, limit=300)
