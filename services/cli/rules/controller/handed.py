"""A file of Anchore's own admission controller, out of whatever it is handed over in.

As it is mounted; or in the ConfigMap or the Secret that has it, alone or among other objects, as
`kubectl get` and `helm get manifest` print them.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from services.cli.yaml_documents import NoYaml, TooManyAliases, documents, objects_in
from shared.domain.errors import ImagegateError

MAX_BYTES = 1024 * 1024

MAX_KINDS = 8
"""That a message names."""


class UnreadableController(ImagegateError):
    """A file that is no configuration of that controller; the message says why."""


class Handed(msgspec.Struct, frozen=True):
    """What a file holds: just what is meant, or objects of which one has it."""

    path: Path
    found: list[Any]
    """Its documents but for empty ones; of lists each item."""

    @property
    def has_objects(self) -> bool:
        """Whether it is to be looked for in objects."""
        named = any(isinstance(each, dict) and "kind" in each for each in self.found)
        return named or len(self.found) > 1

    def content(self, name: str) -> Any:
        """What is meant; of objects what the file `name` in one of them holds. Raises
        UnreadableController, also where none or several have it."""
        if not self.has_objects:
            return self.found[0] if self.found else None
        held = self._held(name)
        if held is None:
            kinds = sorted({str(one.get("kind")) for one in self.found if isinstance(one, dict)})
            raise UnreadableController(
                f"{self.path}: no ConfigMap or Secret in it has {name} (it holds: "
                f"{', '.join(kinds[:MAX_KINDS])[:200]}): give the one that has, or {name} itself"
            )
        return self._parsed(held, name)

    def beside(self, name: str) -> Any:
        """What the file `name` in one of the objects holds; None where there is none. Raises
        UnreadableController."""
        held = self._held(name)
        return None if held is None else self._parsed(held, name)

    def _held(self, name: str) -> bytes | None:
        held = [text for each in self.found for text in self._files(each, name)]
        if len(held) > 1:
            raise UnreadableController(
                f"{self.path}: {len(held)} objects in it have {name}: leave the one that is meant"
            )
        return held[0] if held else None

    def _files(self, found: Any, name: str) -> Iterator[bytes]:
        """The file of that name in a ConfigMap or a Secret, if it has it."""
        kind = found.get("kind") if isinstance(found, dict) else None
        if kind not in ("ConfigMap", "Secret"):
            return
        # What a Secret says in plain text the API server takes in place of the other.
        plain = _text(found, "stringData" if kind == "Secret" else "data", name)
        coded = _text(found, "data", name)
        if plain is not None:
            yield plain.encode()
        elif coded is not None:
            yield self._decoded(coded, name)

    def _decoded(self, text: str, name: str) -> bytes:
        try:
            # Of a Secret as Helm writes it, with line breaks, Kubernetes takes no notice of them.
            return base64.b64decode("".join(text.split()), validate=True)
        except ValueError as error:
            raise UnreadableController(f"{self.path}: {name} in it is no base64") from error

    def _parsed(self, held: bytes, name: str) -> Any:
        found = _documents(held, self.path)
        if len(found) > 1:
            raise UnreadableController(f"{self.path}: {name} in it is {len(found)} documents")
        return found[0] if found else None


def handed_over(path: Path) -> Handed:
    """Reads it, once: it may be a pipe. Raises UnreadableController."""
    return Handed(path, _documents(_bytes(path), path))


def _text(found: Mapping[str, Any], where: str, name: str) -> str | None:
    data = found.get(where)
    held = data.get(name) if isinstance(data, dict) else None
    return held if isinstance(held, str) else None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableController(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise UnreadableController(f"{path}: is larger than {MAX_BYTES} bytes")
    return content


def _documents(content: bytes, path: Path) -> list[Any]:
    try:
        read = [each for each in _read(content) if each is not None]
        return [item for each in read for item in objects_in(each)]
    except TooManyAliases as error:
        raise UnreadableController(f"{path}: {error}") from error
    except (NoYaml, RecursionError, ValueError) as error:
        # What is wrong in it is not shown: it may be a password.
        raise UnreadableController(f"{path}: is neither JSON nor YAML") from error


def _read(content: bytes) -> list[Any]:
    # JSON is YAML too, but for tabs; the chart's values hold the same in YAML.
    with suppress(msgspec.DecodeError):
        return [msgspec.json.decode(content)]
    return list(documents(content))
