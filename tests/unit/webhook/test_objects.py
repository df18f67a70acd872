"""Which images are judged, and as what; whatever does not fit together is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.objects import is_advice, places_to_judge
from shared.domain.errors import InvalidObject
from shared.domain.review import decode_review
from tests.fakes.workloads import DEPLOYMENT, KINDS, Kind, review_of_workload, workload
from tests.house import pod, review_of
from tests.unit.domain.test_workload import PODS, images_in

POD = Kind("", "v1", "Pod", "pods", ())
BAD = {"containers": [{"name": "c0", "image": "bad:1"}]}
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)


def judged(review: dict[str, Any]) -> tuple[list[str], bool]:
    """The images that are judged, and whether that is only advice."""
    request = decode_review(json.dumps(review).encode())
    places = places_to_judge(request)
    return [place.image for place in places], is_advice(request)


@kinds
def test_a_workload_is_advised_on_by_its_template(kind: Kind) -> None:
    assert judged(review_of_workload(kind, workload(kind, BAD))) == (["bad:1"], True)


@pytest.mark.parametrize("sub_resource", ["", "ephemeralcontainers", "resize", "status"])
def test_a_pod_decides_whatever_part_of_it_a_request_names(sub_resource: str) -> None:
    changed = review_of(
        pod("bad:1"), operation="UPDATE", old=pod("good:1"), sub_resource=sub_resource
    )
    assert judged(changed) == (["bad:1"], False)


@given(st.sampled_from([POD, *KINDS]), st.sampled_from([POD, *KINDS]), PODS)
def test_a_request_whose_kind_and_resource_differ_is_never_judged_as_either(
    kind: Kind, other: Kind, spec: dict[str, Any]
) -> None:
    content = {"spec": spec} if kind is POD else workload(kind, spec)
    resource = {"group": other.group, "version": other.version, "resource": other.resource}
    review = review_of_workload(kind, content, resource=resource)
    if kind is other:
        images, advice = judged(review)
        assert sorted(images) == sorted(images_in(spec))
        assert advice is (kind is not POD)
    else:
        with pytest.raises(InvalidObject, match="no API server says that"):
            judged(review)


@pytest.mark.parametrize(
    "resource",
    [
        {},
        {"group": "", "version": "v1", "resource": "pods/ephemeralcontainers"},
        {"group": "apps", "version": "v1", "resource": "pods"},
        {"group": "", "version": "v2", "resource": "pods"},
        {"group": "", "version": "v1", "resource": "Pods"},
    ],
)
def test_a_pod_comes_only_as_pods_of_the_core_group(resource: dict[str, str]) -> None:
    review = review_of(pod("good:1"))
    review["request"]["resource"] = resource
    with pytest.raises(InvalidObject, match="no API server says that"):
        judged(review)


@pytest.mark.parametrize("kind", [("apps", "v1"), ("", "v1beta1"), ("core", "v1")])
def test_a_pod_of_another_group_or_version_is_no_pod(kind: tuple[str, str]) -> None:
    review = review_of(pod("good:1"))
    review["request"]["kind"] |= {"group": kind[0], "version": kind[1]}
    with pytest.raises(InvalidObject, match="does not judge 'Pod'"):
        judged(review)


@pytest.mark.parametrize("sub_resource", ["scale", "status", "ephemeralcontainers"])
@kinds
def test_a_subresource_of_a_workload_changes_no_image_and_is_refused(
    kind: Kind, sub_resource: str
) -> None:
    review = review_of_workload(
        kind, workload(kind, BAD), subResource=sub_resource, operation="UPDATE"
    )
    with pytest.raises(InvalidObject, match="which changes no image: take it out"):
        judged(review)


def test_a_scale_is_a_kind_of_its_own_and_is_refused() -> None:
    scale = Kind("autoscaling", "v1", "Scale", "deployments", ())
    with pytest.raises(InvalidObject, match="does not judge 'Scale'"):
        judged(review_of_workload(scale, {"spec": {"replicas": 3}}, subResource="scale"))


@kinds
def test_an_update_of_a_workload_is_about_what_it_changes(kind: Kind) -> None:
    def spec(*images: tuple[str, str]) -> dict[str, Any]:
        return {"containers": [{"name": name, "image": image} for name, image in images]}

    old = workload(kind, spec(("a", "one"), ("b", "two")))
    new = workload(kind, spec(("b", "two"), ("a", "three"), ("c", "one")))
    update = review_of_workload(kind, new, operation="UPDATE", oldObject=old)
    assert judged(update) == (["three", "one"], True)
    same = review_of_workload(kind, old, operation="UPDATE", oldObject=old)
    assert judged(same) == ([], True)


@kinds
def test_the_end_of_an_object_starts_nothing(kind: Kind) -> None:
    old = workload(kind, BAD)
    delete = review_of_workload(kind, None, operation="DELETE", oldObject=old)
    assert judged(delete) == ([], True)
    for operation in ("CONNECT", "", "create"):
        with pytest.raises(InvalidObject, match="does not judge the operation"):
            judged(review_of_workload(kind, old, operation=operation))


def test_what_the_person_sent_before_its_conversion_decides_nothing() -> None:
    original = {"group": "extensions", "version": "v1beta1", "kind": "Deployment"}
    review = review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, BAD), requestKind=original)
    assert judged(review) == (["bad:1"], True)
    lie = {"group": "apps", "version": "v1", "kind": "Deployment"}
    review = review_of(pod("bad:1"))
    review["request"]["requestKind"] = lie
    assert judged(review) == (["bad:1"], False)
