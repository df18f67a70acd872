"""What came of the show: answers beside what the show's data expects, and what went on behind."""

from collections.abc import Mapping

import msgspec

from services.cli.reviews import Reviewed
from services.cli.show.images import ShowImage
from services.console.rows import VerdictRow


class Traffic(msgspec.Struct, frozen=True):
    """What went on behind the reviews: counters by what they count."""

    steps: dict[str, int] = {}
    """Steps that the queue carried, by kind and lane."""
    calls: dict[str, int] = {}
    """Calls to Anchore, by operation."""

    def since(self, before: "Traffic") -> "Traffic":
        """What was added."""
        return Traffic(_added(self.steps, before.steps), _added(self.calls, before.calls))


class Outcome(msgspec.Struct, frozen=True):
    """What became of one image's pod."""

    image: ShowImage
    first: Reviewed
    final: Reviewed
    asked: int
    """Reviews until it was decided."""
    seconds: float
    """From the first review to the decision."""
    known_before: bool
    """Whether the store knew it before the first review."""
    again: Reviewed | None = None
    """The review after the decision."""

    @property
    def surprises(self) -> tuple[str, ...]:
        """How the answers differ from what the show's data expects; empty: as expected."""
        answers = [self.final, *([self.again] if self.again else [])]
        return tuple(dict.fromkeys(text for one in answers for text in _surprises(self.image, one)))


class Warmed(msgspec.Struct, frozen=True):
    """What became of a pushed image that nobody had asked about."""

    image: ShowImage
    seconds: float
    """From its push event to its verdict; the patience where there was none."""
    first: Reviewed
    """The first review with it, after that."""

    @property
    def surprises(self) -> tuple[str, ...]:
        """How the first answer differs from what the show's data expects."""
        return tuple(_surprises(self.image, self.first))


class Result(msgspec.Struct, frozen=True):
    """The whole show."""

    outcomes: tuple[Outcome, ...]
    warmed: tuple[Warmed, ...]
    traffic: Traffic
    verdicts: tuple[VerdictRow, ...]

    @property
    def as_expected(self) -> bool:
        """Whether every answer was the expected one."""
        decided = all(not outcome.surprises and outcome.again for outcome in self.outcomes)
        return decided and not any(warmed.surprises for warmed in self.warmed)


def _surprises(image: ShowImage, reviewed: Reviewed) -> list[str]:
    answer = reviewed.answer
    found = []
    if answer.allowed is not image.allowed:
        expected = "allowed" if image.allowed else "denied"
        found.append(f"expected it {expected}")
    elif answer.code != image.code:
        found.append(f"expected code {image.code}, got {answer.code}")
    message = answer.message.casefold()
    found += [f"expected {text!r} in it" for text in image.says if text.casefold() not in message]
    return found


def _added(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    added = {name: count - before.get(name, 0) for name, count in after.items()}
    return {name: count for name, count in added.items() if count}
