"""What an emergency lets pass, and how it says so.

It stands in for whatever may be broken: a rule of mode enforce holds as one of mode audit, and our
own failure denies nobody. What needs nothing but the rules to be known stays refused: what a rule
of mode deny names, and what is no image's name or cannot be read.
"""

from collections.abc import Iterable

from services.webhook.images import STRICT
from services.webhook.lines import FIRST_LINE, shown
from services.webhook.note import Note
from services.webhook.wording import moment
from shared.domain.decision import Decision, State
from shared.domain.emergency import Emergency
from shared.domain.rules import Mode
from shared.ports.decisions import MAX_TEXT
from shared.runtime.logging import MAX_TEXT as MAX_FIELD

ANNOTATION = "emergency"

_BETWEEN = ", "


def is_let_pass(note: Note, emergency: Emergency | None) -> bool:
    """Whether the object passes in spite of this image, since there is an emergency."""
    rule = note.rule
    return (
        emergency is not None
        and rule.mode is Mode.ENFORCE
        and rule is not STRICT
        and note.state is not State.INVALID
    )


def warning_of(emergency: Emergency) -> str:
    """Stands before what would be refused without it."""
    declared = f"emergency declared by {shown(emergency.owner, 40)}"
    until = f"until {moment(emergency.until)} what would be refused passes here"
    return shown(f"{declared}: {until}. {emergency.reason}", FIRST_LINE)


def annotation_of(emergency: Emergency) -> str:
    """For the API server's audit log."""
    owner = shown(emergency.owner, 40)
    return shown(f"until {moment(emergency.until)} by {owner}: {emergency.reason}", FIRST_LINE)


def reason_of(line: str) -> str:
    """What the log and the decisions tell of the image that would be refused."""
    return f"let pass in an emergency: {line}"


def named(images: Iterable[str]) -> list[str]:
    """All of them, whole, as texts that the log cuts nowhere: one at least."""
    texts = [""]
    for image in images:
        name = shown(image, MAX_TEXT)
        longer = f"{texts[-1]}{_BETWEEN}{name}" if texts[-1] else name
        if len(longer) <= MAX_FIELD:
            texts[-1] = longer
        else:
            texts.append(name)
    return texts


def in_spite_of(failure: Decision, emergency: Emergency, images: tuple[str, ...] = ()) -> Decision:
    """What is answered where our own failure would deny; `images` as far as they can be told."""
    return Decision(
        allowed=True,
        state=failure.state,
        warnings=(warning_of(emergency), failure.message),
        audit={**failure.audit, ANNOTATION: annotation_of(emergency)},
        reason=reason_of(failure.reason),
        images=images,
        let_pass=True,
    )
