"""Where images stand in a pod: every container list and every image volume.

The structs hold what a decision needs of `v1.Pod`; the rest of the object is skipped while
decoding. A field of another type than Kubernetes gives it makes the object unreadable
(`InvalidObject`): an object we cannot read is denied, never passed over.
"""

from collections.abc import Mapping

import msgspec

from shared.domain.duplicates import DuplicateKey, Shape, refuse_duplicates, shape_of
from shared.domain.errors import InvalidObject

MAX_IMAGE_PLACES = 512

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, DuplicateKey)
"""What reading an object raises."""


class Container(msgspec.Struct, rename="camel"):
    """One entry of containers, initContainers or ephemeralContainers."""

    name: str = ""
    image: str | None = None
    image_pull_policy: str | None = None


class ImageVolumeSource(msgspec.Struct, rename="camel"):
    """`volumes[].image`."""

    reference: str | None = None
    pull_policy: str | None = None


class Volume(msgspec.Struct):
    """One entry of volumes."""

    name: str = ""
    image: ImageVolumeSource | None = None


class PodSpec(msgspec.Struct, rename="camel"):
    """The parts of a pod's spec in which an image can stand."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None


_NULL = msgspec.Raw(b"null")


class Metadata(msgspec.Struct, rename="camel"):
    """How an object is called, what its author says of it, and whose it is.

    Nothing laxer is decided by any of it. Labels, annotations and owners stay bytes until somebody
    asks (`labels_and_annotations`, `shared.domain.owner`): most rules never do.
    """

    name: str = ""
    generate_name: str = ""
    labels: msgspec.Raw = _NULL
    annotations: msgspec.Raw = _NULL
    owner_references: msgspec.Raw = _NULL


class Pod(msgspec.Struct):
    """The parts of a `v1.Pod`, or of a pod template, that a decision reads."""

    metadata: Metadata = msgspec.field(default_factory=Metadata)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)


class ImagePlace(msgspec.Struct, frozen=True):
    """One place of an image: `where` is the list's name, `at` the place in it (from 0), `name`
    the container's or volume's."""

    where: str
    at: int
    name: str
    image: str
    pull_policy: str | None = None
    under: str = ""
    """Where the pod stands in its object, as a JSON Pointer (RFC 6901): a workload's template."""

    @property
    def pointer(self) -> str:
        """Where the image stands in the object, as a JSON Pointer."""
        field = "image/reference" if self.where == "volumes" else "image"
        return f"{self.under}/spec/{self.where}/{self.at}/{field}"


_DECODER = msgspec.json.Decoder(Pod)
_SHAPE = shape_of(Pod)
_WORDS_DECODER = msgspec.json.Decoder(dict[str, str] | None)
_WORDS_SHAPE = Shape()


def decode_pod(raw: bytes | msgspec.Raw) -> Pod:
    """Read a Pod; raises InvalidObject."""
    try:
        pod = _DECODER.decode(raw)
        refuse_duplicates(raw, _SHAPE)
    except UNREADABLE as error:
        raise InvalidObject(f"the object cannot be read as a Pod: {error}") from error
    return pod


def image_places(pod: Pod, *, under: str = "") -> list[ImagePlace]:
    """Every image of the pod, in the order of the lists; raises InvalidObject above the cap.

    `under`: where the pod stands in its object, as in `ImagePlace`.
    A container without an image is a place with an empty reference, so that it is refused by
    name and not passed over.
    """
    places = places_of(pod.spec, under)
    if len(places) > MAX_IMAGE_PLACES:
        raise InvalidObject(f"the pod names more than {MAX_IMAGE_PLACES} images")
    return places


def labels_and_annotations(metadata: Metadata) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What the author wrote, null and nothing being no words; raises InvalidObject for anything
    but texts, and for a key that stands twice."""
    return _words(metadata.labels, "labels"), _words(metadata.annotations, "annotations")


def changed_places(new: list[ImagePlace], old: list[ImagePlace]) -> list[ImagePlace]:
    """What an UPDATE changed: the places that do not hold the same reference in `old`.

    Compared by list and name (behaviour.md 1), so that a reordered list changes nothing. A
    name that stands twice in a list of `old` proves nothing and counts as changed.
    """
    before: dict[tuple[str, str], str | None] = {}
    for place in old:
        key = (place.where, place.name)
        before[key] = None if key in before else place.image
    return [place for place in new if before.get((place.where, place.name)) != place.image]


def _words(raw: msgspec.Raw, field: str) -> Mapping[str, str]:
    try:
        words = _WORDS_DECODER.decode(raw)
        if words:
            refuse_duplicates(raw, _WORDS_SHAPE)
    except UNREADABLE as error:
        raise InvalidObject(f"metadata.{field} cannot be read: {error}") from error
    return words or {}


def places_of(spec: PodSpec, under: str = "") -> list[ImagePlace]:
    """As `image_places`, however many there are: of what the API server has let in already."""
    lists = (
        ("initContainers", spec.init_containers),
        ("containers", spec.containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    )
    places = []
    for where, containers in lists:
        if containers:
            places += [
                ImagePlace(where, at, each.name, each.image or "", each.image_pull_policy, under)
                for at, each in enumerate(containers)
            ]
    for at, volume in enumerate(spec.volumes or ()):
        if volume.image is not None:
            image, policy = volume.image.reference or "", volume.image.pull_policy
            places.append(ImagePlace("volumes", at, volume.name, image, policy, under))
    return places
