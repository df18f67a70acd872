"""What the Kubernetes API says of namespaces: their metadata alone.

It is asked for with `as=PartialObjectMetadata`, and answers in that form (docs/design/kube-facts.md
7). Of all else that stands there nothing is kept.
"""

from typing import Any, TypeVar

import msgspec

from shared.adapters.kubernetes.failures import Status
from shared.adapters.kubernetes.limits import MAX_CONTINUE, MAX_UID, MAX_VERSION

ONE = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Of the Accept header; events of a watch are ONE each."""


class Unreadable(Exception):
    """No answer of the form that was asked for; says what is wrong."""


class Meta(msgspec.Struct):
    """Of one namespace; of a bookmark only the version."""

    name: str = ""
    labels: dict[str, str] | None = None
    version: str = msgspec.field(name="resourceVersion", default="")
    uid: str = ""


class Partial(msgspec.Struct):
    """One namespace."""

    metadata: Meta = msgspec.field(default_factory=Meta)
    kind: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """None of them is an empty object, or none at all."""
        return self.metadata.labels or {}


class _ListMeta(msgspec.Struct):
    version: str = msgspec.field(name="resourceVersion", default="")
    more: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct):
    """Some of the namespaces, and how to ask for the others."""

    metadata: _ListMeta
    items: list[Partial]
    kind: str = ""


class _Raw(msgspec.Struct):
    type: str
    object: msgspec.Raw


class Event(msgspec.Struct, frozen=True):
    """One of a watch: `status` for an ERROR, `partial` for each other."""

    type: str
    partial: Partial
    status: Status | None = None


Form = TypeVar("Form")


def read_page(body: bytes) -> Page:
    """A page of a listing; raises Unreadable."""
    page = _decoded(body, Page)
    if page.kind != "PartialObjectMetadataList":
        raise Unreadable("something else than a list of PartialObjectMetadata")
    if not 0 < len(page.metadata.version) <= MAX_VERSION:
        raise Unreadable("a list without a usable resourceVersion")
    if len(page.metadata.more) > MAX_CONTINUE:
        raise Unreadable("a list whose continue token is too long")
    if not all(item.metadata.name for item in page.items):
        raise Unreadable("a namespace without a name")
    return page


def read_namespace(body: bytes, name: str) -> Partial:
    """The namespace of that name; raises Unreadable."""
    partial = _decoded(body, Partial)
    if partial.kind != "PartialObjectMetadata" or partial.metadata.name != name:
        raise Unreadable("something else than the namespace that was asked for")
    return partial


def read_uid(body: bytes, name: str) -> str:
    """What tells the namespace of that name from all that ever were or will be; raises
    Unreadable."""
    return read_namespace(body, name).metadata.uid[:MAX_UID]


def read_event(line: bytes) -> Event:
    """One line of a watch; raises Unreadable."""
    raw = _decoded(line, _Raw)
    if raw.type == "ERROR":
        return Event(raw.type, Partial(), _decoded(raw.object, Status))
    partial = _decoded(raw.object, Partial)
    if partial.kind != "PartialObjectMetadata":
        raise Unreadable("an event about something else than PartialObjectMetadata")
    if not 0 < len(partial.metadata.version) <= MAX_VERSION:
        raise Unreadable("an event without a usable resourceVersion")
    if raw.type not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
        raise Unreadable("an event of an unknown type")
    if raw.type != "BOOKMARK" and not partial.metadata.name:
        raise Unreadable("an event about a namespace without a name")
    return Event(raw.type, partial)


def _decoded(body: Any, form: type[Form]) -> Form:
    try:
        return msgspec.json.decode(body, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable("what is no JSON of the form that was asked for") from error
