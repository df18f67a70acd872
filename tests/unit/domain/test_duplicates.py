"""A key that stands twice where a decision reads is refused, however it is spelt."""

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.duplicates import DuplicateKey, refuse_duplicates, shape_of
from shared.domain.errors import InvalidObject, InvalidReview
from shared.domain.pod_template import workload_of
from shared.domain.review import MAX_TEXTS, ReviewOf, decode_review, is_pod, pod_of, raw_object
from shared.domain.workload import Pod, decode_pod, image_places
from tests.fakes.members import Members, Spelt, members_of, objects_in, written

REVIEWS = {path.stem: path.read_bytes() for path in Path("tests/data/reviews").glob("*.json")}
PODS = sorted(name for name in REVIEWS if name.startswith("pod-") and name != "pod-delete")

CONTAINER = dict.fromkeys(["name", "image", "imagePullPolicy"], 0)
POD: dict[str, Any] = {
    "metadata": dict.fromkeys(["name", "generateName", "labels", "annotations"], 0),
    "spec": {
        "containers": CONTAINER,
        "initContainers": CONTAINER,
        "ephemeralContainers": CONTAINER,
        "volumes": {"name": 0, "image": {"reference": 0, "pullPolicy": 0}},
    },
}


def envelope(read: dict[str, Any]) -> dict[str, Any]:
    """What decisions read of a review, written down by hand; `read`: of its objects."""
    texts = ["uid", "subResource", "name", "namespace", "operation", "dryRun"]
    return {
        "apiVersion": 0,
        "kind": 0,
        "request": {
            **dict.fromkeys(texts, 0),
            "kind": {"group": 0, "version": 0, "kind": 0},
            "resource": {"group": 0, "version": 0, "resource": 0},
            "userInfo": {"username": 0},
            "object": read,
            "oldObject": read,
        },
    }


READ = {name: envelope(POD) for name in PODS}
READ["deployment-create"] = envelope({"spec": {"template": POD}})


def has_duplicates(review: Any, read: Any) -> bool:
    """The tests' own opinion: a key twice, or one that is read in another case."""
    for members, names in objects_in(review, read):
        if not names:
            continue
        keys = [json.loads(f'"{key}"') if isinstance(key, Spelt) else key for key, _ in members]
        folded = {name.casefold(): name for name in names}
        if len(set(keys)) < len(keys):
            return True
        if any(folded.get(key.casefold(), key) != key for key in keys):
            return True
    return False


def refused(body: bytes) -> bool:
    """Whether the body, or an object in it that would be judged, is not read."""
    try:
        request = decode_review(body)
        workload = workload_of(request.kind)
        if is_pod(request.kind):
            pod_of(request)
            if request.operation == "UPDATE":
                decode_pod(request.old_object)
        elif workload is not None:
            workload.template(raw_object(request))
    except (InvalidReview, InvalidObject):
        return True
    return False


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("gap", ["", " ", "\n\t"])
def test_what_an_api_server_says_is_never_refused(name: str, gap: str) -> None:
    assert not refused(REVIEWS[name])
    assert not refused(written(members_of(REVIEWS[name]), gap))


@pytest.mark.parametrize("name", PODS)
def test_a_review_is_read_the_same_in_one_go_and_the_long_way(name: str) -> None:
    quick = decode_review(REVIEWS[name])
    long = decode_review(written(members_of(REVIEWS[name]), " "))
    assert not isinstance(quick.object, msgspec.Raw)
    assert isinstance(long.object, msgspec.Raw)
    for field in ("uid", "kind", "resource", "sub_resource", "namespace", "operation", "dry_run"):
        assert getattr(quick, field) == getattr(long, field)
    assert quick.user_info.username == long.user_info.username
    assert image_places(pod_of(quick)) == image_places(pod_of(long)) != []


def spellings(key: str) -> list[str]:
    """As itself, with an escape, in other cases, and with letters that Go takes for s and k."""
    others = {key.capitalize(), key.upper(), key.replace("s", "ſ"), key.replace("k", "K")}
    return [
        key,
        Spelt(f"\\u{ord(key[0]):04x}{json.dumps(key[1:])[1:-1]}"),
        Spelt(f"{json.dumps(key[:-1])[1:-1]}\\u{ord(key[-1]):04X}"),
        *sorted(others - {key}),
    ]


def twice(name: str) -> list[tuple[str, str, bytes]]:
    """The review with each key that is read once more, in each spelling, before and behind."""
    found = []
    count = len(list(objects_in(members_of(REVIEWS[name]), READ[name])))
    for number in range(count):
        review = members_of(REVIEWS[name])
        members, names = list(objects_in(review, READ[name]))[number]
        for key, value in list(members) if names else ():
            if key not in names:
                continue
            for spelt in spellings(key):
                for at in (0, len(members)):
                    members.insert(at, (spelt, value))
                    found.append((key, spelt, written(review)))
                    del members[at]
    return found


