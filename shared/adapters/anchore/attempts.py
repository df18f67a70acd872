"""One attempt to ask an Anchore server, and what it stands for when it fails."""

import asyncio
import logging
import time

import httpx

from shared.adapters.anchore.answers import Answer, complaint_of, retry_after_of
from shared.adapters.anchore.calls import Call, Limits, OnCall
from shared.adapters.anchore.faults import Fault, OnFault, fault_of
from shared.adapters.anchore.login import NoToken
from shared.adapters.anchore.wire import Reply, Unreadable, Wire
from shared.adapters.breaker import Attempt
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure

log = logging.getLogger(__name__)


class NotJson(TransientFailure):
    """A success without JSON: the page of something else, or the beginning of an answer."""


class Again(Exception):
    """An attempt that failed in a way that the next one may not; `failure` after the last."""

    def __init__(self, failure: TransientFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Attempts:
    """Makes attempts over `wire`, and counts them."""

    def __init__(self, *, wire: Wire, limits: Limits, on_call: OnCall, on_fault: OnFault) -> None:
        self._wire = wire
        self._limits = limits
        self._on_call = on_call
        self._on_fault = on_fault

    async def make(self, call: Call, deadline: float, attempt: Attempt) -> Answer:
        """One attempt; `attempt` hears how it ended. Raises Again where another may do better,
        TransientFailure, or PermanentFailure without a token."""
        left = max(deadline - time.monotonic(), 0.001)
        most = min(call.seconds or self._limits.attempt, self._limits.attempt, left)
        seconds = left if call.patient else most
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
        except PermanentFailure:
            outcome = "no_token"
            raise
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
        return Again(failure) if patience and (call.repeatable or unsent) else failure

    def _unreachable(self, call: Call, error: httpx.TransportError) -> str:
        why = self._wire.clean(error) or type(error).__name__
        text = f"Anchore at {self._wire.server} cannot be asked ({call.operation}): {why}"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return f"{text}; set ANCHORE_CA to the CA that signed its certificate"
        if isinstance(error, httpx.ProxyError):
            return f"{text}; that is what ANCHORE_PROXY says"
        return f"{text}; is it running, and is ANCHORE_URL right?"

    def _said(self, call: Call, answer: Answer) -> str:
        said = self._wire.clean(complaint_of(answer))
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
                f"{self._wire.clean(reply.location or 'nowhere')}: "
                "set ANCHORE_URL to where it really is"
            )
        if status < 300 and answer.text:
            self.fault(call, Fault.HTML if answer.text.startswith("<") else Fault.NOT_JSON)
            text = (
                f"Anchore's answer to {call.operation} is not JSON but begins with "
                f"{self._wire.clean(answer.text, limit=60)!r}: is ANCHORE_URL right?"
            )
            raise self._failed(call, text, kind=NotJson)
        return answer

    def fault(self, call: Call, fault: Fault, answer: Answer | None = None) -> None:
        """Count what went wrong with `call`, and log the name that Anchore's own log has for it."""
        self._on_fault(call.operation, fault)
        request_id = complaint_of(answer).request_id if answer is not None else ""
        if request_id:
            log.info(
                "Anchore refuses a request",
                extra={"operation": call.operation, "request": self._wire.clean(request_id)},
            )


def _fault_of_connection(error: httpx.TransportError) -> Fault:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Fault.CERTIFICATE
    if isinstance(error, httpx.ProxyError):
        return Fault.PROXY
    return Fault.UNREACHABLE if isinstance(error, httpx.ConnectError) else Fault.CLOSED
