"""Anchore Engine's v1 API as a Scanner (docs/design/anchore-engine.md)."""

import asyncio
import base64
import functools
from urllib.parse import quote

import msgspec

from shared.adapters.anchore.answers import Answer, complaint_of
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.refusals import NEEDS_FORCE, NOTHING_TO_FORCE, Refusals
from shared.adapters.anchore.transport import LARGE, AnchoreTransport
from shared.adapters.anchore.v1_evaluation import UnreadableEvaluation, read_evaluation
from shared.adapters.anchore.v1_records import STATES, ImageRecord, analysis_reason, failed_analyses
from shared.adapters.anchore.wording import one_line
from shared.domain.errors import ErrorKind, PermanentFailure, StepFailure, TransientFailure
from shared.domain.verdict import Evaluation, Question, Subject
from shared.ports.clock import Clock
from shared.ports.scanner import Analysed, Analysis, ScannerInfo

MAX_REASON = 400
EVENTS = 20


class AnchoreV1:
    """`shared.ports.scanner.Scanner` over Engine's v1 API."""

    def __init__(self, *, transport: AnchoreTransport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._refusals = Refusals(transport)

    async def analysis(self, subject: Subject, question: Question) -> Analysed:
        """The state of `subject.digest` in `question.account`.

        UNKNOWN also for an image that Engine has under other tags only: a submit adds the tag,
        analyses nothing anew, and answers with the state.
        """
        record = await self._image(subject, question)
        if record is None:
            return Analysed(Analysis.UNKNOWN)
        analysed = self._analysed(record)
        return analysed if record.named(subject.scan_tag) else Analysed(Analysis.UNKNOWN)

    async def submit(
        self,
        subject: Subject,
        question: Question,
        *,
        dockerfile: bytes | None = None,
        force: bool = False,
    ) -> Analysed:
        """Have it analysed. A Dockerfile for an image that Engine has forces a new analysis,
        unless it is the one that Engine was given before."""
        call = _submission(subject, question, dockerfile, force=force)
        answer = await self._transport.call(call)
        said = complaint_of(answer).message.lower() if answer.status == 400 else ""
        if NEEDS_FORCE in said and dockerfile and not force:
            record = await self._image(subject, question)
            if record and record.was_given(_base64(dockerfile)):
                return self._analysed(record)
            call = _submission(subject, question, dockerfile, force=True)
            answer = await self._transport.call(call)
        elif NOTHING_TO_FORCE in said and force:
            call = _submission(subject, question, dockerfile, force=False)
            answer = await self._transport.call(call)
        if answer.status != 200:
            raise self._refusals.of_submit(call, answer, subject)
        return self._analysed(self._record(call, answer, subject))

    async def evaluate(self, subject: Subject, question: Question) -> Evaluation:
        """What the policy says of `subject.digest` under `subject.scan_tag`.

        That the tag is the digest's is the caller's business: Engine takes it on our word.
        """
        query = {"tag": subject.scan_tag, "detail": "true"}
        if question.policy:
            query["policyId"] = question.policy
        call = _call("image_check", f"{_path(subject)}/check", question, query=query)
        asked_at = self._clock.now()
        answer = await self._transport.call(call)
        if answer.status != 200:
            raise self._refusals.of_check(call, answer, question)
        read = functools.partial(
            read_evaluation, answer.body, account=question.account, asked_at=asked_at
        )
        try:
            return await asyncio.to_thread(read) if answer.size > LARGE else read()
        except UnreadableEvaluation as error:
            raise TransientFailure(
                f"Anchore's answer to image_check cannot be read: {error}"
            ) from error

    async def failure_reason(self, subject: Subject, question: Question) -> str:
        """The newest error event of the tag; empty where there is none or it cannot be had."""
        query = {
            "resource_type": "image_tag",
            "resource_id": subject.scan_tag,
            "level": "error",
            "limit": str(EVENTS),
        }
        try:
            answer = await self._transport.call(_call("events", "/v1/events", question, query))
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
        version = _probe("version", "/version")
        answer = await self._transport.call(version)
        if answer.status != 200:
            raise self._refusals.of_call(version, answer)
        proof = _probe("policies", "/v1/policies")
        listed = await self._transport.call(proof)
        if listed.status != 200 or not isinstance(listed.body, list):
            raise self._refusals.of_call(proof, listed)
        service = answer.body.get("service") if isinstance(answer.body, dict) else None
        told = service if isinstance(service, dict) else {}
        return ScannerInfo(
            # Engine does not name itself; what only speaks its API may.
            name=one_line(str(told.get("name") or "Anchore Engine"), limit=40),
            version=one_line(str(told.get("version") or "unknown"), limit=40),
            api="v1",
        )

    async def _image(self, subject: Subject, question: Question) -> ImageRecord | None:
        call = _call("image_get", _path(subject), question)
        answer = await self._transport.call(call)
        if answer.status == 404 and complaint_of(answer).by_anchore:
            return None
        if answer.status != 200:
            raise self._refusals.of_call(call, answer)
        return self._record(call, answer, subject)

    def _record(self, call: Call, answer: Answer, subject: Subject) -> ImageRecord:
        """The one record of the answer, if it is the one we asked for."""
        try:
            records = msgspec.convert(answer.body, list[ImageRecord])
        except msgspec.ValidationError as error:
            raise TransientFailure(
                f"Anchore's answer to {call.operation} cannot be read: "
                f"{self._transport.clean(error)}"
            ) from error
        if not records and call.account:
            raise _misconfigured(f"Anchore has no account {call.account}: correct it in the rules")
        if len(records) != 1:
            raise TransientFailure(
                f"Anchore's answer to {call.operation} holds {len(records)} images instead of one"
            )
        record = records[0]
        if record.imageDigest != subject.digest:
            raise _untrusted(
                f"Anchore answered about {self._transport.clean(record.imageDigest)} instead of "
                f"{subject.digest}, which may be an index: ask about its manifests"
            )
        if call.account and record.userId not in (None, call.account):
            raise _untrusted(
                f"Anchore answered for the account {self._transport.clean(record.userId)} instead "
                f"of {call.account}: does a proxy drop the header x-anchore-account?"
            )
        return record

    def _analysed(self, record: ImageRecord) -> Analysed:
        try:
            return Analysed(STATES[record.analysis_status], record.with_dockerfile)
        except KeyError as error:
            raise TransientFailure(
                "Anchore's answer has the unknown analysis_status "
                f"{self._transport.clean(record.analysis_status)!r}"
            ) from error


def _call(
    operation: str, path: str, question: Question, query: dict[str, str] | None = None
) -> Call:
    if question.account and not (question.account.isascii() and question.account.isprintable()):
        raise _refused(
            f"the account {one_line(question.account)!r} cannot be asked for: Anchore's account "
            "names are plain ASCII; correct it in the rules"
        )
    return Call(
        operation=operation, method="GET", path=path, query=query or {}, account=question.account
    )


def _probe(operation: str, path: str) -> Call:
    return msgspec.structs.replace(_call(operation, path, Question()), past_breaker=True)


def _submission(
    subject: Subject, question: Question, dockerfile: bytes | None, *, force: bool
) -> Call:
    body = {"tag": subject.scan_tag, "digest": subject.digest}
    if dockerfile:
        body["dockerfile"] = _base64(dockerfile)
    query = {"force": "true"} if force else {}
    asked = _call("image_add", "/v1/images", question, query)
    return msgspec.structs.replace(asked, method="POST", body=body, patient=True)


def _path(subject: Subject) -> str:
    return f"/v1/images/{quote(subject.digest, safe=':')}"


def _base64(dockerfile: bytes) -> str:
    return base64.b64encode(dockerfile).decode("ascii")


def _refused(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.REFUSED)


def _misconfigured(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.MISCONFIGURED)


def _untrusted(text: str) -> PermanentFailure:
    return PermanentFailure(text, kind=ErrorKind.UNTRUSTED)
