"""Whatever object comes: no image that a kubelet would start goes unjudged."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.objects import places_to_judge
from shared.domain.review import decode_review
from shared.domain.workload import ImagePlace
from tests.fakes.workloads import KINDS, Kind

POD = Kind("", "v1", "Pod", "pods", ())
LISTS = ("initContainers", "containers", "ephemeralContainers")

# Few different ones, so that old and new objects often have the same in the same place.
IMAGES = st.sampled_from(["app:1", "app:2", "ghcr.io/team/app@sha256:abc", "NOT/ONE", "é", ""])
NAMES = st.sampled_from(["a", "b", "c", ""])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "app:9", "image"]),
    lambda below: (
        st.lists(below, max_size=2)
        | st.dictionaries(st.sampled_from(["image", "containers", "spec", "x"]), below, max_size=2)
    ),
    max_leaves=4,
)
MORE = st.dictionaries(
    st.sampled_from(["env", "resources", "lifecycle", "images", "x-image", "securityContext", "é"]),
    ANYTHING,
    max_size=2,
)


def objects(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of these fields, and others that nobody here knows."""
    known = st.fixed_dictionaries({}, optional=fields)
    return st.tuples(MORE, known).map(lambda both: {**both[0], **both[1]})


CONTAINERS = objects(
    {
        "name": NAMES,
        "image": IMAGES | st.none(),
        "imagePullPolicy": st.sampled_from(["Always", "IfNotPresent", "Never", "Sometimes", None]),
    }
)
SOURCES = objects(
    {"reference": IMAGES | st.none(), "pullPolicy": st.sampled_from(["Always", None])}
)
VOLUMES = objects(
    {
        "name": NAMES,
        "image": SOURCES | st.none(),
        "rbd": st.just({"monitors": [], "image": "no-image"}),
        "configMap": st.just({"name": "image"}),
        "ephemeral": st.just({"volumeClaimTemplate": {"spec": {"containers": [{"image": "no"}]}}}),
    }
)
SPECS = objects(
    {name: st.lists(CONTAINERS, max_size=3) | st.none() for name in LISTS}
    | {"volumes": st.lists(VOLUMES, max_size=3) | st.none()}
)
METADATA = objects(
    {
        "name": st.just("p"),
        "labels": st.just({"image": "no"}) | st.none(),
        "annotations": st.just({"spec": '{"containers":[{"image":"no"}]}'}),
        "ownerReferences": st.just(
            [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "controller": True}]
        ),
        "deletionTimestamp": st.just("2026-01-01T00:00:00Z"),
        "managedFields": st.just([{"manager": "kubectl", "fieldsV1": {"f:image": {}}}]),
    }
)
TEMPLATES = objects({"metadata": METADATA, "spec": SPECS})


def wrapped(kind: Kind, template: dict[str, Any]) -> dict[str, Any]:
    """The object of that kind whose pods are made by the template; of a Pod, itself."""
    content: dict[str, Any] = template
    for step in reversed(kind.path):
        content = {"replicas": 1, step: content}
    return {"status": {"containerStatuses": [{"image": "no"}]}, **content}


def places(
    kind: Kind, new: object, old: object = None, *, operation: str = "CREATE", **more: object
) -> list[ImagePlace]:
    """What is judged of a request that comes over the wire."""
    request = {
        "uid": "u",
        "kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "resource": {"group": kind.group, "version": kind.version, "resource": kind.resource},
        "operation": operation,
        "userInfo": {"username": "ada"},
        "object": new,
        "oldObject": old,
        **more,
    }
    review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    written = json.dumps(review, separators=(",", ":"), ensure_ascii=False)
    return places_to_judge(decode_review(written.encode()))


