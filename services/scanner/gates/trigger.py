"""What a trigger is: parameters with their checks, and a function that looks at an image."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date

import msgspec

from services.scanner.matching.finding import Matches
from services.scanner.records import ImageFacts
from shared.domain.errors import ImagegateError

Params = Mapping[str, str]


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
    today: date
    all_packages: bool
    """Whether the policy asks about packages beyond the distribution's own."""


class Param(msgspec.Struct, frozen=True):
    """A parameter: required or not, and what is wrong with a value (empty: nothing)."""

    required: bool = False
    check: Callable[[str], str] = lambda value: ""


class Trigger(msgspec.Struct, frozen=True):
    """What a rule may ask for."""

    fire: Callable[[Sight, Params], Iterator[Hit]]
    params: Mapping[str, Param] = {}
    check: Callable[[Params], str] = lambda params: ""
    """What is wrong with the parameters together."""


def one_of(*values: str) -> Callable[[str], str]:
    """A parameter's check: one of these words."""

    def check(value: str) -> str:
        return "" if value in values else f"must be one of {', '.join(values)}"

    return check


def whole_number(value: str) -> str:
    """A parameter's check: a number of at most six digits."""
    return "" if re.fullmatch(r"[0-9]{1,6}", value.strip()) else "must be a whole number"


BOOLEAN = Param(check=one_of("true", "false"))
LIST_TYPE = Param(required=True, check=one_of("whitelist", "blacklist"))
