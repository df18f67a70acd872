"""The event of a pipeline: what is taken, and what its author reads when it is wrong."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.generic import MAX_IMAGES, read_event
from services.intake.pushes import Found, Ignored, InvalidEvent
from tests.fakes.pushes import DIGEST

APP = "registry.corp/team/app"


def read(body: Any) -> Found:
    return read_event(json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "image", "announced"),
    [
        ({"reference": f"{APP}:1.4.2"}, f"{APP}:1.4.2", ""),
        ({"reference": APP}, f"{APP}:latest", ""),
        ({"reference": "team/app:1"}, "docker.io/team/app:1", ""),
        ({"reference": f"{APP}:1@{DIGEST}"}, f"{APP}:1", DIGEST),
        ({"reference": f"{APP}@{DIGEST}"}, f"{APP}@{DIGEST}", ""),
        ({"repository": APP, "tag": "1.4.2"}, f"{APP}:1.4.2", ""),
        ({"repository": APP, "tag": "1.4.2", "digest": DIGEST}, f"{APP}:1.4.2", DIGEST),
        ({"repository": APP, "digest": DIGEST}, f"{APP}@{DIGEST}", ""),
        ({"repository": "registry.corp:5000/app", "tag": "1"}, "registry.corp:5000/app:1", ""),
    ],
)
def test_an_image_is_named_by_reference_or_by_parts(body: Any, image: str, announced: str) -> None:
    (push,) = read(body).pushes
    assert (str(push.reference), push.announced) == (image, announced)


def test_several_images_are_a_list() -> None:
    found = read({"images": [{"reference": f"{APP}:1"}, {"repository": APP, "tag": "2"}]})
    assert [str(push.reference) for push in found.pushes] == [f"{APP}:1", f"{APP}:2"]


def test_signatures_are_ignored_here_too() -> None:
    found = read({"repository": APP, "tag": f"sha256-{'a' * 64}.sig"})
    assert found == Found(ignored=(Ignored.SIGNATURE,))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "name the image"),
        ({"tag": "1"}, "name the image"),
        ({"repository": APP}, "needs a tag, a digest or both"),
        ({"repository": f"{APP}:1", "digest": DIGEST}, "must not hold"),
        ({"repository": APP, "tag": f"1@{DIGEST}"}, "must not hold"),
        ({"repository": APP, "tag": DIGEST}, "upper-case|lower-case|tag"),
        ({"repository": APP, "tag": "a b"}, "the tag must be"),
        ({"repository": APP, "digest": "sha256:abc"}, "the digest must be"),
        ({"repository": "Team/App", "tag": "1"}, "lower-case"),
        ({"reference": f"{APP}:1", "tag": "1"}, "not both"),
        ({"reference": "sha256:" + "a" * 64}, "image id"),
        ({"reference": 5}, r"Expected `str`, got `int` - at `\$.reference`"),
        ({"referense": APP}, "unknown field `referense`"),
        ({"images": []}, "images must name 1 to 100, not 0"),
        ({"images": [{"reference": APP}] * (MAX_IMAGES + 1)}, "not 101"),
        ({"images": [{"reference": APP}], "tag": "1"}, "not both"),
        ({"images": [{"reference": APP}, {"repository": APP}]}, r"images\[1\]: the repository"),
        (
            {"images": [{"reference": APP, "tga": "1"}]},
            r"`tga` - at `\$.images\[0\]`",
        ),
        ([], "Expected `object`, got `array`"),
        (None, "Expected `object`"),
    ],
)
def test_what_is_wrong_is_said(body: Any, words: str) -> None:
    with pytest.raises(InvalidEvent, match=words) as caught:
        read(body)
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff", b"[" * 100_000, b'{"id": "\xff"}'])
def test_what_is_no_json_is_said(body: bytes) -> None:
    with pytest.raises(InvalidEvent, match="the body is not an event"):
        read_event(body)


def test_the_same_body_is_known_again_and_an_id_tells_two_apart() -> None:
    def key(**more: str) -> bytes:
        return read({"reference": f"{APP}:1", **more}).pushes[0].event

    assert key() == key()
    assert key(id="pipeline 1") != key(id="pipeline 2")


def test_images_of_one_body_are_different_events() -> None:
    found = read({"images": [{"reference": f"{APP}:1"}, {"reference": f"{APP}:2"}]})
    first, second = found.pushes
    assert first.event != second.event


texts = st.text(max_size=20) | st.sampled_from([APP, "1.0", DIGEST, f"{APP}:1", "@", ":"])
parts = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("reference", "repository", "tag", "digest"), texts)
)


@given(parts | st.fixed_dictionaries({"images": st.lists(parts, max_size=4)}))
def test_whatever_is_named_it_is_taken_ignored_or_refused_as_a_whole(body: Any) -> None:
    try:
        found = read(body)
    except InvalidEvent:
        return
    assert len(found.pushes) + len(found.ignored) == len(body.get("images", [body]))


@given(st.binary(max_size=200))
def test_whatever_bytes_come_the_answer_is_an_event_or_a_reason(body: bytes) -> None:
    with contextlib.suppress(InvalidEvent):
        assert read_event(body).pushes
