"""The gate `dockerfile`: the effective user, instructions, whether a Dockerfile was given."""

import re
from collections.abc import Callable, Iterator, Mapping

from services.scanner.dockerfile import INSTRUCTIONS, read_dockerfile
from services.scanner.gates.effective_user import is_root, listed
from services.scanner.gates.trigger import (
    BOOLEAN,
    LIST_TYPE,
    CannotEvaluate,
    Hit,
    Param,
    Params,
    Sight,
    Trigger,
    one_of,
)

MAX_LINE = 64 * 1024


def _effective_user(sight: Sight, params: Params) -> Iterator[Hit]:
    users = frozenset(user.strip() for user in params["users"].split(","))
    user = sight.facts.user.strip()
    shown = user or "root"
    if is_root(shown) and shown not in users | {"root"}:
        shown = f"{shown} (root)"
    if params["type"] == "blacklist" and listed(user, users):
        yield Hit(f"User {shown} found as effective user, which is explicity not allowed")
    if params["type"] == "whitelist" and not listed(user, users):
        yield Hit(f"User {shown} found as effective user, which is not on the allowed list")


_LINE_CHECKS: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda line, value: line == value,
    "!=": lambda line, value: line != value,
    "exists": lambda line, value: True,
    "like": lambda line, value: re.match(value, line) is not None,
    "not_like": lambda line, value: re.match(value, line) is None,
    "in": lambda line, value: line in [part.strip() for part in value.split(",")],
    "not_in": lambda line, value: line not in [part.strip() for part in value.split(",")],
}


def _instruction(sight: Sight, params: Params) -> Iterator[Hit]:
    if params.get("actual_dockerfile_only") == "true" and sight.facts.dockerfile_mode != "Actual":
        return
    name, check, value = params["instruction"].upper(), params["check"], params.get("value", "")
    lines = read_dockerfile(sight.facts.dockerfile).get(name, [])
    if check == "not_exists":
        if not lines:
            yield Hit(
                f"Dockerfile directive '{name}' not found, matching condition '{check}' check"
            )
        return
    for line in lines:
        if len(line) > MAX_LINE:
            raise CannotEvaluate(f"a {name} line of the Dockerfile is over {MAX_LINE} characters")
        if _LINE_CHECKS[check](line, value):
            yield Hit(
                f"Dockerfile directive '{name}' check '{check}' matched against '{value}' "
                f"for line '{line}'"
            )


def _instruction_value(params: Params) -> str:
    check, value = params.get("check"), params.get("value", "")
    if check not in ("exists", "not_exists") and not value:
        return f"the check {check} needs a value"
    if check in ("like", "not_like"):
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            return f"value is no regular expression: {error}"
    return ""


def _no_dockerfile(sight: Sight, params: Params) -> Iterator[Hit]:
    if sight.facts.dockerfile_mode != "Actual":
        yield Hit("Image was not analyzed with an actual Dockerfile")


def _instruction_name(value: str) -> str:
    return "" if value.upper() in INSTRUCTIONS else "must be a Dockerfile instruction"


DOCKERFILE: Mapping[str, Trigger] = {
    "effective_user": Trigger(_effective_user, {"users": Param(required=True), "type": LIST_TYPE}),
    "instruction": Trigger(
        _instruction,
        {
            "instruction": Param(required=True, check=_instruction_name),
            "check": Param(required=True, check=one_of(*_LINE_CHECKS, "not_exists")),
            "value": Param(),
            "actual_dockerfile_only": BOOLEAN,
        },
        _instruction_value,
    ),
    "no_dockerfile_provided": Trigger(_no_dockerfile),
}
