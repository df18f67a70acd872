"""What differs between Anchore's two APIs: paths, names, and the shapes of bodies."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from shared.adapters.anchore.records import ImageRecord
from shared.domain.verdict import Evaluation, Subject


class ReadEvaluation(Protocol):
    """Reads the answer to a check."""

    def __call__(self, body: Any, *, account: str, asked_at: int) -> Evaluation:
        """What `body` says. `asked_at`: when it was asked for, in milliseconds.

        Raises UnreadableEvaluation.
        """


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two APIs."""

    api: str
    """`v1`, `v2`."""
    base: str
    """What every path begins with."""
    version: str
    """The path of the version."""
    product: str
    """What a server is called that does not name itself."""
    policy: str
    """The parameter of a check that names the policy."""
    submission: Callable[[Subject, str | None], Any]
    """The body of a submission of an image with its Dockerfile (base64)."""
    records: Callable[[Any], list[ImageRecord]]
    """The images in an answer. Raises msgspec.ValidationError."""
    evaluation: ReadEvaluation
    lag: float = 0.0
    """Seconds after a submission in which a 404 may mean that the record is not visible yet."""
