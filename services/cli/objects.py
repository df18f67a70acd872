"""Objects to review: out of a YAML file with any number of documents."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

from shared.domain.errors import ImagegateError

MAX_FILE = 8 * 1024 * 1024


class UnreadableObjects(ImagegateError):
    """A file that holds no Kubernetes objects; the message names it and the reason."""


class Manifest(msgspec.Struct, frozen=True):
    """One object of a file."""

    kind: str
    title: str
    """`Pod default/web`."""
    content: dict[str, Any]


def read_objects(path: Path) -> list[Manifest]:
    """Every object of `path`; the items of a List each. Raises UnreadableObjects."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_FILE + 1)
        if len(text) > MAX_FILE:
            raise UnreadableObjects(f"{path} is larger than {MAX_FILE} bytes")
        documents = list(yaml.safe_load_all(text))
    except OSError as error:
        raise UnreadableObjects(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UnreadableObjects(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return [_manifest(content, path) for content in _flattened(documents)]


def _flattened(documents: list[Any]) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            items = document.get("items")
            yield from items if isinstance(items, list) else [items]
        elif document is not None:
            yield document


def _manifest(content: Any, path: Path) -> Manifest:
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise UnreadableObjects(f"{path} holds something without a kind: it is no object")
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or metadata.get("generateName") or "without a name"
    namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return Manifest(content["kind"], f"{content['kind']} {namespace}{name}", content)
