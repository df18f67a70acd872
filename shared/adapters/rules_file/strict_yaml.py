"""YAML in which every surprise is an error that names file, line and key.

Reads what `yaml.safe_load` reads, less what a configuration needs not and a person trips over:
anchors and aliases (one small file can stand for gigabytes), merge keys, duplicate keys,
unknown keys, several documents, values of another type than is wanted. `yes`, `no`, `on` and
`off` are switches as in YAML 1.1, so a text that looks like one must stand in quotes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

import yaml

from shared.domain.errors import InvalidRules

MAX_TEXT = 1024
MAX_ITEMS = 10_000

Choice = TypeVar("Choice", bound=StrEnum)
Made = TypeVar("Made")

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

    @property
    def raw(self) -> str:
        """A scalar as it is written, whatever YAML takes it for; empty for all else."""
        return str(self._node.value) if isinstance(self._node, yaml.ScalarNode) else ""

    @property
    def word(self) -> str:
        """What YAML takes it for: `a text`, `a list`."""
        return _WORDS.get(self._node.tag.removeprefix(_PREFIX), f"{self._node.tag[:100]!r}")

    def text(self, *, limit: int = MAX_TEXT, empty: bool = False) -> str:
        """A text of at most `limit` printable characters, `empty` only where that is said."""
        if self._node.tag != _TEXT:
            hint = "; put it in quotes" if self.raw else ""
            raise self.wrong(f"must be a text, not {self.word}{hint}")
        text = self.raw
        if len(text) > limit or not text.isprintable() or not (text or empty):
            hint = "" if text else "; if empty, leave it out"
            raise self.wrong(f"must be {0 if empty else 1} to {limit} printable characters{hint}")
        return text

    def made(self, make: Callable[[str], Made]) -> Made:
        """What `make` makes of a text; its ValueError is said with the place."""
        text = self.text()
        try:
            return make(text)
        except ValueError as error:
            raise self.wrong(str(error)) from error

    def flag(self) -> bool:
        """True or false."""
        if self._node.tag != _FLAG:
            raise self.wrong(f"must be true or false, not {self.word}")
        return self.raw.lower() in ("true", "yes", "on")

    def choice(self, choices: type[Choice]) -> Choice:
        """One of an enumeration."""
        return choices(self.one_of([str(each) for each in choices]))

    def one_of(self, valid: Sequence[str]) -> str:
        """One of a few words."""
        text = self.text()
        if text not in valid:
            shown = text[:100]
            raise self.wrong(
                f"{shown!r} is not one of {', '.join(valid)}; {_nearest(shown, valid)}"
            )
        return text

    def items(self) -> Iterator["Value"]:
        """The values of a list that is not empty."""
        node = self._node
        if not isinstance(node, yaml.SequenceNode):
            raise self.wrong(f"must be a list, not {self.word}")
        if not node.value or len(node.value) > MAX_ITEMS:
            raise self.wrong(f"must have 1 to {MAX_ITEMS} items; if it has none, leave it out")
        for index, item in enumerate(node.value):
            yield Value(item, file=self._file, way=f"{self._way}[{index}]")

    def fields(self, *, valid: Sequence[str], required: Iterable[str] = ()) -> dict[str, "Value"]:
        """The values of a mapping by key; each key is one of `valid` and stands once."""
        fields = self._by_key(valid)
        for key in required:
            if key not in fields:
                raise self.wrong(f"the key {key!r} is missing")
        return fields

    def mapping(self) -> dict[str, "Value"]:
        """The values of a mapping that is not empty, by keys that anybody may choose."""
        mapping = self._by_key()
        if not mapping or len(mapping) > MAX_ITEMS:
            raise self.wrong(f"must have 1 to {MAX_ITEMS} keys; if it has none, leave it out")
        return mapping

    def _by_key(self, valid: Sequence[str] = ()) -> dict[str, "Value"]:
        node = self._node
        if not isinstance(node, yaml.MappingNode):
            raise self.wrong(f"must be a mapping, not {self.word}")
        found: dict[str, Value] = {}
        for key_node, value_node in node.value:
            here = Value(key_node, file=self._file, way=self._way)
            key = here._key(valid) if valid else here.text()
            way = f"{self._way}.{key}" if self._way else key
            if key in found:
                raise Value(key_node, file=self._file, way=way).wrong("this key stands twice")
            found[key] = Value(value_node, file=self._file, way=way)
        return found

    def _key(self, valid: Sequence[str]) -> str:
        if self._node.tag != _TEXT:
            raise self.wrong(f"a key must be one of {', '.join(valid)}")
        if self.raw not in valid:
            shown = self.raw[:100]
            raise self.wrong(
                f"unknown key {shown!r}; {_nearest(shown, valid)} (valid here: {', '.join(valid)})"
            )
        return self.raw


def items_of(value: Value | None) -> tuple[Value, ...]:
    """The values of a list that may be left out."""
    return tuple(value.items()) if value is not None else ()


def _nearest(text: str, valid: Sequence[str]) -> str:
    (nearest,) = get_close_matches(text.lower(), valid, n=1, cutoff=0.0) or valid[:1]
    return f"the nearest valid one is {nearest!r}"
