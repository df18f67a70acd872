"""The patch of /mutate, applied as an API server applies it."""

import base64
import json
from typing import Any

import pytest

from services.cli.pins import Pin, UnusablePatch, pinned
from tests.fakes.json_patch import apply_patch
from tests.house import pod


def patch(*operations: Any) -> str:
    return base64.b64encode(json.dumps(operations).encode()).decode()


def replace(path: str, value: Any = "b:1", op: str = "replace") -> dict[str, Any]:
    return {"op": op, "path": path, "value": value}


def test_images_are_replaced_and_the_object_that_was_given_stays_as_it_is() -> None:
    content = pod("a:1", "a:2", more={"volumes": [{"name": "v", "image": {"reference": "c:1"}}]})
    before = json.dumps(content)
    text = patch(
        replace("/spec/containers/1/image"), replace("/spec/volumes/0/image/reference", "c:2")
    )
    changed, pins = pinned(content, text)
    assert changed == apply_patch({"patch": text, "patchType": "JSONPatch"}, content)
    assert changed["spec"]["containers"][1]["image"] == "b:1"
    assert pins == (
        Pin("/spec/containers/1/image", "a:2", "b:1"),
        Pin("/spec/volumes/0/image/reference", "c:1", "c:2"),
    )
    assert json.dumps(content) == before


def test_a_key_is_found_whatever_is_in_it() -> None:
    changed, _ = pinned({"a/b~1": {"x": "a:1"}}, patch(replace("/a~1b~01/x")))
    assert changed == {"a/b~1": {"x": "b:1"}}


@pytest.mark.parametrize(
    "text",
    [
        "not base64!",
        base64.b64encode(b"not JSON").decode(),
        patch("no operation"),
        patch(replace("/spec/containers/0/image", value=1)),
        patch(replace("")),
        patch(replace("spec")),
        patch(replace("/spec")),
        patch(replace("/spec/containers")),
        patch(replace("/spec/containers/0")),
        patch(replace("/spec/containers/7/image")),
        patch(replace("/spec/containers/first/image")),
        patch(replace("/spec/containers/0/image/x")),
        patch(replace("/spec/nothing")),
        patch(replace("/spec/containers/0/image", op="remove")),
        patch(replace("/spec/containers/0/image", op="add")),
    ],
)
def test_what_no_api_server_would_take_of_us_is_refused(text: str) -> None:
    with pytest.raises(UnusablePatch, match="its patch"):
        pinned(pod("a:1"), text)
