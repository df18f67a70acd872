"""What is read out of Distribution's envelopes: images that a pod may want, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.distribution import MAX_EVENTS, read_envelope
from services.intake.pushes import Found, Ignored
from tests.fakes.images import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
)
from tests.fakes.pushes import DIGEST, HOST, SAMPLES, envelope, event, sample

HELM = "application/vnd.cncf.helm.config.v1+json"
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
OF_ANOTHER = f"sha256-{'a' * 64}"

OURS = ("distribution-", "gitlab-", "docker-registry-")
STRANGERS = sorted(path.stem for path in SAMPLES.glob("*.json") if not path.stem.startswith(OURS))


def images(found: Found) -> list[str]:
    return [str(push.reference) for push in found.pushes]


def why(**changed: Any) -> Ignored:
    """Why an event with these changes is ignored."""
    found = read_envelope(envelope(event(**changed)))
    assert not found.pushes
    (ignored,) = found.ignored
    return ignored


def test_a_push_by_tag_is_that_reference_and_its_digest_is_only_announced() -> None:
    (push,) = read_envelope(sample("distribution-envelope-push")).pushes
    assert str(push.reference) == "registry.example.com/team/app:1.4.2"
    assert push.announced.startswith("sha256:7f5b2640")


def test_gitlabs_envelope_is_the_same() -> None:
    found = read_envelope(sample("gitlab-self-managed-registry-envelope-push"))
    assert images(found) == ["registry.gitlab.example.com/group/project/app:main"]


def test_of_a_mixed_envelope_only_pushes_of_images_are_taken() -> None:
    found = read_envelope(sample("distribution-envelope-mixed"))
    assert images(found) == ["registry.example.com/team/app:1.4.2"] * 2
    assert found.ignored == (Ignored.BLOB, Ignored.ACTION, Ignored.ACTION)


def test_of_what_a_real_registry_sent_the_image_and_the_index_are_taken() -> None:
    found = read_envelope(sample("docker-registry-2.8.2-recorded"))
    assert images(found) == ["127.0.0.1:5000/team/app:1", "127.0.0.1:5000/team/many:1"]
    blobs, others, children = Ignored.BLOB, Ignored.ACTION, Ignored.UNTAGGED
    assert found.ignored == (blobs, blobs, others, others, blobs, children, others, blobs, children)


@pytest.mark.parametrize("name", STRANGERS)
def test_the_words_of_other_registries_are_not_understood(name: str) -> None:
    assert read_envelope(sample(name)) == Found(ignored=(Ignored.UNREADABLE,))


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX])
def test_the_four_kinds_of_images_are_taken(media_type: str) -> None:
    assert images(read_envelope(envelope(event(media_type=media_type)))) == [
        f"{HOST}/team/app:1.4.2"
    ]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"action": "pull"}, Ignored.ACTION),
        ({"action": "mount"}, Ignored.ACTION),
        ({"action": "delete"}, Ignored.ACTION),
        ({"action": ""}, Ignored.ACTION),
        ({"action": "PUSH"}, Ignored.ACTION),
        ({"media_type": "application/octet-stream"}, Ignored.BLOB),
        ({"media_type": OCI_CONFIG}, Ignored.BLOB),
        ({"media_type": DOCKER_CONFIG}, Ignored.BLOB),
        ({"media_type": OCI_LAYER}, Ignored.BLOB),
        ({"media_type": DOCKER_LAYER}, Ignored.BLOB),
        ({"media_type": "application/vnd.oci.image.layer.v1.tar+zstd"}, Ignored.BLOB),
        ({"media_type": SCHEMA1}, Ignored.MEDIA_TYPE),
        ({"media_type": ""}, Ignored.MEDIA_TYPE),
        ({"media_type": HELM}, Ignored.MEDIA_TYPE),
        ({"tag": ""}, Ignored.UNTAGGED),
        ({"tag": OF_ANOTHER}, Ignored.SIGNATURE),
        ({"tag": f"{OF_ANOTHER}.sig"}, Ignored.SIGNATURE),
        ({"tag": f"{OF_ANOTHER}.att"}, Ignored.SIGNATURE),
        ({"tag": f"{OF_ANOTHER}.sbom"}, Ignored.SIGNATURE),
        ({"artifactType": "application/vnd.in-toto+json"}, Ignored.ARTIFACT),
        ({"references": [{"mediaType": HELM}]}, Ignored.ARTIFACT),
        ({"references": [{"mediaType": "application/vnd.oci.empty.v1+json"}]}, Ignored.ARTIFACT),
        ({"tag": "../../etc"}, Ignored.NO_REFERENCE),
        ({"tag": DIGEST}, Ignored.NO_REFERENCE),
        ({"tag": f"1@{DIGEST}"}, Ignored.NO_REFERENCE),
        ({"repository": ""}, Ignored.NO_REFERENCE),
        ({"repository": "Team/App"}, Ignored.NO_REFERENCE),
        ({"repository": "team/app:1"}, Ignored.NO_REFERENCE),
        ({"repository": "a" * 300_000}, Ignored.NO_REFERENCE),
        ({"host": ""}, Ignored.NO_REFERENCE),
        ({"host": "registry"}, Ignored.NO_REFERENCE),
        ({"host": "registry.corp/other"}, Ignored.NO_REFERENCE),
        ({"host": "\u212aegistry.corp"}, Ignored.NO_REFERENCE),
        ({"host": "user@registry.corp"}, Ignored.NO_REFERENCE),
        ({"host": "https://registry.corp"}, Ignored.NO_REFERENCE),
        ({"repository": None}, Ignored.UNREADABLE),
        ({"references": "many"}, Ignored.UNREADABLE),
        ({"tag": 5}, Ignored.UNREADABLE),
    ],
)
def test_what_no_pod_may_want_is_ignored_and_says_why(
    changed: dict[str, Any], reason: Ignored
) -> None:
    assert why(**changed) is reason


@pytest.mark.parametrize("config", [OCI_CONFIG, DOCKER_CONFIG])
def test_a_manifest_that_refers_to_an_images_config_is_an_image(config: str) -> None:
    references = [{"mediaType": config}, {"mediaType": OCI_LAYER}]
    assert read_envelope(envelope(event(references=references))).pushes


def test_an_index_refers_to_manifests_and_is_an_image() -> None:
    references = [{"mediaType": OCI_MANIFEST}]
    assert read_envelope(envelope(event(media_type=OCI_INDEX, references=references))).pushes


def test_a_tag_that_only_begins_like_a_signatures_is_an_images() -> None:
    assert read_envelope(envelope(event(tag="sha256-abc"))).pushes


def test_the_url_may_say_which_host_pods_write() -> None:
    found = read_envelope(envelope(event(host="10.0.0.7:5000")), registry="registry.corp:5000")
    assert images(found) == ["registry.corp:5000/team/app:1.4.2"]


def test_a_host_is_compared_in_lower_case() -> None:
    assert images(read_envelope(envelope(event(host="Registry.Corp")))) == [
        "registry.corp/team/app:1.4.2"
    ]


def test_one_broken_event_spoils_no_other() -> None:
    body = json.dumps({"events": [None, 5, "x", {}, event(), {"target": None}]}).encode()
    found = read_envelope(body)
    assert images(found) == [f"{HOST}/team/app:1.4.2"]
    unreadable, action = Ignored.UNREADABLE, Ignored.ACTION
    assert found.ignored == (unreadable, unreadable, unreadable, action, unreadable)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"hello",
        b'{"events": null}',
        b'{"events": {}}',
        b'{"events": [',
        b"[" * 100_000,
        b'{"events": [' + b'{"a":' * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_envelope_counts_as_one_unreadable_event(body: bytes) -> None:
    assert read_envelope(body) == Found(ignored=(Ignored.UNREADABLE,))


def test_more_events_than_any_registry_sends_are_not_looked_at() -> None:
    body = b'{"events": [' + b",".join([b"{}"] * (MAX_EVENTS + 7)) + b"]}"
    found = read_envelope(body)
    assert found.ignored.count(Ignored.TOO_MANY) == 7
    assert len(found.ignored) == MAX_EVENTS + 7


def test_the_same_event_is_known_again_and_another_of_the_same_image_is_not() -> None:
    first, again, other = (
        read_envelope(envelope(each)).pushes[0].event
        for each in (event(event_id="a"), event(event_id="a"), event(event_id="b"))
    )
    assert first == again != other


def test_an_event_without_an_id_cannot_be_known_again() -> None:
    assert read_envelope(envelope(event(event_id=""))).pushes[0].event == b""


def test_a_digest_that_is_none_is_not_announced() -> None:
    assert read_envelope(envelope(event(digest="sha256:abc"))).pushes[0].announced == ""


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
texts = st.text(max_size=20) | st.sampled_from(["push", "team/app", "1.0", OCI_MANIFEST, HOST])
FIELDS = ("mediaType", "digest", "repository", "tag", "artifactType", "references")
targets = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, texts | anything))
events = st.fixed_dictionaries(
    {"action": st.just("push") | anything, "target": targets | anything},
    optional={"id": texts | anything, "request": st.fixed_dictionaries({"host": texts}) | anything},
)


@given(st.lists(events | anything, max_size=5), texts)
def test_whatever_stands_in_an_envelope_each_event_becomes_one_thing(
    written: list[Any], registry: str
) -> None:
    found = read_envelope(json.dumps({"events": written}).encode(), registry=registry)
    assert len(found.pushes) + len(found.ignored) == len(written)
    for push in found.pushes:
        assert push.reference.tag
        assert push.reference.digest is None


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_read_to_an_end(body: bytes) -> None:
    read_envelope(body)
