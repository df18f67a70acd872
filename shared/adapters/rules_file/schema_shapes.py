"""What a schema is put together from."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.adapters.rules_file.strict_yaml import MAX_ITEMS, MAX_TEXT

Schema = dict[str, Any]

PRINTABLE = r"[^\x00-\x1f\x7f]*"


def fields(
    description: str,
    properties: Mapping[str, Schema],
    *,
    required: Iterable[str] = (),
    conditions: Iterable[Schema] = (),
) -> Schema:
    """A mapping with these keys and no other."""
    whole: Schema = {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "additionalProperties": False,
    }
    if required := list(required):
        whole["required"] = required
    if conditions := list(conditions):
        whole["allOf"] = conditions
    return whole


def list_of(description: str, items: Schema, *, most: int = MAX_ITEMS) -> Schema:
    """A list that is not empty."""
    return {
        "type": "array",
        "description": description,
        "minItems": 1,
        "maxItems": most,
        "items": items,
    }


def texts_by_key(description: str, values: Schema, *, keys: str) -> Schema:
    """A mapping, not empty, whose keys anybody may choose among `keys` (a pattern)."""
    return {
        "type": "object",
        "description": description,
        "minProperties": 1,
        "maxProperties": MAX_ITEMS,
        "propertyNames": {"pattern": f"^(?:{keys})$"},
        "additionalProperties": values,
    }


def text(
    description: str,
    pattern: str = PRINTABLE,
    *,
    least: int = 1,
    most: int = MAX_TEXT,
    examples: Iterable[str] = (),
) -> Schema:
    """A text that the whole of `pattern` fits."""
    text: Schema = {
        "type": "string",
        "description": description,
        "minLength": least,
        "maxLength": most,
        "pattern": f"^(?:{pattern})$",
    }
    return text | ({"examples": list(examples)} if examples else {})


def short_text(description: str, *, most: int) -> Schema:
    """A printable text of at most `most` characters that is not all blanks."""
    return text(description, rf"{PRINTABLE}\S{PRINTABLE}", most=most)


def one_of(description: str, words: Iterable[str]) -> Schema:
    """One of a few words."""
    return {"description": description, "enum": [str(word) for word in words]}
