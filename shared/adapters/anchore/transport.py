"""HTTP to an Anchore server: every call bounded in time, size and attempts.

The server has no time limits of its own and its health endpoints prove nothing
(docs/design/anchore-engine.md 2, 3), so each attempt has a timeout, each call a budget, and
each failure becomes a TransientFailure that says which call it was. Retries here are short; the
long ones are the delay ladder's (docs/design/behaviour.md 5).
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from shared.adapters.anchore.address import Route, server_url
from shared.adapters.anchore.answers import Answer
from shared.adapters.anchore.attempts import Again, Attempts
from shared.adapters.anchore.calls import Call, Limits, OnCall, nobody
from shared.adapters.anchore.calls_bucket import CallsBucket
from shared.adapters.anchore.faults import Fault, OnFault
from shared.adapters.anchore.login import BasicLogin, Login, NoLogin
from shared.adapters.anchore.wire import Wire
from shared.adapters.anchore.wording import MAX_TEXT
from shared.adapters.breaker import Attempt, Breaker, BreakerState
from shared.domain.errors import TakenForDown, TransientFailure


class AnchoreTransport:
    """A pool of connections to one server with one login.

    Redirects are not followed and proxies of the environment not used: credentials go to the
    configured host and nowhere else, by `route.proxy` where there is one. Raises InvalidSettings
    for a URL or file it cannot use.

    `login`, or Basic with `user` and `password`, or nothing where there is no password either.

    `breaker` hears of each attempt: unreachable, silent or 5xx is a failure, what else the server
    says is an answer. While it is open nothing is asked.
    """

    def __init__(
        self,
        *,
        url: str,
        user: str = "",
        password: str = "",
        login: Login | None = None,
        route: Route | None = None,
        ca_file: Path | None = None,
        limits: Limits | None = None,
        breaker: Breaker | None = None,
        on_call: OnCall = nobody,
        on_fault: OnFault = nobody,
    ) -> None:
        self._limits = limits or Limits()
        self._breaker = breaker
        self._on_call = on_call
        # Not the library's own bound: what waits there counts as the server's silence.
        self._places = asyncio.Semaphore(self._limits.connections)
        calls = self._limits.calls
        self._calls = CallsBucket(rate=calls) if calls is not None else None
        basic = BasicLogin(user=user, password=lambda: password) if password else NoLogin()
        route = route or Route(ca_file=ca_file)
        server = server_url(url)
        self._wire = Wire(
            server=server,
            login=login or basic,
            verify=route.trusted(server),
            proxy=route.through(),
            limits=self._limits,
            told=lambda call, answer, seconds: self._on_call(
                call.operation, str(answer.status), seconds
            ),
        )
        self._attempts = Attempts(
            wire=self._wire, limits=self._limits, on_call=on_call, on_fault=on_fault
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._wire.close()

    def hide(self, secret: str) -> None:
        """One more text that no message of ours may hold, such as a login that we send on."""
        self._wire.hide(secret)

    def clean(self, text: object, *, limit: int = MAX_TEXT) -> str:
        """What the server said, on one bounded line and without our secrets."""
        return self._wire.clean(text, limit=limit)

    def fault(self, call: Call, fault: Fault, answer: Answer | None = None) -> None:
        """Count what went wrong with `call`, and log the name that Anchore's own log has for it."""
        self._attempts.fault(call, fault, answer)

    async def call(self, call: Call) -> Answer:
        """The server's answer: a 2xx with JSON, or a 4xx whatever its body.

        Raises TransientFailure: unreachable, too slow, 5xx, 408, 429, a redirect, or a success
        that is not JSON; after as many attempts as the limits and the call allow. TakenForDown
        where the breaker is open, before the call or by its failures.
        """
        deadline = time.monotonic() + self._limits.total
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Again),
            stop=stop_after_attempt(self._limits.attempts) | stop_before_delay(self._limits.total),
            wait=self._pause,
            reraise=True,
        )
        try:
            return await retrying(self._guarded, call, deadline)
        except Again as last:
            tried = int(retrying.statistics.get("attempt_number", 1))
            times = f" (tried {tried} times)" if tried > 1 else ""
            failure = type(last.failure)(f"{last}{times}", retry_after=last.failure.retry_after)
            raise self._judged(call, failure) from last.__cause__
        except TransientFailure as failure:
            raise self._judged(call, failure) from failure.__cause__

    def _judged(self, call: Call, failure: TransientFailure) -> TransientFailure:
        """What a call's failure is to whoever asked: one of its own, or the server's outage."""
        if self._breaker is None or call.past_breaker or isinstance(failure, TakenForDown):
            return failure
        closed = self._breaker.state is BreakerState.CLOSED
        return failure if closed else self._breaker.refusal()

    def _pause(self, state: RetryCallState) -> float:
        backoff = wait_random_exponential(
            multiplier=self._limits.pause, max=self._limits.longest_pause
        )(state)
        error = state.outcome.exception() if state.outcome else None
        asked = error.failure.retry_after if isinstance(error, Again) else None
        return max(backoff, asked or 0.0)

    async def _guarded(self, call: Call, deadline: float) -> Answer:
        """One attempt in its turn, on a connection that is free, if the breaker lets it through
        then."""
        await self._turn(call, deadline)
        async with self._place(call, deadline):
            if self._breaker is None or call.past_breaker:
                return await self._attempts.make(call, deadline, Attempt())
            try:
                with self._breaker.attempt() as attempt:
                    return await self._attempts.make(call, deadline, attempt)
            except TakenForDown:
                self._on_call(call.operation, "refused", 0.0)
                raise

    async def _turn(self, call: Call, deadline: float) -> None:
        """A turn of those that the server gets from us in a second. People and probes need none,
        nor who will be refused."""
        open_now = self._breaker is not None and self._breaker.state is BreakerState.OPEN
        if self._calls is None or call.past_breaker or open_now:
            return
        left = max(deadline - time.monotonic(), 0.001) / 2
        if await self._calls.take(within=left):
            return
        self._on_call(call.operation, "throttled", left)
        raise TransientFailure(
            f"{call.operation} had no turn among the {self._limits.calls:g} calls a second that "
            f"we make to Anchore within {left:.1f} s: it is tried again; where Anchore bears more, "
            "raise IMAGEGATE_ANCHORE_CALLS"
        )

    @asynccontextmanager
    async def _place(self, call: Call, deadline: float) -> AsyncIterator[None]:
        """One of our connections. That none is free in time says nothing of the server; half of
        the time is the attempt's own, so that a short rest of it says nothing either."""
        left = max(deadline - time.monotonic(), 0.001) / 2
        try:
            async with asyncio.timeout(left):
                await self._places.acquire()
        except TimeoutError as error:
            self._on_call(call.operation, "busy", left)
            raise TransientFailure(
                f"none of our {self._limits.connections} connections to Anchore was free for "
                f"{call.operation} within {left:.1f} s: it is slow, or asked for too much at once"
            ) from error
        try:
            yield
        finally:
            self._places.release()