def leaves(value: object, at: str = "") -> Iterator[tuple[str, object]]:
    """Everything in a JSON value that holds nothing, and everything that is empty, by pointer."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from leaves(below, f"{at}/{key}")
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from leaves(below, f"{at}/{number}")
    else:
        yield at, value


def started(kind: Kind, content: object) -> Counter[str]:
    """Every image text that a kubelet would start: found by its pointer alone."""
    template = "/".join(("", *kind.path, "spec"))
    container = re.compile(rf"{template}/(?:init|ephemeral)?[cC]ontainers/\d+/image")
    volume = re.compile(rf"{template}/volumes/\d+/image/reference")
    return Counter(
        value
        for pointer, value in leaves(content)
        if isinstance(value, str) and (container.fullmatch(pointer) or volume.fullmatch(pointer))
    )


def texts(judged: list[ImagePlace]) -> Counter[str]:
    return Counter(place.image for place in judged)


@pytest.mark.parametrize("kind", [POD, *KINDS], ids=lambda kind: kind.kind)
@given(template=TEMPLATES)
def test_every_image_of_a_new_object_is_judged(kind: Kind, template: dict[str, Any]) -> None:
    content = wrapped(kind, template)
    judged = texts(places(kind, content))
    wanted = started(kind, content)
    # What has no text where one belongs is judged as well, as an empty one.
    judged[""] = wanted[""] = 0
    assert +judged == +wanted


@given(template=TEMPLATES)
def test_a_container_or_image_volume_without_a_text_is_no_place_to_hide(
    template: dict[str, Any],
) -> None:
    spec = template.get("spec", {})
    there = [entry for name in LISTS for entry in spec.get(name) or []]
    there += [entry for entry in spec.get("volumes") or [] if entry.get("image") is not None]
    assert len(places(POD, template)) == len(there)


def held(spec: dict[str, Any]) -> list[tuple[str, str, str]]:
    """List, name and image of each entry."""
    entries = [
        (name, entry, entry.get("image")) for name in LISTS for entry in spec.get(name) or []
    ]
    entries += [
        ("volumes", entry, entry["image"].get("reference"))
        for entry in spec.get("volumes") or []
        if entry.get("image") is not None
    ]
    return [(where, entry.get("name", ""), image or "") for where, entry, image in entries]


def changed(new: dict[str, Any], old: dict[str, Any]) -> Counter[str]:
    """The images that an update brings: all but those of which the old object has the same once,
    under the same name in the same list, and nothing else under it."""
    before = held(old.get("spec", {}))
    return Counter(
        image
        for where, name, image in held(new.get("spec", {}))
        if [there for there in before if there[:2] == (where, name)] != [(where, name, image)]
    )


@pytest.mark.parametrize("kind", [POD, *KINDS], ids=lambda kind: kind.kind)
@given(new=TEMPLATES, old=TEMPLATES)
def test_every_image_that_an_update_brings_is_judged(
    kind: Kind, new: dict[str, Any], old: dict[str, Any]
) -> None:
    judged = places(kind, wrapped(kind, new), wrapped(kind, old), operation="UPDATE")
    assert texts(judged) == changed(new, old)


@given(old=TEMPLATES, added=st.lists(CONTAINERS, max_size=3))
def test_ephemeral_containers_are_judged(old: dict[str, Any], added: list[dict[str, Any]]) -> None:
    spec = old.get("spec", {})
    now = [*(spec.get("ephemeralContainers") or []), *added]
    new = {**old, "spec": {**spec, "ephemeralContainers": now}}
    judged = places(POD, new, old, operation="UPDATE", subResource="ephemeralcontainers")
    assert texts(judged) == changed(new, old)


@pytest.mark.parametrize("kind", [POD, *KINDS], ids=lambda kind: kind.kind)
@given(
    new=TEMPLATES, old=TEMPLATES, forged=METADATA, operation=st.sampled_from(["CREATE", "UPDATE"])
)
def test_nothing_that_metadata_says_changes_what_is_judged(
    kind: Kind, new: dict[str, Any], old: dict[str, Any], forged: dict[str, Any], operation: str
) -> None:
    def judged(**metadata: object) -> list[ImagePlace]:
        template = {key: value for key, value in new.items() if key != "metadata"} | metadata
        content = {**wrapped(kind, template), **metadata}
        return places(kind, content, wrapped(kind, old), operation=operation)

    assert judged(metadata=forged) == judged()


@pytest.mark.parametrize("kind", [POD, *KINDS], ids=lambda kind: kind.kind)
@given(old=TEMPLATES | st.none() | ANYTHING)
def test_nothing_is_judged_of_what_is_deleted(kind: Kind, old: Any) -> None:
    content = wrapped(kind, old) if isinstance(old, dict) else old
    assert places(kind, None, content, operation="DELETE") == []


@given(new=TEMPLATES, old=TEMPLATES)
def test_what_is_being_deleted_passes_only_if_nothing_changes(
    new: dict[str, Any], old: dict[str, Any]
) -> None:
    going = {**old, "metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    without = {**going, "metadata": {**going["metadata"], "finalizers": []}}
    twice = [
        key
        for key, count in Counter(each[:2] for each in held(old.get("spec", {}))).items()
        if count > 1
    ]
    if not twice:
        assert places(POD, without, going, operation="UPDATE") == []
    assert texts(places(POD, new, going, operation="UPDATE")) == changed(new, old)
