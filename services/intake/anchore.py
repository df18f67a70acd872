"""What Anchore sends: notifications of Engine and of Enterprise, and events.

Three shapes, told apart by their keys (docs/design/anchore-notifications.md):

    {"userId": ..., "data": {"notification_type": ..., "notification_payload": {...}}}
    the same with "account_name", and other spellings inside it
    {"type": "user.image.analysis.completed", "resource": {...}, "details": {...}}

Whatever a body is, it is read to the end and taken: Anchore sends what is refused again, and
drops it then.
"""

import re

import msgspec

from services.intake.notices import Heard, Kind, Notice, Unheeded
from shared.domain.errors import InvalidReference
from shared.domain.reference import parse_reference
from shared.domain.verdict import Subject

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_NOTHING = msgspec.Raw(b"{}")

SUBSCRIBED = {
    "analysis_update": Kind.ANALYSIS,
    "policy_eval": Kind.POLICY,
    "vuln_update": Kind.VULNERABILITIES,
    "tag_update": Kind.TAG,
    "event_log": Kind.EVENT,
}
EVENTS = {
    "user.image.analysis.completed": Kind.ANALYSIS,
    "user.image.analysis.failed": Kind.ANALYSIS,
    "system.image_analysis.completed": Kind.ANALYSIS,
    "system.image_analysis.failed": Kind.ANALYSIS,
    "user.checks.tag.policy_evaluation.update": Kind.POLICY,
    "user.checks.tag.vulnerabilities.update": Kind.VULNERABILITIES,
}
OVER = ("analyzed", "analysis_failed")
"""States in which nothing of an analysis is to come."""


class Image(msgspec.Struct):
    """Where a digest may stand: Engine writes it in two ways, Enterprise in one."""

    imageDigest: str | None = None
    image_digest: str | None = None

    @property
    def named(self) -> str:
        """The digest, or whatever stands in its place."""
        return self.imageDigest or self.image_digest or ""


class State(Image):
    """How something stands with an image now."""

    analysis_status: str | None = None


class Failure(msgspec.Struct):
    """Why an analysis failed, for people, and of which tag."""

    tag: str | None = None


class Payload(Image):
    """What is new. Of an event these are its details."""

    subscription_key: str | None = None
    """The full tag."""
    curr_eval: State | None = None
    failure: Failure | None = msgspec.field(default=None, name="AnalysisError")

    @property
    def digest(self) -> str:
        """Of the image that it is about, or an empty text."""
        return self.named or (self.curr_eval.named if self.curr_eval else "")


class Resource(msgspec.Struct):
    """What an event is about."""

    type: str | None = None
    id: str | None = None
    account_name: str | None = None
    user_id: str | None = None


class Event(msgspec.Struct):
    """A line of Anchore's event log."""

    type: str | None = None
    resource: Resource | None = None
    details: msgspec.Raw = _NOTHING


class Data(msgspec.Struct):
    """The inside of a notification."""

    notification_type: str
    notification_payload: msgspec.Raw = _NOTHING


class Logged(msgspec.Struct):
    """The inside of one that carries an event."""

    event: Event


class Body(Event):
    """A whole body: a notification, or an event alone."""

    data: Data | None = None
    userId: str | None = None
    account_name: str | None = None


_BODY = msgspec.json.Decoder(Body)
_LOGGED = msgspec.json.Decoder(Logged)
_PAYLOAD = msgspec.json.Decoder(Payload)


def read_notice(body: bytes) -> Notice | Unheeded:
    """What a body says is new."""
    try:
        told = _BODY.decode(body)
    except _UNREADABLE:
        return Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)
    if told.data is None:
        return _event(told)
    kind = SUBSCRIBED.get(told.data.notification_type, Kind.UNKNOWN)
    try:
        return _notification(kind, told.data.notification_payload, _account(told))
    except _UNREADABLE:
        return Unheeded(kind, Heard.UNREADABLE)


def _account(told: Body) -> str:
    return told.userId or told.account_name or ""


def _notification(kind: Kind, payload: msgspec.Raw, account: str) -> Notice | Unheeded:
    """Raises what _UNREADABLE names."""
    if kind is Kind.EVENT:
        return _event(_LOGGED.decode(payload).event)
    if kind in (Kind.TAG, Kind.UNKNOWN):
        return Unheeded(kind, Heard.NO_NEWS)
    news = _PAYLOAD.decode(payload)
    state = news.curr_eval.analysis_status if news.curr_eval else None
    if kind is Kind.ANALYSIS and state not in OVER:
        return Unheeded(kind, Heard.NO_NEWS)
    return _notice(kind, account, news.subscription_key or "", news.digest)


def _event(event: Event) -> Notice | Unheeded:
    if event.type is None or event.resource is None:
        return Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)
    kind = EVENTS.get(event.type)
    if kind is None:
        return Unheeded(Kind.EVENT, Heard.NO_NEWS)
    resource = event.resource
    try:
        news = _PAYLOAD.decode(event.details)
    except _UNREADABLE:
        # A text for people, as a failure's is.
        news = Payload()
    tag, digest = resource.id or "", news.digest
    if resource.type == "image_digest":
        tag, digest = (news.failure.tag if news.failure else None) or "", tag
    return _notice(kind, resource.account_name or resource.user_id or "", tag, digest)


def _notice(kind: Kind, account: str, tag: str, digest: str) -> Notice | Unheeded:
    """About `digest`, known to Anchore by the full tag `tag`."""
    if not _DIGEST.fullmatch(digest):
        return Unheeded(kind, Heard.NO_IMAGE)
    try:
        named = parse_reference(tag)
    except InvalidReference:
        return Unheeded(kind, Heard.NO_IMAGE)
    # A text without a tag would mean `latest` in a pod, and here it means nothing.
    if named.tag is None or named.digest is not None or not tag.endswith(f":{named.tag}"):
        return Unheeded(kind, Heard.NO_IMAGE)
    return Notice(kind, account, Subject.scanned_as(named.repository, named.tag, digest))
