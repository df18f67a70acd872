"""What a trigger is: parameters with their checks, and a function that looks at an image."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from services.scanner.gates.params import Param, Values
from services.scanner.matching.finding import Matches
from services.scanner.records import ImageFacts
from shared.domain.errors import ImagegateError


class CannotEvaluate(ImagegateError):
    """A rule that cannot be applied to this image: the evaluation counts as failed."""


class Hit(msgspec.Struct, frozen=True):
    """A trigger that fired."""

    message: str
    trigger_id: str = ""
    """Empty: a hash of gate, trigger and `identity`."""
    identity: str = ""
    """Empty: the message."""


class Sight(msgspec.Struct, frozen=True):
    """What a trigger may look at."""

    facts: ImageFacts
    matches: Matches
    now: int
    """ms since the epoch."""
    asked: tuple[Values, ...] = ()
    """What the policy's rules about vulnerable packages ask for."""
    all_packages: bool = False
    """Whether the policy asks about packages beyond the distribution's own."""


class Trigger(msgspec.Struct, frozen=True):
    """What a rule may ask for."""

    fire: Callable[[Sight, Values], Iterator[Hit]]
    params: Mapping[str, Param] = {}
    check: Callable[[Values], str] = lambda values: ""
    """What is wrong with the parameters together; empty: nothing."""
