"""HTTP to an Anchore server: every call bounded in time, size and attempts.

The server has no time limits of its own and its health endpoints prove nothing
(docs/design/anchore-engine.md 2, 3), so each attempt has a timeout, each call a budget, and
each failure becomes a TransientFailure that says which call it was. Retries here are short; the
long ones are the delay ladder's (docs/design/behaviour.md 5).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from shared.adapters.anchore.address import Route, server_url
from shared.adapters.anchore.answers import Answer, complaint_of, retry_after_of
from shared.adapters.anchore.calls import Call, Limits, OnCall, nobody
from shared.adapters.anchore.calls_bucket import CallsBucket
from shared.adapters.anchore.faults import Fault, OnFault, fault_of
from shared.adapters.anchore.login import BasicLogin, Login, NoLogin, NoToken
from shared.adapters.anchore.wire import Reply, Unreadable, Wire
from shared.adapters.anchore.wording import MAX_TEXT
from shared.adapters.breaker import Attempt, Breaker, BreakerState
from shared.domain.errors import ErrorKind, PermanentFailure, TakenForDown, TransientFailure

log = logging.getLogger(__name__)


class NotJson(TransientFailure):
    """A success without JSON: the page of something else, or the beginning of an answer."""


class _Again(Exception):
    """An attempt that failed in a way that the next one may not; `failure` after the last."""

    def __init__(self, failure: TransientFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


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
        self._on_fault = on_fault
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
        self._on_fault(call.operation, fault)
        request_id = complaint_of(answer).request_id if answer is not None else ""
        if request_id:
            log.info(
                "Anchore refuses a request",
                extra={"operation": call.operation, "request": self.clean(request_id)},
            )

    async def call(self, call: Call) -> Answer:
        """The server's answer: a 2xx with JSON, or a 4xx whatever its body.

        Raises TransientFailure: unreachable, too slow, 5xx, 408, 429, a redirect, or a success
        that is not JSON; after as many attempts as the limits and the call allow. TakenForDown
        where the breaker is open, before the call or by its failures.
        """
        deadline = time.monotonic() + self._limits.total
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Again),
            stop=stop_after_attempt(self._limits.attempts) | stop_before_delay(self._limits.total),
            wait=self._pause,
            reraise=True,
        )
        try:
            return await retrying(self._guarded, call, deadline)
        except _Again as last:
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
        asked = error.failure.retry_after if isinstance(error, _Again) else None
        return max(backoff, asked or 0.0)

    async def _guarded(self, call: Call, deadline: float) -> Answer:
        """One attempt in its turn, on a connection that is free, if the breaker lets it through
        then."""
        await self._turn(call, deadline)
        async with self._place(call, deadline):
            if self._breaker is None or call.past_breaker:
                return await self._attempt(call, deadline, Attempt())
            try:
                with self._breaker.attempt() as attempt:
                    return await self._attempt(call, deadline, attempt)
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

    async def _attempt(self, call: Call, deadline: float, attempt: Attempt) -> Answer:
        limits = self._limits
        left = max(deadline - time.monotonic(), 0.001)
        most = min(call.seconds or limits.attempt, limits.attempt)
        seconds = left if call.patient else min(most, left)
        started = time.monotonic()
        outcome = "cancelled"
        try:
            async with asyncio.timeout(seconds):
                reply = await self._wire.exchange(call, seconds)
            outcome = str(reply.answer.status)
        except (TimeoutError, httpx.TimeoutException) as error:
            outcome = "timeout"
            self.fault(call, Fault.TIMEOUT)
            unsent = isinstance(error, httpx.ConnectTimeout)
            text = f"Anchore did not answer {call.operation} within {seconds:.1f} s"
            attempt.failed(text)
            raise self._failed(call, text, unsent=unsent) from error
        except httpx.TransportError as error:
            outcome = "unreachable"
            self.fault(call, _fault_of_connection(error))
            unsent = isinstance(error, httpx.ConnectError)
            text = self._unreachable(call, error)
            attempt.failed(text)
            raise self._failed(call, text, unsent=unsent) from error
        except Unreadable as error:
            outcome = "unreadable"
            self.fault(call, error.fault)
            text = f"Anchore's answer to {call.operation} cannot be read: {error}"
            raise self._failed(call, text) from error
        except NoToken as error:
            outcome = "no_token"
            raise self._without_token(call, error, attempt) from error
        finally:
            self._on_call(call.operation, outcome, time.monotonic() - started)
        self._tell(attempt, call, reply.answer)
        return self._checked(call, reply)

    def _tell(self, attempt: Attempt, call: Call, answer: Answer) -> None:
        if answer.status >= 500:
            attempt.failed(self._said(call, answer))
        else:
            attempt.answered()

    def _without_token(self, call: Call, none: NoToken, attempt: Attempt) -> Exception:
        self.fault(none.call, Fault.NO_TOKEN, none.answer)
        self._tell(attempt, none.call, none.answer)
        if none.answer.status >= 500 or none.answer.status in (200, 408, 429):
            return self._failed(call, self._said(none.call, none.answer), unsent=True)
        return PermanentFailure(
            f"Anchore gives our user no token: {self._said(none.call, none.answer)}. Check "
            "ANCHORE_USER and ANCHORE_PASSWORD, or set ANCHORE_AUTH=basic where it has no tokens",
            kind=ErrorKind.MISCONFIGURED,
        )

    def _failed(
        self,
        call: Call,
        text: str,
        *,
        unsent: bool = False,
        retry_after: float | None = None,
        kind: type[TransientFailure] = TransientFailure,
    ) -> Exception:
        """Again, where the call may be repeated and the wait is short; else the end of it."""
        failure = kind(text, retry_after=retry_after)
        patience = (retry_after or 0.0) <= self._limits.short_retry_after
        return _Again(failure) if patience and (call.repeatable or unsent) else failure

    def _unreachable(self, call: Call, error: httpx.TransportError) -> str:
        why = self.clean(error) or type(error).__name__
        text = f"Anchore at {self._wire.server} cannot be asked ({call.operation}): {why}"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return f"{text}; set ANCHORE_CA to the CA that signed its certificate"
        if isinstance(error, httpx.ProxyError):
            return f"{text}; that is what ANCHORE_PROXY says"
        return f"{text}; is it running, and is ANCHORE_URL right?"

    def _said(self, call: Call, answer: Answer) -> str:
        said = self.clean(complaint_of(answer))
        return f"Anchore answered {answer.status} to {call.operation}: {said}"

    def _checked(self, call: Call, reply: Reply) -> Answer:
        """The answer, unless it is none: raises what it stands for."""
        answer, status = reply.answer, reply.answer.status
        if status in (408, 429) or status >= 500:
            asked = retry_after_of(reply.retry_after)
            self.fault(call, fault_of(answer), answer)
            raise self._failed(call, self._said(call, answer), retry_after=asked)
        if status < 200 or 300 <= status < 400:
            self.fault(call, Fault.REDIRECT)
            raise TransientFailure(
                f"Anchore answered {status} to {call.operation} and points to "
                f"{self.clean(reply.location or 'nowhere')}: "
                "set ANCHORE_URL to where it really is"
            )
        if status < 300 and answer.text:
            self.fault(call, Fault.HTML if answer.text.startswith("<") else Fault.NOT_JSON)
            text = (
                f"Anchore's answer to {call.operation} is not JSON but begins with "
                f"{self.clean(answer.text, limit=60)!r}: is ANCHORE_URL right?"
            )
            raise self._failed(call, text, kind=NotJson)
        return answer


def _fault_of_connection(error: httpx.TransportError) -> Fault:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Fault.CERTIFICATE
    if isinstance(error, httpx.ProxyError):
        return Fault.PROXY
    return Fault.UNREACHABLE if isinstance(error, httpx.ConnectError) else Fault.CLOSED
