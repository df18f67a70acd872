"""The AdmissionReview is read in bounded ways and answered as the API server requires."""

import json
from typing import Any

import pytest

from shared.domain.errors import InvalidObject, InvalidReview
from shared.domain.review import (
    MAX_OBJECTS,
    MAX_TEXTS,
    MAX_UID,
    AdmissionResponse,
    Status,
    StatusDetails,
    decode_review,
    encode_review,
    pod_of,
)
from shared.domain.workload import Pod

REQUEST: dict[str, Any] = {
    "uid": "u",
    "kind": {"group": "", "version": "v1", "kind": "Pod"},
    "operation": "CREATE",
    "userInfo": {"username": "ada"},
    "object": {"spec": {}},
    "oldObject": None,
    "dryRun": False,
}
REVIEW = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": REQUEST}


def test_a_review_of_a_pod_is_read() -> None:
    request = decode_review(json.dumps(REVIEW).encode())
    assert request.uid == "u"
    assert request.user_info.username == "ada"
    assert pod_of(request) == Pod()
    assert bytes(request.old_object) == b"null"


@pytest.mark.parametrize("unreadable", [None, [], {"spec": 1}, {"spec": {"containers": 5}}, "x"])
def test_an_object_that_is_no_pod_leaves_the_rest_of_the_review_readable(
    unreadable: object,
) -> None:
    review = {**REVIEW, "request": {"uid": "u", "operation": "CREATE", "object": unreadable}}
    request = decode_review(json.dumps(review).encode())
    assert (request.uid, request.operation) == ("u", "CREATE")
    with pytest.raises(InvalidObject):
        pod_of(request)


def test_a_review_without_an_object_is_readable_and_its_pod_is_not() -> None:
    request = decode_review(json.dumps({**REVIEW, "request": {"uid": "u"}}).encode())
    with pytest.raises(InvalidObject):
        pod_of(request)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not an AdmissionReview"),
        (b"hello", "not an AdmissionReview"),
        (b"[]", "not an AdmissionReview"),
        (b"{}", "expected AdmissionReview"),
        (b'{"apiVersion": "\xff"}', "UTF-8"),
        (b'{"x": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"apiVersion": NaN}', "not an AdmissionReview"),
        (json.dumps({**REVIEW, "apiVersion": "admission.k8s.io/v1beta1"}).encode(), "v1beta1"),
        (json.dumps({**REVIEW, "kind": "Pod"}).encode(), "Pod"),
        (json.dumps({**REVIEW, "request": None}).encode(), "no request"),
        (json.dumps({**REVIEW, "request": {"uid": ""}}).encode(), "uid"),
        (json.dumps({**REVIEW, "request": {"uid": 1}}).encode(), "uid"),
    ],
)
def test_what_is_no_review_is_refused_with_a_reason(body: bytes, says: str) -> None:
    with pytest.raises(InvalidReview, match=says):
        decode_review(body)


@pytest.mark.parametrize("where", ["containers", "volumes"])
def test_a_review_of_very_many_objects_is_not_read(where: str) -> None:
    lists: dict[str, list[Any]] = {where: [{}] * (MAX_OBJECTS - 10)}
    body = json.dumps(REVIEW | {"request": REQUEST | {"object": {"spec": lists}}})
    assert decode_review(body.encode()).uid == "u"
    with pytest.raises(InvalidReview, match="more than 100000 JSON objects") as refused:
        decode_review(body.replace("[", "[" + "{}," * 10).encode())
    assert refused.value.status == 413


def test_a_review_of_very_many_texts_is_not_read() -> None:
    written = json.dumps(REVIEW | {"request": REQUEST | {"object": {"spec": {"names": ["a"]}}}})
    free = MAX_TEXTS - written.count('"') // 2
    most, too_many = (written.replace('"a"', '"a"' + ',""' * more) for more in (free, free + 1))
    assert decode_review(most.encode()).uid == "u"
    with pytest.raises(InvalidReview, match="more than 500000 keys and texts") as refused:
        decode_review(too_many.encode())
    assert refused.value.status == 413


def test_a_uid_is_short() -> None:
    written = json.dumps(REVIEW | {"request": REQUEST | {"uid": "u" * MAX_UID}})
    assert len(decode_review(written.encode()).uid) == 256
    with pytest.raises(InvalidReview, match="more than 256 characters") as refused:
        decode_review(written.replace('"uu', '"uuu').encode())
    assert refused.value.status == 400


def test_an_answer_has_what_the_api_server_requires_and_nothing_it_refuses() -> None:
    denied = AdmissionResponse(
        uid="u",
        allowed=False,
        status=Status(429, "later", "TooManyRequests", StatusDetails(3)),
        warnings=("w",),
        audit_annotations={"decision": "pending"},
    )
    assert json.loads(encode_review(denied)) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {
            "uid": "u",
            "allowed": False,
            "status": {
                "code": 429,
                "message": "later",
                "reason": "TooManyRequests",
                "details": {"retryAfterSeconds": 3},
            },
            "warnings": ["w"],
            "auditAnnotations": {"decision": "pending"},
        },
    }
    allowed = json.loads(encode_review(AdmissionResponse(uid="u", allowed=True)))
    assert allowed["response"] == {"uid": "u", "allowed": True}
