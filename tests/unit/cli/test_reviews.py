from typing import Any

import msgspec
import pytest

from services.cli.defaults import with_defaults
from services.cli.reviews import (
    REPLICASET_CONTROLLER,
    Answer,
    Asker,
    kind_of,
    pod_of_image,
    resource_of,
    review_of,
)
from services.cli.show.images import show_images
from services.cli.show.pods import PERSON, review_of_image
from services.webhook.objects import is_advice, places_to_judge
from shared.domain.review import Status, decode_review, pod_of
from shared.domain.workload import image_places
from tests.fakes.workloads import KINDS, Kind, workload

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        (f"nginx:latest@{DIGEST}", "Always"),
        ("nginx:1.0", "IfNotPresent"),
        (f"nginx@{DIGEST}", "IfNotPresent"),
        (f"nginx:1.0@{DIGEST}", "IfNotPresent"),
        ("registry.corp:5000/team/app", "Always"),
        ("NOT VALID", "IfNotPresent"),
    ],
)
def test_a_missing_pull_policy_is_filled_in_as_the_api_server_does(image: str, policy: str) -> None:
    pod = with_defaults(pod_of_image(image, name="x", namespace="n"))
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_every_place_of_an_image_gets_its_policy() -> None:
    spec: dict[str, Any] = {
        "initContainers": [{"name": "a", "image": "a:1"}],
        "containers": [{"name": "b", "image": "b", "imagePullPolicy": "Never"}],
        "ephemeralContainers": [{"name": "c", "image": "c"}],
        "volumes": [{"name": "d", "image": {"reference": "d:1"}}, {"name": "e", "emptyDir": {}}],
    }
    filled = with_defaults({"spec": spec})["spec"]
    assert filled["initContainers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert filled["containers"][0]["imagePullPolicy"] == "Never"
    assert filled["ephemeralContainers"][0]["imagePullPolicy"] == "Always"
    assert filled["volumes"][0]["image"]["pullPolicy"] == "IfNotPresent"
    assert "imagePullPolicy" not in spec["initContainers"][0]


@pytest.mark.parametrize(
    "pod",
    [
        {},
        {"metadata": 1, "spec": 2},
        {"spec": {"containers": {}}},
        {"spec": {"containers": [1], "volumes": [{"image": 3}]}},
        {"spec": {"containers": [{"image": 5}]}},
    ],
)
def test_a_strange_object_goes_to_the_webhook_as_it_is(pod: dict[str, Any]) -> None:
    review_of(with_defaults(pod), asker=Asker("x"))


def test_a_namespace_is_filled_in_where_there_is_none() -> None:
    assert with_defaults({}, namespace="show")["metadata"] == {"namespace": "show"}
    named = with_defaults({"metadata": {"namespace": "other"}}, namespace="show")
    assert named["metadata"]["namespace"] == "other"


def test_a_review_is_what_the_webhook_reads() -> None:
    pod = with_defaults(pod_of_image("nginx:1.0", name="web", namespace="shop"))
    request = decode_review(msgspec.json.encode(review_of(pod, asker=REPLICASET_CONTROLLER)))
    assert (request.operation, request.namespace, request.name) == ("CREATE", "shop", "web")
    assert request.kind.kind == "Pod"
    assert request.user_info.username.endswith("replicaset-controller")
    assert [place.image for place in image_places(pod_of(request))] == ["nginx:1.0"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_review_of_a_workload_is_what_the_webhook_advises_on(kind: Kind) -> None:
    spec = {"containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "nginx:1"}]}
    content = with_defaults(workload(kind, spec), namespace="shop")
    request = decode_review(msgspec.json.encode(review_of(content, asker=Asker("x"))))
    places = places_to_judge(request)
    assert is_advice(request)
    assert [(place.image, place.pull_policy) for place in places] == [
        ("nginx", "Always"),
        ("nginx:1", "IfNotPresent"),
    ]


def test_only_pods_and_workloads_have_a_resource_to_be_judged_under() -> None:
    def resource(version: str, kind: str) -> str | None:
        return resource_of(kind_of({"apiVersion": version, "kind": kind}))

    assert resource("v1", "Pod") == "pods"
    assert resource("apps/v1", "Deployment") == "deployments"
    for version, kind in (("v1", "Service"), ("apps/v1beta1", "Deployment"), ("v1", "Job")):
        assert resource(version, kind) is None


def test_every_review_has_a_uid_of_its_own() -> None:
    uids = {review_of({}, asker=Asker("x"))["request"]["uid"] for _ in range(10)}
    assert len(uids) == 10


def test_the_shows_pods_come_from_a_controller_or_a_person() -> None:
    reviews = {
        image.name: review_of_image(image, registry="127.0.0.1:5000") for image in show_images()
    }
    owned = reviews["good"]["request"]
    assert owned["userInfo"]["username"] == REPLICASET_CONTROLLER.username
    assert owned["object"]["metadata"]["ownerReferences"][0]["kind"] == "ReplicaSet"
    assert owned["name"] == ""
    by_hand = reviews["ssh"]["request"]
    assert by_hand["userInfo"]["username"] == PERSON.username
    assert by_hand["name"] == "ssh"
    container = by_hand["object"]["spec"]["containers"][0]
    assert container["image"] == "127.0.0.1:5000/team/ssh:1.0"
    assert container["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("answer", "code", "pending"),
    [
        (Answer("u", True), 200, False),
        (Answer("u", False), 403, False),
        (Answer("u", False, Status(403, "no")), 403, False),
        (Answer("u", False, Status(429, "soon")), 429, True),
        (Answer("u", False, Status(503, "down")), 503, True),
    ],
)
def test_an_answer_is_pending_where_asking_again_helps(
    answer: Answer, code: int, pending: bool
) -> None:
    assert (answer.code, answer.pending) == (code, pending)
