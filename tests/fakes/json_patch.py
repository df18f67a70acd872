"""Applying a JSON Patch as an API server does: strictly, and only what /mutate may do."""

import base64
import json
from copy import deepcopy
from typing import Any


def apply_patch(response: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """The object after the response's patch; `content` itself where there is none."""
    if "patch" not in response:
        assert "patchType" not in response
        return content
    assert response["patchType"] == "JSONPatch"
    patched = deepcopy(content)
    for operation in json.loads(base64.b64decode(response["patch"], validate=True)):
        assert set(operation) == {"op", "path", "value"}
        assert operation["op"] == "replace"
        _replace(patched, operation["path"], operation["value"])
    return patched


def _replace(content: Any, path: str, value: str) -> None:
    """RFC 6902, 4.3: what is replaced must be there."""
    assert path.startswith("/")
    *way, last = path[1:].split("/")
    for step in way:
        content = content[int(step)] if isinstance(content, list) else content[step]
    assert isinstance(content[last], str)
    content[last] = value
