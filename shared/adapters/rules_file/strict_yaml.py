"""YAML in which every surprise is an error that names file, line and key.

Reads what `yaml.safe_load` reads, less what a configuration needs not and a person trips over:
anchors and aliases (one small file can stand for gigabytes), merge keys, duplicate keys,
unknown keys, several documents, values of another type than is wanted. `yes`, `no`, `on` and
`off` are switches as in YAML 1.1, so a text that looks like one must stand in quotes.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent, Event, NodeEvent

from shared.domain.errors import InvalidRules

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
MAX_TEXT = 1024
MAX_ITEMS = 10_000
MAX_VALUES = 50_000

Choice = TypeVar("Choice", bound=StrEnum)

_PREFIX = "tag:yaml.org,2002:"
_TEXT, _FLAG = f"{_PREFIX}str", f"{_PREFIX}bool"
_WORDS = {
    "str": "a text",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
    "seq": "a list",
    "map": "a mapping",
}


class Value:
    """One node of a file, with the way to it: `registries[0].host`."""

    def __init__(self, node: yaml.Node, *, file: str, way: str = "") -> None:
        self._node = node
        self._file = file
        self._way = way

    def wrong(self, what: str) -> InvalidRules:
        """The error that says what is wrong here."""
        way = f" {self._way}:" if self._way else ""
        return InvalidRules(f"{self._file}:{self._node.start_mark.line + 1}:{way} {what}")

    def text(self) -> str:
        """A text of printable characters, not empty."""
        node = self._node
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT:
            plain = isinstance(node, yaml.ScalarNode) and node.value
            hint = "; put it in quotes" if plain else ""
            raise self.wrong(f"must be a text, not {self._word()}{hint}")
        text = str(node.value)
        if not text or len(text) > MAX_TEXT or not text.isprintable():
            raise self.wrong(
                f"must be 1 to {MAX_TEXT} printable characters; if empty, leave it out"
            )
        return text

    def flag(self) -> bool:
        """True or false."""
        node = self._node
        if not isinstance(node, yaml.ScalarNode) or node.tag != _FLAG:
            raise self.wrong(f"must be true or false, not {self._word()}")
        return str(node.value).lower() in ("true", "yes", "on")

    def choice(self, choices: type[Choice]) -> Choice:
        """One of a few words."""
        text, valid = self.text(), [str(each) for each in choices]
        if text not in valid:
            raise self.wrong(f"{text!r} is not one of {', '.join(valid)}; {_nearest(text, valid)}")
        return choices(text)

    def items(self) -> Iterator["Value"]:
        """The values of a list that is not empty."""
        node = self._node
        if not isinstance(node, yaml.SequenceNode):
            raise self.wrong(f"must be a list, not {self._word()}")
        if not node.value or len(node.value) > MAX_ITEMS:
            raise self.wrong(f"must have 1 to {MAX_ITEMS} items; if it has none, leave it out")
        for index, item in enumerate(node.value):
            yield Value(item, file=self._file, way=f"{self._way}[{index}]")

    def fields(self, *, valid: Iterable[str], required: Iterable[str] = ()) -> dict[str, "Value"]:
        """The values of a mapping by key; each key is one of `valid` and stands once."""
        node, valid = self._node, list(valid)
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(f"must be a mapping, not {self._word()}")
        fields: dict[str, Value] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, valid)
            way = f"{self._way}.{key}" if self._way else key
            field = Value(value_node, file=self._file, way=way)
            if key in fields:
                raise Value(key_node, file=self._file, way=way).wrong("this key stands twice")
            fields[key] = field
        for key in required:
            if key not in fields:
                raise self.wrong(f"the key {key!r} is missing")
        return fields

    def _key(self, node: yaml.Node, valid: list[str]) -> str:
        here = Value(node, file=self._file, way=self._way)
        if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT:
            raise here.wrong(f"a key must be one of {', '.join(valid)}")
        if node.value not in valid:
            shown = str(node.value)[:100]
            raise here.wrong(
                f"unknown key {shown!r}; {_nearest(shown, valid)} (valid here: {', '.join(valid)})"
            )
        return str(node.value)

    def _word(self) -> str:
        return _WORDS.get(self._node.tag.removeprefix(_PREFIX), f"{self._node.tag[:100]!r}")


def read_yaml(path: Path) -> Value:
    """The one document of a file, at most 1 MiB. Raises InvalidRules."""
    file = str(path)
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise InvalidRules(
            f"{file}: cannot be read: {reason}; write the file, or correct IMAGEGATE_RULES"
        ) from error
    if len(content) > MAX_BYTES:
        raise InvalidRules(f"{file}: is larger than {MAX_BYTES} bytes")
    try:
        node = _compose(content.decode("utf-8-sig"), file)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidRules(f"{file}:{line}: is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InvalidRules(f"{file}:{line}: {error.problem or 'is not YAML'}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRules(f"{file}: is not YAML: it has characters that YAML does not") from error
    if node is None:
        raise InvalidRules(f"{file}:1: is empty; an empty file decides nothing")
    return Value(node, file=file)


def _compose(text: str, file: str) -> yaml.Node | None:
    """The one document's nodes; what would let it grow is refused before they are made."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        problem = _problem(event, depth, count)
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise InvalidRules(f"{file}:{line}: {problem}")
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _problem(event: Event, depth: int, count: int) -> str:
    if count > MAX_VALUES:
        return f"more than {MAX_VALUES} values"
    if isinstance(event, NodeEvent) and event.anchor:
        return "anchors and aliases are not taken; write the value out"
    if getattr(event, "tag", None):
        return "tags are not taken; write the value alone"
    return f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else ""


def _nearest(text: str, valid: list[str]) -> str:
    (nearest,) = get_close_matches(text.lower(), valid, n=1, cutoff=0.0) or valid[:1]
    return f"the nearest valid one is {nearest!r}"
