"""Parts of a policy document, each with the way to it, for messages that say where."""

import hashlib
from collections.abc import Iterator

import msgspec

from shared.domain.errors import InvalidPolicy

MAX_SHOWN = 60
"""Characters of a value in a message."""

Fields = dict[str, object]


class Part:
    """A JSON object of a document and the way to it: `policies[0].rules[2]`, empty for all of it.

    Every method raises InvalidPolicy for what is not of the document's form.
    """

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise InvalidPolicy(f"{path or 'the document'}: must be an object, not {_shown(value)}")
        self._fields: Fields = value
        self.path = path

    def at(self, key: str) -> str:
        """The way to one of its fields."""
        return f"{self.path}.{key}" if self.path else key

    def only(self, *known: str, form: str) -> None:
        """It has no other fields."""
        for key in self._fields:
            if key not in known:
                raise InvalidPolicy(
                    f"{self.at(_shown(key))}: a {form} policy has no such field here, so that "
                    f"nothing says what it means; take it out, or write one of {', '.join(known)}"
                )

    def has(self, key: str) -> bool:
        """Whether the field is there and holds something."""
        return self._fields.get(key) not in (None, "", [], {})

    def text(self, key: str) -> str:
        """A field that must be there and not be empty."""
        text = self.text_or(key, "")
        if not text:
            raise InvalidPolicy(f"{self.at(key)}: is missing; give it")
        return text

    def text_or(self, key: str, default: str) -> str:
        """A field that may be missing or null."""
        value = self._fields.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            raise InvalidPolicy(
                f"{self.at(key)}: must be a text, not {_shown(value)}; write it in quotes"
            )
        return value or default

    def one_of(self, key: str, *allowed: str) -> str:
        """A text that is one of a few."""
        text = self.text(key)
        if text not in allowed:
            raise InvalidPolicy(f"{self.at(key)}: {_shown(text)} is none of {', '.join(allowed)}")
        return text

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty where it is missing."""
        value = self._fields.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise InvalidPolicy(f"{self.at(key)}: must be a list of texts, not {_shown(value)}")
        return list(value)

    def part(self, key: str) -> "Part":
        """A field that is an object."""
        return Part(self._fields.get(key), self.at(key))

    def each(self, key: str) -> Iterator["Part"]:
        """The objects of a list; none where it is missing."""
        value = self._fields.get(key)
        if value is not None and not isinstance(value, list):
            raise InvalidPolicy(f"{self.at(key)}: must be a list, not {_shown(value)}")
        for number, one in enumerate(value or []):
            yield Part(one, f"{self.at(key)}[{number}]")

    def kept(self, key: str, name: str | None = None) -> Fields:
        """The text under `name` in the other form; nothing where it is missing or null."""
        value = self._fields.get(key)
        return {} if value is None else {name or key: self.text_or(key, "")}

    def made_id(self, taken: set[str]) -> str:
        """Its id, or one made of its content, so that converting again makes the same; no other
        of the list has it, which is kept in `taken`."""
        given = self.text_or("id", "")
        if given and given in taken:
            raise InvalidPolicy(f"{self.at('id')}: {_shown(given)} stands twice; give it another")
        name, number = given or f"made-{_hash(self._fields)}", 2
        while name in taken:
            name, number = f"made-{_hash(self._fields)}-{number}", number + 1
        taken.add(name)
        return name


def _hash(content: Fields) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:12]


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."
