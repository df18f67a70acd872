"""Why a bundle is refused."""

from typing import Literal

import msgspec

from shared.domain.errors import ImagegateError


class Problem(msgspec.Struct, frozen=True):
    """One reason, in Engine's words: an entry of `validation_details`."""

    problem_type: str
    details: str
    severity: Literal["error"] = "error"


class InvalidBundle(ImagegateError):
    """A bundle that is refused, with every reason found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.details for problem in problems))
        self.problems = problems


class NoBundle(ImagegateError):
    """JSON that is not even shaped as a bundle; the message says which key is missing."""
