"""Which of Anchore's two APIs a server speaks: asked once, at the first use, and kept.

Asked again only where the server's own router says that it has no such path: an image that is not
known is a 404, too, and a normal one (docs/design/anchore-v2.md 1). A server that is down is no
answer: whoever asked gets its failure, and the next one asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Generic, TypeVar

from shared.adapters.anchore.answers import Answer
from shared.adapters.anchore.attempts import NotJson
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.faults import Fault
from shared.adapters.anchore.reading import part
from shared.adapters.anchore.refusals import WrongApi
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v2 import AnchoreV2
from shared.domain.errors import ErrorKind, PermanentFailure, TransientFailure
from shared.domain.verdict import Evaluation, Question, Subject
from shared.ports.clock import Clock
from shared.ports.scanner import Analysed, Scanner, ScannerInfo

Adapter = TypeVar("Adapter")
Result = TypeVar("Result")

SECONDS = 5.0
"""For the version, which Anchore answers without asking anybody."""


class Api(StrEnum):
    """The APIs that we speak."""

    V1 = "v1"
    V2 = "v2"


class Detection:
    """Which API one server speaks; `known` where somebody said so, and then nobody asks."""

    def __init__(self, *, transport: AnchoreTransport, known: Api | None = None) -> None:
        self._transport = transport
        self._fixed = known is not None
        self._api = known
        self._asking: dict[bool, asyncio.Task[Api]] = {}

    async def api(self, *, past_breaker: bool = False) -> Api:
        """Raises StepFailure: no server, or none that tells."""
        if self._api is None:
            self._api = await self._asked(past_breaker=past_breaker)
        return self._api

    async def another(self, than: Api, *, past_breaker: bool = False) -> Api | None:
        """What it speaks now, after it had no path of `than`; None: that, or nobody may ask."""
        if self._fixed:
            return None
        if self._api is than:
            self._api = await self._asked(past_breaker=past_breaker)
        return self._api if self._api is not than else None

    async def _asked(self, *, past_breaker: bool) -> Api:
        """One question for all who want to know; it goes on when the first of them gives up."""
        task = self._asking.get(past_breaker)
        if task is None:
            task = asyncio.create_task(self._ask(past_breaker=past_breaker))
            self._asking[past_breaker] = task
            task.add_done_callback(lambda done: self._asked_for(done, past_breaker=past_breaker))
        return await asyncio.shield(task)

    def _asked_for(self, done: asyncio.Task[Api], *, past_breaker: bool) -> None:
        del self._asking[past_breaker]
        if not done.cancelled():
            done.exception()  # whoever waited has it; that nobody waits any more is no fault

    async def _ask(self, *, past_breaker: bool) -> Api:
        """/version is outside of what some ingresses hand on, and then /v2/version tells."""
        for path in ("/version", "/v2/version"):
            call = Call(
                operation="version",
                method="GET",
                path=path,
                seconds=SECONDS,
                anonymous=True,
                past_breaker=past_breaker,
            )
            try:
                answer = await self._transport.call(call)
            except NotJson:
                continue  # the page of whatever else answers there
            api = self._told(call, answer)
            if api is not None:
                return api
        raise TransientFailure(
            "Neither /version nor /v2/version of ANCHORE_URL tells which API it speaks: see "
            "whether ANCHORE_URL is right, or set ANCHORE_API to v1 or v2"
        )

    def _told(self, call: Call, answer: Answer) -> Api | None:
        """What the answer says; None: nothing."""
        body = answer.body
        if answer.status != 200 or not isinstance(part(body).get("api"), dict):
            return None
        # Engine says `{}`.
        version = str(part(body, "api").get("version") or "1")
        match version.partition(".")[0]:
            case "1":
                return Api.V1
            case "2":
                return Api.V2
        self._transport.fault(call, Fault.WRONG_API)
        raise PermanentFailure(
            f"Anchore speaks version {self._transport.clean(version, limit=40)} of its API, and "
            "imagegate v1 and v2: is there a newer imagegate? If it speaks v2, too, set "
            "ANCHORE_API=v2",
            kind=ErrorKind.MISCONFIGURED,
        )


class Spoken(Generic[Adapter]):
    """One adapter for each API, of which the one is asked that the server speaks."""

    def __init__(self, *, detection: Detection, v1: Adapter, v2: Adapter) -> None:
        self._detection = detection
        self._adapters = {Api.V1: v1, Api.V2: v2}

    async def ask(
        self, question: Callable[[Adapter], Awaitable[Result]], *, past_breaker: bool = False
    ) -> Result:
        """The answer of the adapter that fits; of the other one, where the server was exchanged for
        one that speaks it. Raises what they raise."""
        api = await self._detection.api(past_breaker=past_breaker)
        try:
            return await question(self._adapters[api])
        except WrongApi:
            other = await self._detection.another(api, past_breaker=past_breaker)
            if other is None:
                raise
        return await question(self._adapters[other])


class DetectedAnchore:
    """`shared.ports.scanner.Scanner` over whichever API the server speaks."""

    def __init__(self, *, detection: Detection, transport: AnchoreTransport, clock: Clock) -> None:
        self._spoken: Spoken[Scanner] = Spoken(
            detection=detection,
            v1=AnchoreV1(transport=transport, clock=clock),
            v2=AnchoreV2(transport=transport, clock=clock),
        )

    async def analysis(self, subject: Subject, question: Question) -> Analysed:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda scanner: scanner.analysis(subject, question))

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        dockerfile: bytes | None = None,
        force: bool = False,
    ) -> Analysed:
        """As the API that is spoken has it."""
        return await self._spoken.ask(
            lambda scanner: scanner.submit(subject, question, dockerfile=dockerfile, force=force)
        )

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda scanner: scanner.evaluate(subject, question))

    async def failure_reason(self, subject: Subject, question: Question) -> str:
        """As the API that is spoken has it."""
        return await self._spoken.ask(lambda scanner: scanner.failure_reason(subject, question))

    async def info(self) -> ScannerInfo:
        """As the API that is spoken has it, past the breaker."""
        return await self._spoken.ask(lambda scanner: scanner.info(), past_breaker=True)
