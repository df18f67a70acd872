"""The gate `metadata`: what an image says of itself."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.scanner.gates.comparing import NEED_NO_VALUE, ORDERED, TEXTUAL, value_problem
from services.scanner.gates.params import Param, Values, one_of, size, whole_number
from services.scanner.gates.trigger import CannotEvaluate, Hit, Sight, Trigger
from services.scanner.records import ImageFacts

_TEXTS: Mapping[str, Callable[[ImageFacts], str]] = {
    "architecture": lambda facts: facts.architecture,
    "os_type": lambda facts: facts.os_type,
    "distro": lambda facts: facts.distro,
    "distro_version": lambda facts: facts.distro_version,
    "like_distro": lambda facts: ",".join(facts.distro_like) or facts.distro,
}
_NUMBERS: Mapping[str, Callable[[ImageFacts], int]] = {
    "size": lambda facts: facts.size,
    "layer_count": lambda facts: facts.layers,
}
_READERS = {"size": size, "layer_count": whole_number}
_CHECKS = ("=", "!=", ">", "<", ">=", "<=", "exists", "not_exists", "like", "not_like")
_DOTTED = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,9}")


def _attribute(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires when what the image says of itself fits the check."""
    name, check = values["attribute"], values["check"]
    value = values.get("value", "")
    found = (_NUMBERS.get(name) or _TEXTS[name])(sight.facts)
    if check in NEED_NO_VALUE:
        fires = bool(found) == (check == "exists")
    elif isinstance(found, int):
        value = _READERS[name](value)
        fires = ORDERED[check](found, value)
    elif not found:
        raise CannotEvaluate(f"the image does not say what its {name} is")
    else:
        fires = _compare_texts(name, check, found, value)
    if fires:
        yield Hit(
            f"Attribute check for attribute: '{name}' check: '{check}' check_value: '{value}' "
            f"matched image value: '{found}'"
        )


def _compare_texts(name: str, check: str, found: str, value: str) -> bool:
    if check in TEXTUAL:
        return TEXTUAL[check](found, value)
    order: tuple[Any, Any] = (found, value)
    if name == "distro_version" and _DOTTED.fullmatch(found) and _DOTTED.fullmatch(value):
        order = (_numbers(found), _numbers(value))
    return ORDERED[check](*order)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def _together(values: Values) -> str:
    name, check, value = values["attribute"], values["check"], values.get("value", "")
    if check in NEED_NO_VALUE or name not in _READERS:
        return value_problem(check, value)
    if check not in ORDERED:
        return f"{name} is a number, and cannot be compared with {check}"
    try:
        _READERS[name](value)
    except ValueError as error:
        return f"value {error}"
    return ""


METADATA: Mapping[str, Trigger] = {
    "attribute": Trigger(
        _attribute,
        {
            "attribute": Param(one_of(*_TEXTS, *_NUMBERS), required=True),
            "check": Param(one_of(*_CHECKS, "in", "not_in"), required=True),
            "value": Param(),
        },
        _together,
    ),
}
