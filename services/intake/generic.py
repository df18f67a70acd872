"""The event that a CI pipeline sends when it has pushed: a person wrote the sender.

    {"reference": "registry.corp/team/app:1.4.2"}
    {"repository": "registry.corp/team/app", "tag": "1.4.2", "digest": "sha256:..."}
    {"images": [{...}, {...}], "id": "pipeline 4711"}

What is wrong is said, with where it stands, and nothing of the body is taken.
"""

import msgspec

from services.intake.pushes import (
    Found,
    Ignored,
    InvalidEvent,
    Push,
    about_another,
    event_key,
)
from shared.domain.errors import InvalidReference
from shared.domain.reference import ImageReference, parse_reference

MAX_IMAGES = 100


class Image(msgspec.Struct, forbid_unknown_fields=True):
    """One image: a whole reference, or its parts."""

    reference: str = ""
    repository: str = ""
    tag: str = ""
    digest: str = ""


class Event(Image, forbid_unknown_fields=True):
    """One image, or a list of them."""

    images: list[Image] | None = None
    id: str = ""
    """Whatever tells this event from another about the same images: a pipeline's number."""


_EVENT = msgspec.json.Decoder(Event)


def read_event(body: bytes) -> Found:
    """The images of an event; raises InvalidEvent."""
    try:
        event = _EVENT.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent(f"the body is not an event: {error}") from error
    key = event_key(body)
    return Found.of([_read(image, where, key) for where, image in _images(event)])


def _images(event: Event) -> list[tuple[str, Image]]:
    """Each image, and what to call it in a message."""
    if event.images is None:
        return [("", event)]
    if event.reference or event.repository or event.tag or event.digest:
        raise InvalidEvent("name one image, or a list in images, not both")
    if not 1 <= len(event.images) <= MAX_IMAGES:
        raise InvalidEvent(f"images must name 1 to {MAX_IMAGES}, not {len(event.images)}")
    return [(f"images[{number}]: ", image) for number, image in enumerate(event.images)]


def _read(image: Image, where: str, key: bytes) -> Push | Ignored:
    try:
        named = _reference(image)
    except InvalidReference as error:
        raise InvalidEvent(f"{where}{error}") from error
    if named.tag is None:
        return Push(named, event=event_key(key, str(named)))
    if about_another(named.tag):
        return Ignored.SIGNATURE
    # The tag is what pods name; the digest says what it should name by now.
    tagged = msgspec.structs.replace(named, digest=None)
    return Push(tagged, announced=named.digest or "", event=event_key(key, str(tagged)))


def _reference(image: Image) -> ImageReference:
    """Normalised as a pod's would be; raises InvalidReference."""
    if image.reference:
        if image.repository or image.tag or image.digest:
            raise InvalidReference("give a reference, or a repository with tag or digest, not both")
        return parse_reference(image.reference)
    if not image.repository:
        raise InvalidReference("name the image: a reference, or a repository with tag or digest")
    if not (image.tag or image.digest):
        raise InvalidReference("the repository needs a tag, a digest or both")
    tag = f":{image.tag}" if image.tag else ""
    digest = f"@{image.digest}" if image.digest else ""
    named = parse_reference(f"{image.repository}{tag}{digest}")
    # A repository that brings a tag along, or a tag a digest, is a mistake of the sender's.
    if (named.tag or "", named.digest or "") != (image.tag, image.digest):
        raise InvalidReference("the repository and the tag must not hold a tag or digest of theirs")
    return named
