"""The AdmissionReview of `admission.k8s.io/v1`: what a decision reads and writes of it.

Decoding goes in two moves: first the envelope, so that every later failure can still be
answered under the review's uid; then the object (`shared.domain.workload`). What the API
server requires of the answer: docs/design/field-notes.md 1c.
"""

import msgspec

from shared.domain.errors import InvalidReview

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"


class GroupVersionKind(msgspec.Struct):
    """`request.kind`."""

    group: str = ""
    version: str = ""
    kind: str = ""


class UserInfo(msgspec.Struct):
    """Who sent the request to the API server."""

    username: str = ""


class AdmissionRequest(msgspec.Struct, rename="camel"):
    """The parts of `request` that a decision reads; objects stay bytes."""

    uid: str
    kind: GroupVersionKind = msgspec.field(default_factory=GroupVersionKind)
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    operation: str = ""
    user_info: UserInfo = msgspec.field(default_factory=UserInfo)
    object: msgspec.Raw = msgspec.Raw(b"null")
    old_object: msgspec.Raw = msgspec.Raw(b"null")
    dry_run: bool | None = None


class AdmissionReview(msgspec.Struct, rename="camel"):
    """The envelope as it comes in."""

    api_version: str = ""
    kind: str = ""
    request: AdmissionRequest | None = None


class StatusDetails(msgspec.Struct, rename="camel", omit_defaults=True):
    """`status.details`."""

    retry_after_seconds: int = 0


class Status(msgspec.Struct, omit_defaults=True):
    """`response.status`: what the caller of the API server sees of a denial."""

    code: int
    message: str = ""
    reason: str = ""
    details: StatusDetails | None = None


class AdmissionResponse(msgspec.Struct, rename="camel", omit_defaults=True):
    """The other half of the review."""

    uid: str
    allowed: bool
    status: Status | None = None
    warnings: tuple[str, ...] = ()
    audit_annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Answer(msgspec.Struct, rename="camel"):
    response: AdmissionResponse
    api_version: str = API_VERSION
    kind: str = KIND


_DECODER = msgspec.json.Decoder(AdmissionReview)
_ENCODER = msgspec.json.Encoder()


def decode_review(body: bytes) -> AdmissionRequest:
    """The request half; raises InvalidReview with a message for the caller."""
    try:
        review = _DECODER.decode(body)
    except UnicodeDecodeError as error:
        raise InvalidReview(f"the body is not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise InvalidReview("the body is nested too deeply") from error
    except msgspec.MsgspecError as error:
        raise InvalidReview(f"the body is not an AdmissionReview: {error}") from error
    if review.api_version != API_VERSION or review.kind != KIND:
        raise InvalidReview(
            f"expected {KIND} of {API_VERSION}, got {review.kind[:64]!r} of "
            f"{review.api_version[:64]!r}: set admissionReviewVersions to [v1]"
        )
    if review.request is None or not review.request.uid:
        raise InvalidReview("the AdmissionReview has no request with a uid")
    return review.request


def encode_review(response: AdmissionResponse) -> bytes:
    """The envelope to send back."""
    return _ENCODER.encode(_Answer(response))
