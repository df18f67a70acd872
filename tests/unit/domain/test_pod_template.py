"""The pod template of every kind of workload is found, and nothing else is taken for one."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidObject
from shared.domain.pod_template import WORKLOADS, workload_of
from shared.domain.review import GroupVersionKind
from shared.domain.workload import image_places
from tests.fakes.workloads import KINDS, Kind, workload
from tests.unit.domain.test_workload import PODS, images_in


def images(kind: Kind, content: dict[str, Any]) -> list[str]:
    found = workload_of(GroupVersionKind(kind.group, kind.version, kind.kind))
    assert found is not None
    return [place.image for place in image_places(found.template(msgspec.json.encode(content)))]


def test_every_kind_that_makes_pods_is_known_by_its_resource() -> None:
    known = {(*gvk, each.resource) for gvk, each in WORKLOADS.items()}
    assert known == {(kind.group, kind.version, kind.kind, kind.resource) for kind in KINDS}


@given(st.sampled_from(KINDS), PODS)
def test_no_image_of_a_template_is_passed_over(kind: Kind, spec: dict[str, Any]) -> None:
    assert sorted(images(kind, workload(kind, spec))) == sorted(images_in(spec))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_spec_in_another_place_is_not_the_templates(kind: Kind) -> None:
    decoy = {"containers": [{"name": "a", "image": "decoy"}]}
    content = workload(kind, {"containers": [{"name": "a", "image": "real"}]})
    content["metadata"]["annotations"] = {"spec": "decoy"}
    content.setdefault("spec", {}).update(decoy)
    content["status"] = {"template": {"spec": decoy}}
    assert images(kind, content) == ["real"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_workload_that_cannot_be_read_is_refused_by_its_name(kind: Kind) -> None:
    unreadable: list[dict[str, Any]] = [{"containers": "many"}, {"containers": [{"image": 1}]}]
    for spec in unreadable:
        with pytest.raises(InvalidObject, match=f"one of {kind.resource}"):
            images(kind, workload(kind, spec))


@pytest.mark.parametrize(
    "kind",
    [
        ("", "v1", "Pod"),
        ("", "v1", "Deployment"),
        ("extensions", "v1beta1", "Deployment"),
        ("apps", "v1beta1", "Deployment"),
        ("apps", "v1", "deployment"),
        ("apps", "v1", "ControllerRevision"),
        ("autoscaling", "v1", "Scale"),
        ("batch", "v1beta1", "CronJob"),
        ("argoproj.io", "v1alpha1", "Rollout"),
        ("", "", ""),
    ],
)
def test_what_only_looks_like_a_workload_is_none(kind: tuple[str, str, str]) -> None:
    assert workload_of(GroupVersionKind(*kind)) is None
