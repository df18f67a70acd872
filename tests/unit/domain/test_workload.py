"""Every place of an image in a pod is found; what cannot be read is refused."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidObject
from shared.domain.workload import (
    MAX_IMAGE_PLACES,
    changed_places,
    decode_pod,
    image_places,
    labels_and_annotations,
)

NAMES = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1, max_size=5)
CONTAINERS = st.lists(st.fixed_dictionaries({"name": NAMES, "image": NAMES}), max_size=5)
PODS = st.fixed_dictionaries(
    {},
    optional={
        "containers": CONTAINERS,
        "initContainers": CONTAINERS,
        "ephemeralContainers": CONTAINERS,
        "volumes": st.lists(
            st.fixed_dictionaries(
                {"name": NAMES},
                optional={"image": st.fixed_dictionaries({"reference": NAMES})},
            ),
            max_size=5,
        ),
    },
)


def images_in(value: object) -> list[str]:
    """Every image of an object, found by another way: all strings under image or reference."""
    if isinstance(value, list):
        return [image for item in value for image in images_in(item)]
    if not isinstance(value, dict):
        return []
    found = [value[key] for key in ("image", "reference") if isinstance(value.get(key), str)]
    return found + [image for item in value.values() for image in images_in(item)]


@given(PODS)
def test_no_image_of_a_pod_is_passed_over(spec: dict[str, object]) -> None:
    pod = decode_pod(msgspec.json.encode({"spec": spec}))
    assert sorted(place.image for place in image_places(pod)) == sorted(images_in(spec))


def test_a_container_without_an_image_is_a_place_with_an_empty_reference() -> None:
    pod = decode_pod(b'{"spec": {"containers": [{"name": "a"}]}}')
    assert [place.image for place in image_places(pod)] == [""]


def test_more_image_places_than_the_cap_are_refused() -> None:
    spec = {"containers": [{"name": f"c{n}", "image": "a"} for n in range(MAX_IMAGE_PLACES + 1)]}
    with pytest.raises(InvalidObject, match="more than 512"):
        image_places(decode_pod(msgspec.json.encode({"spec": spec})))


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"[]",
        b'{"spec": {"containers": {"name": "a"}}}',
        b'{"spec": {"containers": [{"name": "a", "image": 1}]}}',
        b'{"spec": {"volumes": [{"image": "x"}]}}',
        b'{"spec": {"containers": [{"image": "\xff"}]}}',
    ],
)
def test_an_object_that_cannot_be_read_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidObject):
        decode_pod(raw)


def pod_of(**lists: list[tuple[str, str]]) -> bytes:
    spec = {
        name: [{"name": container, "image": image} for container, image in containers]
        for name, containers in lists.items()
    }
    return msgspec.json.encode({"spec": spec})


@pytest.mark.parametrize(
    ("new", "old", "changed"),
    [
        ({"containers": [("a", "x")]}, {"containers": [("a", "x")]}, []),
        ({"containers": [("a", "y")]}, {"containers": [("a", "x")]}, ["y"]),
        ({"containers": [("b", "x")]}, {"containers": [("a", "x")]}, ["x"]),
        ({"initContainers": [("a", "x")]}, {"containers": [("a", "x")]}, ["x"]),
        (
            {"containers": [("b", "y"), ("a", "x")]},
            {"containers": [("a", "x"), ("b", "y")]},
            [],
        ),
        ({"containers": []}, {"containers": [("a", "x")]}, []),
        ({"containers": [("a", "x")]}, {"containers": [("a", "x"), ("a", "z")]}, ["x"]),
        ({"ephemeralContainers": [("d", "bad")]}, {}, ["bad"]),
    ],
)
def test_an_update_changes_what_is_not_the_same_reference_in_the_same_place(
    new: dict[str, list[tuple[str, str]]],
    old: dict[str, list[tuple[str, str]]],
    changed: list[str],
) -> None:
    places = changed_places(
        image_places(decode_pod(pod_of(**new))), image_places(decode_pod(pod_of(**old)))
    )
    assert [place.image for place in places] == changed


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (b"{}", ({}, {})),
        (b'{"labels": null, "annotations": {}}', ({}, {})),
        (b'{"labels": {"pci": "true"}}', ({"pci": "true"}, {})),
        (
            b'{"labels": {"a": ""}, "annotations": {"b": "{\\"c\\": 1}"}}',
            ({"a": ""}, {"b": '{"c": 1}'}),
        ),
        (b'{"labels": {"a": "\\u003c"}, "managedFields": [{"labels": 1}]}', ({"a": "<"}, {})),
    ],
)
def test_labels_and_annotations_are_read_when_somebody_asks(
    metadata: bytes, words: tuple[dict[str, str], dict[str, str]]
) -> None:
    pod = decode_pod(b'{"metadata": ' + metadata + b"}")
    assert labels_and_annotations(pod.metadata) == words


@pytest.mark.parametrize("field", ["labels", "annotations"])
@pytest.mark.parametrize(
    "written",
    [
        b'"pci"',
        b"[]",
        b"1",
        b'{"pci": true}',
        b'{"pci": 1}',
        b'{"pci": null}',
        b'{"pci": {}}',
        b'{"pci": "\xff"}',
        b'{"\xff": "true"}',
        b'{"pci": "true", "pci": "false"}',
        b'{"pci": "true", "pci": "true"}',
        b'{"pci": "true", "p\\u0063i": "false"}',
        b'{"p\\u0063i": "true"}',
    ],
)
def test_labels_that_are_no_texts_or_stand_twice_are_refused_when_somebody_asks(
    field: str, written: bytes
) -> None:
    pod = decode_pod(b'{"metadata": {"' + field.encode() + b'": ' + written + b"}}")
    with pytest.raises(InvalidObject, match=f"metadata.{field}"):
        labels_and_annotations(pod.metadata)
