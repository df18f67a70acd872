"""Who makes a pod again: its controller, if its ownerReferences can be an API server's."""

import json
from typing import Any

import pytest

from shared.domain.owner import MAX_REFERENCES, RESOURCES, Owner, maker_of
from shared.domain.workload import Metadata, decode_pod
from tests.fakes.kubernetes_owners import reference_to

RS = Owner(
    "apps/v1", "ReplicaSet", "team", "web-6c6b5b786d", "edb4837b-9034-4610-a974-439d7156cbd2"
)


def metadata(*references: Any) -> Metadata:
    """Of a pod with these owners."""
    written = {"metadata": {"name": "p", "ownerReferences": list(references)}}
    return decode_pod(json.dumps(written).encode()).metadata


def reference(**changes: Any) -> dict[str, Any]:
    return reference_to(RS) | changes


@pytest.mark.parametrize(("api_version", "kind"), RESOURCES)
def test_each_kind_that_makes_pods_is_known(api_version: str, kind: str) -> None:
    owner = maker_of(metadata(reference(apiVersion=api_version, kind=kind)), "team")
    assert owner == Owner(api_version, kind, "team", RS.name, RS.uid)


def test_of_several_owners_the_controller_makes_it_again() -> None:
    other = reference(name="other", controller=False)
    assert maker_of(metadata(other, reference()), "team") == RS
    assert maker_of(metadata(other), "team") is None


def test_who_makes_no_pods_is_none() -> None:
    for changes in (
        {"kind": "Deployment"},
        {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"},
        {"apiVersion": "v1", "kind": "Node"},
        {"apiVersion": "apps/v1beta1"},
        {"apiVersion": "v1"},
    ):
        assert maker_of(metadata(reference(**changes)), "team") is None


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a..b", "A", "a b", "a%2fb", "é"])
def test_what_can_be_no_name_is_carried_nowhere(name: str) -> None:
    assert maker_of(metadata(reference(name=name)), "team") is None
    assert maker_of(metadata(reference()), name) is None


@pytest.mark.parametrize("uid", ["", "a b", "a\nb", "x" * 65, "ü"])
def test_what_can_be_no_uid_is_carried_nowhere(uid: str) -> None:
    assert maker_of(metadata(reference(uid=uid)), "team") is None


def test_names_are_as_long_as_kubernetes_has_them() -> None:
    assert maker_of(metadata(reference(name="a" * 253)), "n" * 63) is not None
    assert maker_of(metadata(reference(name="a" * 254)), "team") is None
    assert maker_of(metadata(reference()), "n" * 64) is None


@pytest.mark.parametrize(
    "written",
    [b"null", b"[]", b"{}", b"1", b'[{"uid": 1}]', b'[{"controller": "yes"}]', b"[null]"],
)
def test_what_is_no_list_of_owners_is_none(written: bytes) -> None:
    pod = decode_pod(b'{"metadata": {"ownerReferences": ' + written + b"}}")
    assert maker_of(pod.metadata, "team") is None


def test_a_pod_that_says_nothing_of_owners_has_none() -> None:
    assert maker_of(decode_pod(b"{}").metadata, "team") is None


def test_more_owners_than_any_pod_has_are_not_read() -> None:
    padding = [reference(controller=False)] * (MAX_REFERENCES // 100)
    assert maker_of(metadata(reference(), *padding), "team") is None
