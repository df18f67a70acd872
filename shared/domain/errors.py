"""The error tree. Adapters map their library's errors to these, `raise ... from error`.

A failure of a step has one class (docs/design/behaviour.md 5): `PermanentFailure` (a typed
error verdict), `TransientFailure` (the delay ladder), `InvalidStep` (the dead letters).
"""

from enum import StrEnum


class ErrorKind(StrEnum):
    """Why an image could not be judged; the `kind` of an error verdict (behaviour.md 2)."""

    NOT_FOUND = "not_found"
    UNAUTHORISED = "unauthorised"
    ANALYSIS_FAILED = "analysis_failed"
    REFUSED = "refused"
    MISCONFIGURED = "misconfigured"
    """Nothing of the image's: our credentials or rights at the scanner, or an account or policy
    that the rules name and the scanner does not have."""
    UNTRUSTED = "untrusted"
    TRANSIENT = "transient"


class ImagegateError(Exception):
    """Root of every error imagegate raises on purpose."""


class InvalidReference(ImagegateError):
    """A text that is not an image reference; the message says what is wrong with it."""


class InvalidReview(ImagegateError):
    """A body that is not an AdmissionReview v1. `status` is the HTTP status to answer with."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class InvalidObject(ImagegateError):
    """A review's object that cannot be read as the kind it claims to be: denied."""


class InvalidRules(ImagegateError):
    """A rules file that cannot be used; the message names file, line and key."""


class InvalidPolicy(ImagegateError):
    """A policy document that is none, or that the other form of Anchore's API cannot say; the
    message names the place in it and what to do."""


class InvalidException(ImagegateError):
    """An exception that must not hold. `field` of it is wrong, `what` says how and what to do."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(f"{field}: {what}")
        self.field = field
        self.what = what


class InvalidStep(ImagegateError):
    """A queue message that cannot be read: dead-lettered, never looped."""


class InvalidSettings(ImagegateError):
    """A setting that is missing or wrong; the message names it and what to do."""


class InvalidSignature(ImagegateError):
    """A stored record that nobody we trust signed, or signed for something else: unknown."""


class StoreError(ImagegateError):
    """The verdict store could not do what was asked."""


class StoreUnreachable(StoreError):
    """Down, hung, loading or failing over (docs/design/broker-facts.md 8.12)."""


class StoreMisconfigured(StoreUnreachable):
    """Our password or rights are refused: as unreachable, but said apart."""


class StoreRefused(StoreError):
    """Reads go on, this write does not: read-only or out of memory."""


class ClusterUnreachable(ImagegateError):
    """The Kubernetes API gave no answer, or none that can be read."""


class ClusterMisconfigured(ClusterUnreachable):
    """Our token, rights or certificates are refused: as unreachable, but said apart."""


class ClusterRefused(ClusterMisconfigured):
    """One thing is refused, where or as it was asked: a right is missing, or a policy of the
    cluster is in the way. Another may be done."""


class OwnerGone(ImagegateError):
    """There is no such object in the cluster, or by now another one of its name."""


class QueueError(ImagegateError):
    """A step could not be handed to the broker."""


class QueueFull(QueueError):
    """The lane is at its cap: the step is certainly not queued."""


class QueueUnavailable(QueueError):
    """No route, no connection, or the broker blocks us: the step is certainly not queued."""


class QueueUnconfirmed(QueueError):
    """No confirm in time: the step may still arrive."""


class StepFailure(ImagegateError):
    """A step that did not do its work. `kind` says why in the words of an error verdict."""

    kind = ErrorKind.TRANSIENT


class TransientFailure(StepFailure):
    """Worth another attempt. `retry_after` is what the other side asked for, in seconds."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TakenForDown(TransientFailure):
    """Not asked at all: a circuit breaker takes the server for down until `retry_after` is over.

    No fault of the step's, and every step's: it costs no attempt.
    """


class PermanentFailure(StepFailure):
    """Another attempt now would end the same: becomes an error verdict of `kind`."""

    def __init__(self, message: str, *, kind: ErrorKind) -> None:
        super().__init__(message)
        self.kind = kind


class NotAnImage(PermanentFailure):
    """What is there is no container image but a chart, a signature or another artifact.

    No runtime starts it, so that nobody need judge it before somebody asks.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, kind=ErrorKind.REFUSED)
