"""Objects to review: out of a YAML file with any number of documents."""

from pathlib import Path
from typing import Any

import msgspec

from services.cli.yaml_documents import NoYaml, documents, objects_in
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
    """Every object of `path`; the items of a list each. Raises UnreadableObjects."""
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_FILE + 1)
        if len(text) > MAX_FILE:
            raise UnreadableObjects(f"{path} is larger than {MAX_FILE} bytes")
        read = [each for each in documents(text) if each is not None]
    except OSError as error:
        raise UnreadableObjects(f"cannot read {path}: {error.strerror}") from error
    except NoYaml as error:
        raise UnreadableObjects(f"{path} cannot be read as YAML: {error}") from error
    return [_manifest(each, path) for document in read for each in objects_in(document)]


def _manifest(content: Any, path: Path) -> Manifest:
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise UnreadableObjects(f"{path} holds something without a kind: it is no object")
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = metadata.get("name") or metadata.get("generateName") or "without a name"
    namespace = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return Manifest(content["kind"], f"{content['kind']} {namespace}{name}", content)
