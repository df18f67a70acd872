"""How rules compare: numbers, severities and texts, by the signs and words of a bundle."""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from services.scanner.gates.params import pattern

ORDERED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}

TEXTUAL: Mapping[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "like": lambda text, value: pattern(value).match(text) is not None,
    "not_like": lambda text, value: pattern(value).match(text) is None,
    "in": lambda text, value: text in _parts(value),
    "not_in": lambda text, value: text not in _parts(value),
}
"""`like` fits from the beginning of the text, not to its end."""

NEED_NO_VALUE = ("exists", "not_exists")


def value_problem(check: str, value: str) -> str:
    """What is wrong with a check and its value, by themselves; empty: nothing."""
    if check in NEED_NO_VALUE:
        return ""
    if not value:
        return f"the check {check} needs a value"
    if check in ("like", "not_like"):
        try:
            pattern(value)
        except ValueError as error:
            return f"value {error}"
    return ""


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",")]
