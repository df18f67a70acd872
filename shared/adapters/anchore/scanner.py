"""Anchore as a Scanner, whichever of its two APIs it speaks."""

import asyncio
import base64
import functools
from urllib.parse import quote

import msgspec

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.dialect import Dialect
from shared.adapters.anchore.events import analysis_reason, failed_analyses
from shared.adapters.anchore.faults import Fault, fault_of
from shared.adapters.anchore.reading import UnreadableEvaluation
from shared.adapters.anchore.records import STATES, ImageRecord
from shared.adapters.anchore.refusals import NEEDS_FORCE, NOTHING_TO_FORCE, Refusals
from shared.adapters.anchore.submitted import Submitted
from shared.adapters.anchore.tenancy import askable
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.wire import LARGE
from shared.adapters.anchore.wording import one_line
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.verdict import Evaluation, Question, Subject, doubt_of
from shared.ports.clock import Clock
from shared.ports.scanner import Analysed, Analysis, ScannerInfo

MAX_REASON = 400
EVENTS = 20

LOOK = 5.0
"""Seconds for an answer that Anchore has only to look up; it took 0.08 s when idle."""


class AnchoreScanner:
    """`shared.ports.scanner.Scanner` over one dialect."""

    def __init__(self, *, dialect: Dialect, transport: AnchoreTransport, clock: Clock) -> None:
        self._dialect = dialect
        self._transport = transport
        self._clock = clock
        self._refusals = Refusals(transport)
        self._submitted = Submitted(clock=clock, lag=dialect.lag)

    async def analysis(self, subject: Subject, question: Question) -> Analysed:
        """The state of `subject.digest` in `question.account`.

        UNKNOWN also for an image that Anchore has under other tags only: a submit adds the tag,
        analyses nothing anew, and answers with the state. What was submitted a moment ago and is
        not visible yet is WAITING.
        """
        record = await self._image(subject, question)
        lately = self._submitted.lately(subject, question)
        if record is None:
            return Analysed(Analysis.WAITING if lately else Analysis.UNKNOWN)
        analysed = self._analysed(record)
        known = lately or record.named(subject.scan_tag)
        return analysed if known else Analysed(Analysis.UNKNOWN)

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        dockerfile: bytes | None = None,
        force: bool = False,
    ) -> Analysed:
        """Have it analysed. A Dockerfile for an image that Anchore has forces a new analysis,
        unless it is the one that Anchore was given before."""
        file = base64.b64encode(dockerfile).decode("ascii") if dockerfile else None
        call = self._submission(subject, question, file, force=force)
        answer = await self._transport.call(call)
        said = complaint_of(answer).message.lower() if answer.status == 400 else ""
        if NEEDS_FORCE in said and file and not force:
            record = await self._image(subject, question)
            if record and record.was_given(file):
                return self._analysed(record)
            call = self._submission(subject, question, file, force=True)
            answer = await self._transport.call(call)
        elif NOTHING_TO_FORCE in said and force:
            call = self._submission(subject, question, file, force=False)
            answer = await self._transport.call(call)
        if answer.status != 200:
            raise self._refusals.of_submit(call, answer, subject)
        analysed = self._analysed(self._record(call, answer, subject))
        self._submitted.add(subject, question)
        return analysed

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        """What the policy says of `subject.digest` under `subject.scan_tag`.

        That the tag is the digest's is the caller's business: Anchore takes it on our word.
        """
        query = {"tag": subject.scan_tag, "detail": "true"}
        if question.policy:
            query[self._dialect.policy] = question.policy
        call = self._call("image_check", f"{self._path(subject)}/check", question, query)
        asked_at = self._clock.now()
        answer = await self._transport.call(call)
        if answer.status != 200:
            raise self._refusals.of_check(call, answer, question)
        read = functools.partial(
            self._dialect.evaluation, answer.body, account=question.account, asked_at=asked_at
        )
        try:
            evaluation = await asyncio.to_thread(read) if answer.size > LARGE else read()
        except UnreadableEvaluation as error:
            raise self._unreadable(call, error) from error
        doubt = doubt_of(subject, question, evaluation)
        if doubt is not None:
            self._transport.fault(call, Fault(doubt.kind))
        return evaluation

    async def failure_reason(self, subject: Subject, question: Question) -> str:
        """The newest error event of the tag; empty where there is none or it cannot be had."""
        query = {
            "resource_type": "image_tag",
            "resource_id": subject.scan_tag,
            "level": "error",
            "limit": str(EVENTS),
        }
        call = self._call("events", f"{self._dialect.base}/events", question, query)
        try:
            answer = await self._transport.call(_quick(call))
        except StepFailure:
            return ""  # The verdict says "analysis failed" either way.
        for event in failed_analyses(answer.body):
            message = str(event.get("details", {}).get("msg", ""))
            return self._transport.clean(analysis_reason(message), limit=MAX_REASON)
        return ""

    async def info(self) -> ScannerInfo:
        """The version, and a question that needs credentials, the catalog and its database.

        Past the breaker: whoever asks wants to hear what the server says now. It is no sign to the
        breaker either, since the version is answered while all behind it is down.
        """
        version = self._probe("version", self._dialect.version)
        answer = await self._transport.call(version)
        if answer.status != 200:
            raise self._refusals.of_call(version, answer)
        proof = self._probe("policies", f"{self._dialect.base}/policies")
        listed = await self._transport.call(proof)
        if listed.status != 200 or not isinstance(listed.body, list):
            raise self._refusals.of_call(proof, listed)
        service = answer.body.get("service") if isinstance(answer.body, dict) else None
        told = service if isinstance(service, dict) else {}
        return ScannerInfo(
            # Anchore does not name itself; what only speaks its API may.
            name=one_line(str(told.get("name") or self._dialect.product), limit=40),
            version=one_line(str(told.get("version") or "unknown"), limit=40),
            api=self._dialect.api,
        )

    async def _image(self, subject: Subject, question: Question) -> ImageRecord | None:
        call = _quick(self._call("image_get", self._path(subject), question))
        answer = await self._transport.call(call)
        if answer.status == 200:
            return self._record(call, answer, subject)
        complaint = complaint_of(answer)
        unknown = answer.status == 404 and complaint.by_anchore
        if unknown and fault_of(answer, complaint) is not Fault.ACCOUNT_UNKNOWN:
            return None
        raise self._refusals.of_call(call, answer)

    def _record(self, call: Call, answer: Answer, subject: Subject) -> ImageRecord:
        """The one record of the answer, if it is the one we asked for."""
        try:
            records = self._dialect.records(answer.body)
        except msgspec.ValidationError as error:
            raise self._unreadable(call, error) from error
        if not records and call.account:
            self._transport.fault(call, Fault.ACCOUNT_UNKNOWN)
            raise _misconfigured(f"Anchore has no account {call.account}: correct it in the rules")
        if len(records) != 1:
            raise self._unreadable(call, f"it holds {len(records)} images instead of one")
        record = records[0]
        if record.digest != subject.digest:
            self._transport.fault(call, Fault.OTHER_IMAGE)
            raise _untrusted(
                f"Anchore answered about {self._transport.clean(record.digest)} instead of "
                f"{subject.digest}, which may be an index: ask about its manifests"
            )
        # A check of v2 does not say whose it is: that the record does must be enough.
        if call.account and record.account != call.account:
            self._transport.fault(call, Fault.OTHER_ACCOUNT)
            raise _untrusted(
                f"Anchore answered for the account {self._transport.clean(record.account)} instead "
                f"of {call.account}: does a proxy drop the header x-anchore-account?"
            )
        if record.status not in STATES:
            self._transport.fault(call, Fault.UNKNOWN_STATE)
            raise TransientFailure(
                "Anchore's answer has the unknown analysis_status "
                f"{self._transport.clean(record.status)!r}"
            )
        return record

    def _unreadable(self, call: Call, why: object) -> TransientFailure:
        self._transport.fault(call, Fault.UNREADABLE)
        return TransientFailure(
            f"Anchore's answer to {call.operation} cannot be read: {self._transport.clean(why)}"
        )

    def _analysed(self, record: ImageRecord) -> Analysed:
        return Analysed(STATES[record.status], record.with_dockerfile)

    def _submission(
        self, subject: Subject, question: Question, dockerfile: str | None, *, force: bool
    ) -> Call:
        query = {"force": "true"} if force else {}
        call = self._call("image_add", f"{self._dialect.base}/images", question, query)
        body = self._dialect.submission(subject, dockerfile)
        return msgspec.structs.replace(call, method="POST", body=body, patient=True)

    def _call(
        self, operation: str, path: str, question: Question, query: dict[str, str] | None = None
    ) -> Call:
        return Call(
            operation=operation,
            method="GET",
            path=path,
            query=query or {},
            account=askable(question.account),
        )

    def _probe(self, operation: str, path: str) -> Call:
        call = _quick(self._call(operation, path, Question()))
        return msgspec.structs.replace(call, past_breaker=True)

    def _path(self, subject: Subject) -> str:
        return f"{self._dialect.base}/images/{quote(subject.digest, safe=':')}"


def _quick(call: Call) -> Call:
    return msgspec.structs.replace(call, seconds=LOOK)


def _misconfigured(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.MISCONFIGURED)


def _untrusted(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.UNTRUSTED)