@pytest.mark.parametrize("name", READ)
def test_each_key_that_is_read_is_refused_when_it_stands_twice(name: str) -> None:
    bodies = twice(name)
    keys = {key for key, _, _ in bodies}
    assert keys >= {"request", "object", "oldObject", "kind", "operation", "spec", "metadata"}
    assert keys >= {"containers", "image", "name", "imagePullPolicy", "namespace", "username"}
    passed = [(key, spelt) for key, spelt, body in bodies if not refused(body)]
    assert passed == []


def test_a_key_in_another_case_is_refused_without_its_own_too() -> None:
    body = REVIEWS["pod-create"]
    for key in (b'"containers":', b'"image":', b'"object":', b'"spec":', b'"kind":'):
        assert refused(body.replace(key, key.title()))


@pytest.mark.parametrize("where", ["status", "annotations", "managedFields"])
@pytest.mark.parametrize(
    "value",
    [
        '"image":"x","image":"y"',
        "image",
        "\\u0069mage",
        '{"containers":[{"image":"a"}]}',
        ["image", "image"],
        Members([("image", Members([("image", 1)])), ("Image", 2), ("containerStatuses", [])]),
        [Members([("name", "a"), ("image", "a")]), Members([("name", "b"), ("image", "b")])],
    ],
)
def test_what_looks_like_a_key_and_is_not_read_is_let_be(where: str, value: Any) -> None:
    review = members_of(REVIEWS["pod-create"])
    pod = dict(dict(review)["request"])["object"]
    members = pod if where == "status" else dict(pod)["metadata"]
    at = [key for key, _ in members].index(where)
    members[at] = (where, value)
    assert not isinstance(decode_review(written(review)).object, msgspec.Raw)
    assert not refused(written(review, " "))


KEYS = ["name", "image", "kind", "spec", "containers", "labels", "x", "f:image", 'k:{"name":"a"}']
VALUES = st.recursive(
    st.sampled_from(["", "image", '"image":"a"', "\\", "<&>", "é", 1, None, True]),
    lambda below: (
        st.lists(below, max_size=2)
        | st.lists(st.tuples(st.sampled_from(KEYS), below), max_size=3).map(Members)
    ),
    max_leaves=4,
)


@st.composite
def reviews(draw: st.DrawFn) -> tuple[str, Any, bytes]:
    """A review of an API server to which somebody did something, anywhere."""
    name = draw(st.sampled_from(sorted(READ)))
    review = copy.deepcopy(PARSED[name])
    for _ in range(draw(st.integers(0, 3))):
        members = draw(st.sampled_from([found for found, _ in objects_in(review, READ[name])]))
        own = [key for key, _ in members if not isinstance(key, Spelt)]
        key = draw(st.sampled_from(own or KEYS) | st.sampled_from(KEYS))
        key = draw(st.sampled_from(spellings(key)))
        values = [st.just(value) for _, value in members]
        value = draw(st.one_of(VALUES, *values[:3]))
        members.insert(draw(st.integers(0, len(members))), (key, value))
        if draw(st.booleans()):
            del members[draw(st.integers(0, len(members) - 1))]
    return name, review, written(review, draw(st.sampled_from(["", "", "", " "])))


PARSED = {name: members_of(body) for name, body in REVIEWS.items()}


@given(reviews())
def test_nothing_that_stands_twice_gets_through(drawn: tuple[str, Any, bytes]) -> None:
    name, review, body = drawn
    if has_duplicates(review, READ[name]):
        assert refused(body)


@given(reviews())
def test_what_is_read_in_one_go_passes_the_close_look_as_well(
    drawn: tuple[str, Any, bytes],
) -> None:
    body = drawn[2]
    try:
        request = decode_review(body)
    except InvalidReview:
        return
    if not isinstance(request.object, msgspec.Raw | msgspec.UnsetType):
        refuse_duplicates(body, shape_of(ReviewOf[Pod]))


def test_a_refusal_says_where_it_stands() -> None:
    body = b'{"spec": {"containers": [{"name": "a"}, {"name": "b", "image": "c", "image": "d"}]}}'
    with pytest.raises(DuplicateKey, match="/spec/containers/1"):
        refuse_duplicates(body, shape_of(Pod))


def test_a_review_of_very_many_keys_is_not_looked_at() -> None:
    body = REVIEWS["pod-create"]
    keys = b",".join(b'"%d":1' % number for number in range(MAX_TEXTS))
    with pytest.raises(InvalidReview, match="keys and texts") as refused:
        decode_review(body.replace(b'"spec":{', b'"spec":{' + keys + b",", 1))
    assert refused.value.status == 413
