"""The envelope of CNCF Distribution (docker registry, GitLab, Zot): `{"events": [...]}`.

The fields are those of notifications/event.go; what of them real registries send is
docs/design/push-events.md. Whatever the body is, it is read to the end: an answer that is no 2xx
makes the registry send the same again, and everything behind it waits.
"""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from services.intake.pushes import (
    Found,
    Ignored,
    Push,
    about_another,
    digest_or_nothing,
    event_key,
)
from shared.domain.errors import InvalidReference
from shared.domain.reference import ImageReference, parse_reference

MAX_EVENTS = 2_000
"""Looked at in one envelope; a MiB of real events are fewer."""

INDEXES = (
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
IMAGES = (
    *INDEXES,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
CONFIGS = (
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.oci.image.config.v1+json",
)
BLOBS = (
    *CONFIGS,
    # Distribution says so of every blob, whatever it is.
    "application/octet-stream",
    "application/vnd.docker.container.image.rootfs.diff+x-gtar",
)
LAYERS = ("application/vnd.docker.image.rootfs.", "application/vnd.oci.image.layer.")


class Descriptor(msgspec.Struct, rename="camel"):
    """What a manifest says of one thing that belongs to it."""

    media_type: str = ""


class Target(Descriptor, rename="camel"):
    """What was pushed."""

    digest: str = ""
    repository: str = ""
    tag: str = ""
    artifact_type: str = ""
    references: list[Descriptor] | None = None
    """Only with `includereferences`: config and layers, or an index's manifests."""


class Request(msgspec.Struct):
    """The call to the registry that made the event."""

    host: str = ""


class Event(msgspec.Struct):
    """One event."""

    id: str = ""
    action: str = ""
    target: Target = msgspec.field(default_factory=Target)
    request: Request = msgspec.field(default_factory=Request)


class Envelope(msgspec.Struct):
    """Events that need not have to do with each other; one that is broken spoils no other."""

    events: list[msgspec.Raw]


Shape = TypeVar("Shape", Envelope, Event)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ENVELOPE = msgspec.json.Decoder(Envelope)
_EVENT = msgspec.json.Decoder(Event)


def read_envelope(body: bytes, *, registry: str = "") -> Found:
    """The images of an envelope. `registry`: the host as pods write it, where it is another
    than the one that pushes go to."""
    try:
        events = _ENVELOPE.decode(body).events
    except _UNREADABLE:
        return Found(ignored=(Ignored.UNREADABLE,))
    read = [_read(raw, registry) for raw in events[:MAX_EVENTS]]
    return Found.of(read + [Ignored.TOO_MANY] * max(0, len(events) - MAX_EVENTS))


def _read(raw: msgspec.Raw, registry: str) -> Push | Ignored:
    try:
        event = _EVENT.decode(raw)
    except _UNREADABLE:
        return Ignored.UNREADABLE
    ignored = _why_not(event)
    if ignored is not None:
        return ignored
    reference = _reference(registry or event.request.host, event.target)
    if reference is None:
        return Ignored.NO_REFERENCE
    digest = digest_or_nothing(event.target.digest)
    key = event_key(event.id, str(reference), digest) if event.id else b""
    return Push(reference, announced=digest, event=key)


def _why_not(event: Event) -> Ignored | None:
    """Why the event is about no image that a pod may want to run."""
    target = event.target
    if event.action != "push":
        return Ignored.ACTION
    if target.media_type not in IMAGES:
        blob = target.media_type in BLOBS or target.media_type.startswith(LAYERS)
        return Ignored.BLOB if blob else Ignored.MEDIA_TYPE
    if not target.tag:
        return Ignored.UNTAGGED
    if about_another(target.tag):
        return Ignored.SIGNATURE
    if target.artifact_type and target.artifact_type not in CONFIGS:
        return Ignored.ARTIFACT
    if target.media_type not in INDEXES and not _runnable(target.references or ()):
        return Ignored.ARTIFACT
    return None


def _reference(host: str, target: Target) -> ImageReference | None:
    """`host/repository:tag`, each part exactly what it is said to be, or None.

    Without a dot or a port a host is a path of Docker Hub to whoever writes a pod; a tag may
    hold a digest.
    """
    if not host.isascii():  # the Kelvin sign's lower case is a k
        return None
    wanted = ImageReference(host.lower(), target.repository, target.tag)
    try:
        parsed = parse_reference(str(wanted))
    except InvalidReference:
        return None
    return parsed if parsed == wanted else None


def _runnable(references: Sequence[Descriptor]) -> bool:
    """Whether what a manifest refers to has an image's config; nothing told counts as one."""
    return not references or any(each.media_type in CONFIGS for each in references)
