"""The AdmissionReview of `admission.k8s.io/v1`: what a decision reads and writes of it.

Only what the request calls a Pod is read as one, at once where an API server wrote it. Any other
object stays bytes, so that one that cannot be read is still answered under the review's uid. What
the API server requires of the answer: docs/design/field-notes.md 1c.
"""

from collections.abc import Mapping
from typing import Generic, TypeAlias, TypeVar

import msgspec

from shared.domain.duplicates import DuplicateKey, refuse_duplicates, shape_of
from shared.domain.errors import InvalidReview
from shared.domain.go_order import in_go_order
from shared.domain.workload import Metadata, Pod, decode_pod

Object = TypeVar("Object", Pod, msgspec.Raw)

MAX_OBJECTS = 100_000
"""JSON objects of one review, counted by their braces. Each takes many times its bytes: 7 MiB of
empty containers took 190 MiB. The largest real ones are far below."""

MAX_UID = 256
"""Characters of the review's name; an API server's have 36."""

MAX_TEXTS = 500_000
"""Keys and texts of one review, counted by their quotes: a hundred bytes each, where a key stands
in an object that is looked at closely."""

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"


class GroupVersionKind(msgspec.Struct):
    """`request.kind`."""

    group: str = ""
    version: str = ""
    kind: str = ""


class GroupVersionResource(msgspec.Struct):
    """`request.resource`."""

    group: str = ""
    version: str = ""
    resource: str = ""


class UserInfo(msgspec.Struct):
    """Who sent the request to the API server."""

    username: str = ""


class RequestOf(msgspec.Struct, Generic[Object], rename="camel"):
    """The parts of `request` that a decision reads.

    `kind` and `resource` are those of the object as it stands here, after a conversion that
    matchPolicy Equivalent asked for; what the person sent (`requestKind`) decides nothing.
    """

    uid: str
    kind: GroupVersionKind = msgspec.field(default_factory=GroupVersionKind)
    resource: GroupVersionResource = msgspec.field(default_factory=GroupVersionResource)
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    operation: str = ""
    user_info: UserInfo = msgspec.field(default_factory=UserInfo)
    object: Object | msgspec.UnsetType = msgspec.UNSET
    old_object: msgspec.Raw = msgspec.Raw(b"null")
    dry_run: bool | None = None


class ReviewOf(msgspec.Struct, Generic[Object], rename="camel"):
    """The envelope as it comes in."""

    api_version: str = ""
    kind: str = ""
    request: RequestOf[Object] | None = None


AdmissionRequest: TypeAlias = RequestOf[Pod] | RequestOf[msgspec.Raw]


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
    audit_annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    patch: bytes = b""
    """A JSON Patch, base64 on the wire; the answer of a validating webhook must not hold one."""
    patch_type: str = ""


class _Named(msgspec.Struct):
    metadata: Metadata = msgspec.field(default_factory=Metadata)


class _Answer(msgspec.Struct, rename="camel"):
    response: AdmissionResponse
    api_version: str = API_VERSION
    kind: str = KIND


# The first reads a review of a Pod in one go; what no API server wrote, what is no Pod, and what
# cannot be read as one, is decoded again with its object as bytes.
_NULL = msgspec.Raw(b"null")
_UNREAD = (msgspec.Raw, msgspec.UnsetType)
_WRITTEN_DECODER: msgspec.json.Decoder[ReviewOf[Pod]] = msgspec.json.Decoder(
    in_go_order(ReviewOf[Pod])
)
_DECODER = msgspec.json.Decoder(ReviewOf[msgspec.Raw])
_SHAPE = shape_of(ReviewOf[msgspec.Raw])
_NAMED_DECODER = msgspec.json.Decoder(_Named)
_ENCODER = msgspec.json.Encoder()


def decode_review(body: bytes) -> AdmissionRequest:
    """The request half; raises InvalidReview with a message for the caller."""
    # The length first: a small body cannot hold so many, and counting costs it half a decoding.
    if len(body) > MAX_OBJECTS:
        _refuse_too_many(body)
    try:
        if not body.isascii():
            body.decode()
        review = _decode(body)
    except UnicodeDecodeError as error:
        raise InvalidReview(f"the body is not UTF-8: {error.reason}") from error
    except RecursionError as error:
        raise InvalidReview("the body is nested too deeply") from error
    except DuplicateKey as error:
        raise InvalidReview(f"the body is not an AdmissionReview: {error}") from error
    except msgspec.MsgspecError as error:
        raise InvalidReview(f"the body is not an AdmissionReview: {error}") from error
    if review.api_version != API_VERSION or review.kind != KIND:
        raise InvalidReview(
            f"expected {KIND} of {API_VERSION}, got {review.kind[:64]!r} of "
            f"{review.api_version[:64]!r}: set admissionReviewVersions to [v1]"
        )
    if review.request is None or not review.request.uid:
        raise InvalidReview("the AdmissionReview has no request with a uid")
    if len(review.request.uid) > MAX_UID:
        raise InvalidReview(f"the uid has more than {MAX_UID} characters")
    return review.request


def pod_of(request: AdmissionRequest) -> Pod:
    """The request's object as a Pod; raises InvalidObject."""
    found = request.object
    if isinstance(found, _UNREAD):
        return decode_pod(raw_object(request))
    return found


def raw_object(request: AdmissionRequest) -> msgspec.Raw:
    """The object's bytes, of one that was not read as a Pod."""
    return request.object if isinstance(request.object, msgspec.Raw) else _NULL


def object_name(request: AdmissionRequest) -> str:
    """The object's name, or its generateName with a `*` behind it; empty where it has neither."""
    if request.name:
        return request.name
    found = request.object
    metadata = _metadata(raw_object(request)) if isinstance(found, _UNREAD) else found.metadata
    return metadata.name or (f"{metadata.generate_name}*" if metadata.generate_name else "")


def _metadata(raw: msgspec.Raw) -> Metadata:
    try:
        return _NAMED_DECODER.decode(raw).metadata
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Metadata()


def is_pod(kind: GroupVersionKind) -> bool:
    """Whether that is the core group's Pod and nothing else of that name."""
    return kind.kind == "Pod" and not kind.group and kind.version == "v1"


def _refuse_too_many(body: bytes) -> None:
    for what, found, most in (
        ("JSON objects", body.count(b"{"), MAX_OBJECTS),
        ("keys and texts", body.count(b'"') // 2, MAX_TEXTS),
    ):
        if found > most:
            raise InvalidReview(f"the review holds more than {most} {what}", status=413)


def _decode(body: bytes) -> ReviewOf[Pod] | ReviewOf[msgspec.Raw]:
    try:
        written = _WRITTEN_DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    else:
        # Every object looks like a Pod to a decoder that skips what it does not know.
        pod = written.request is not None and is_pod(written.request.kind)
        # Behind it there is a line's end.
        if pod and body.startswith(_ENCODER.encode(written)):
            return written
    review = _DECODER.decode(body)
    refuse_duplicates(body, _SHAPE)
    return review


def encode_review(response: AdmissionResponse) -> bytes:
    """The envelope to send back."""
    return _ENCODER.encode(_Answer(response))
