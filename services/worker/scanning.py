"""A manifest's scan as one step has it in hand, and the steps that follow from it."""

import uuid

import msgspec

from shared.domain.step import Lane, Step, StepKind
from shared.domain.verdict import Subject, scan_key

LATER = ".later."


class Scanning(msgspec.Struct, frozen=True):
    """Whose scan record is held: the chain's, at this hop."""

    step: Step
    subject: Subject
    chain: str
    hop: int
    lane: Lane
    """In which lane of checks it goes on: that of whoever wants it most urgently."""
    adopted: bool = False
    """There was no record."""

    @property
    def key(self) -> str:
        """Of the scan record."""
        return scan_key(self.subject, self.step.question)

    def after(self, **changes: object) -> "Scanning":
        """The same with a step that has changed."""
        return msgspec.structs.replace(self, step=msgspec.structs.replace(self.step, **changes))

    def next_check(self, *, looked: bool = True) -> Step:
        """The chain's next step. Where nothing was looked at, the tries of this one are its own."""
        return msgspec.structs.replace(
            self.step,
            id=f"{self.chain}.{self.subject.digest[7:19]}.{self.hop + 1}",
            kind=StepKind.CHECK,
            lane=self.lane,
            subject=self.subject,
            chain=self.chain,
            hop=self.hop + 1,
            claim="",
            announced="",
            force=False,
            attempt=0 if looked else self.step.attempt,
            history=() if looked else self.step.history,
        )

    def request(self) -> Step:
        """A request of its image, with a name of its own: nothing of the chain is left in it."""
        return msgspec.structs.replace(
            self.step,
            id=uuid.uuid4().hex,
            kind=StepKind.REQUEST,
            lane=Lane.ADMISSION if self.lane is Lane.CHECK else Lane.PREWARM,
            subject=None,
            force=False,
            chain="",
            hop=0,
            began=0,
            running=0,
            freed=False,
            polls=0,
            attempt=0,
            history=(),
        )


def put_off(request: Step) -> Step:
    """The same request for later. What it claimed was begun: a claim of that key is another's."""
    times = request.hop + 1
    name = f"{first_id(request)}{LATER}{times}"
    return msgspec.structs.replace(request, id=name, hop=times, claim="")


def first_id(request: Step) -> str:
    """What the request was called before it was put off."""
    return request.id.partition(LATER)[0]


def check_lane(step: Step) -> Lane:
    """The lane of the checks that follow `step`, as urgent as it is."""
    urgent = step.lane in (Lane.ADMISSION, Lane.CHECK)
    return Lane.CHECK if urgent else Lane.CHECK_PREWARM
