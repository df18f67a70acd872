"""Steps: the short pieces of work on the queue, and their message format.

Message format 1 is JSON; a message of another version or shape is a bad message
(docs/design/behaviour.md 5, docs/design/protocol.md).
"""

from enum import StrEnum

import msgspec

from shared.domain.errors import InvalidStep
from shared.domain.reference import ImageReference
from shared.domain.verdict import Question, Subject
from shared.domain.why import Why

VERSION = 1
MAX_HISTORY = 20
REQUEUED = "requeued by an operator"
"""The line of a history that parts one life of a step from the next."""


class Lane(StrEnum):
    """A queue with a concurrency of its own, so that slow work never delays quick work."""

    RESOLVE = "resolve"
    ADMISSION = "admission"
    PREWARM = "prewarm"
    CHECK = "check"
    CHECK_PREWARM = "check-prewarm"


class StepKind(StrEnum):
    """resolve: ask the registry. request: begin a scan. check: is the analysis done?
    wake: somebody says that an analysis is over, look now."""

    RESOLVE = "resolve"
    REQUEST = "request"
    CHECK = "check"
    WAKE = "wake"


KINDS = {
    Lane.RESOLVE: {StepKind.RESOLVE},
    Lane.ADMISSION: {StepKind.REQUEST},
    Lane.PREWARM: {StepKind.REQUEST},
    Lane.CHECK: {StepKind.CHECK, StepKind.WAKE},
    Lane.CHECK_PREWARM: {StepKind.CHECK, StepKind.WAKE},
}
"""What may come in each lane: who may write to it may ask for these and for nothing else
(docs/design/rabbitmq-rights.md)."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message. Times are integer milliseconds since the epoch."""

    id: str
    kind: StepKind
    lane: Lane
    reference: str
    """Normalised, as `ImageReference` writes it."""
    question: Question
    first_seen: int
    """When somebody first wanted it; survives retries and follow-ups."""
    why: Why = Why.ADMISSION
    claim: str = ""
    """The request claim to delete when the step begins."""
    announced: str = ""
    """The digest that a push event says the tag names: nothing is believed of it, but where the
    registry says otherwise it is asked once more (request)."""
    deadline: int | None = None
    """When nobody waits for the answer any more (resolve)."""
    subject: Subject | None = None
    """What is checked (check), or said to be analysed (wake)."""
    tenant: str = ""
    """The namespace whose pod wanted it first: whose budget of new analyses it counts in. Empty:
    nobody's."""
    force: bool = False
    """An operator wants it analysed anew, whatever the scanner has (request)."""
    chain: str = ""
    """The chain of checks this step belongs to; its first is the request's id."""
    hop: int = 0
    """Of a request: how often it was put off, since prewarm had no place for it."""
    began: int = 0
    """When the chain first looked at the scanner; 0: not yet."""
    running: int = 0
    """When the chain first saw the analysis run; 0: not yet."""
    freed: bool = False
    """Whether an analysis that ran for too long was begun anew: that is done once."""
    polls: int = 0
    """How often the scanner was asked how far the analysis is."""
    queued: int = 0
    """When this message was handed to the queue, or its delay is over: the queue writes it, on the
    publisher's clock. 0: an earlier version's."""
    attempt: int = 0
    """Failed tries of this step so far."""
    history: tuple[str, ...] = ()
    """Why those failed, the last ones."""
    given_up: bool = False
    """No attempt is left: whoever gets it has it die, with its whole history."""
    v: int = 0


_DECODER = msgspec.json.Decoder(Step)


def encode_step(step: Step) -> bytes:
    """The message of a step."""
    return msgspec.json.encode(msgspec.structs.replace(step, v=VERSION))


def decode_step(message: bytes) -> Step:
    """Read a message; raises InvalidStep."""
    try:
        step = _DECODER.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidStep(f"the message is not a step: {error}") from error
    if step.v != VERSION:
        raise InvalidStep(f"the message has format {step.v}, this program reads {VERSION}")
    if step.kind is StepKind.CHECK and (step.subject is None or not step.chain):
        raise InvalidStep("a check step must name its subject and its chain")
    if step.kind is StepKind.WAKE and step.subject is None:
        raise InvalidStep("a wake step must name its subject")
    return step


def failed(step: Step, reason: str) -> Step:
    """The same step for its next attempt, remembering why this one failed."""
    history = (*step.history, reason[:200])[-MAX_HISTORY:]
    return msgspec.structs.replace(step, attempt=step.attempt + 1, history=history)


def given_up(step: Step, reason: str) -> Step:
    """The same step to die, remembering why its last attempt failed."""
    return msgspec.structs.replace(failed(step, reason), given_up=True)


def anew(step: Step, *, step_id: str, now: int) -> Step:
    """The same work as a first attempt, for an operator who wants a dead letter tried again.

    It is wanted since `now` (ms), so that no age says for how long it lay dead, and its analysis
    has its whole time again. No claim is its own any more: whoever holds that one wants something
    else. Chain and hop stay: a check whose scan record is gone adopts it, one whose scan went on
    without it ends (docs/design/protocol.md).
    """
    history = (*step.history, REQUEUED)[-MAX_HISTORY:]
    return msgspec.structs.replace(
        step,
        id=step_id,
        first_seen=now,
        claim="",
        deadline=None,
        began=0,
        running=0,
        freed=False,
        polls=0,
        attempt=0,
        history=history,
        given_up=False,
    )


def request_claim(kind: StepKind, reference: ImageReference, question: Question) -> str:
    """The key of the request claim: by reference and question (protocol.md, "Keys").

    Whoever publishes such a step claims this key, so that a review and a push event of one image
    make one step.
    """
    return f"{kind}:{reference}|{question.label}"
