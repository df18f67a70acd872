"""The review that is made up of what was written down of an object."""

import json

import msgspec
import pytest

from services.cli.beside.comparing import review_like
from services.webhook.objects import places_to_judge
from shared.domain.pod_template import WORKLOADS
from shared.domain.review import AdmissionRequest, decode_review, raw_object
from shared.ports.decisions import DecisionRecord

IMAGES = ("registry.example/a:1", "registry.example/b@sha256:" + "0a" * 32)


def request(kind: str = "Pod", **more: object) -> AdmissionRequest:
    told = {
        "at": 5,
        "allowed": True,
        "state": "pass",
        "code": 200,
        "kind": kind,
        "namespace": "shop",
        "name": "web",
        "user": "ada",
        "operation": "UPDATE",
        "images": IMAGES,
    }
    record = msgspec.convert(told | more, DecisionRecord)
    return decode_review(json.dumps(review_like(record)).encode())


@pytest.mark.parametrize("kind", ["Pod", *(kind for _, _, kind in WORKLOADS)])
def test_its_images_stand_where_those_of_such_an_object_are_judged(kind: str) -> None:
    asked = request(kind)
    places = places_to_judge(asked)
    assert [place.image for place in places] == list(IMAGES)
    assert len({place.name for place in places}) == 2
    assert (asked.operation, asked.kind.kind) == ("CREATE", kind)
    assert (asked.namespace, asked.user_info.username) == ("shop", "ada")


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("web", {"name": "web", "namespace": "shop"}),
        ("web-*", {"generateName": "web-", "namespace": "shop"}),
        ("", {"name": "", "namespace": "shop"}),
    ],
)
def test_a_name_that_was_made_of_another_is_made_of_it_again(
    name: str, metadata: dict[str, str]
) -> None:
    assert json.loads(bytes(raw_object(request(name=name))))["metadata"] == metadata


def test_a_kind_that_is_not_known_is_asked_about_as_what_has_a_template() -> None:
    asked = request("Rollout")
    assert (asked.kind.group, asked.kind.version, asked.kind.kind) == ("", "v1", "Rollout")
    spec = json.loads(bytes(raw_object(asked)))["spec"]["template"]["spec"]
    assert [each["image"] for each in spec["containers"]] == list(IMAGES)
