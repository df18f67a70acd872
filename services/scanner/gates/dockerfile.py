"""The gate `dockerfile`: the effective user, instructions, ports, whether one was given."""

from collections.abc import Iterator, Mapping

from services.scanner.dockerfile import INSTRUCTIONS, read_dockerfile
from services.scanner.gates.comparing import TEXTUAL, value_problem
from services.scanner.gates.effective_user import effective_user
from services.scanner.gates.exposed_ports import exposed_ports
from services.scanner.gates.params import Param, Values, boolean, names, one_of, ports
from services.scanner.gates.trigger import CannotEvaluate, Hit, Sight, Trigger

MAX_LINE = 64 * 1024

_LIST_TYPE = Param(one_of("whitelist", "blacklist"), required=True)
_ACTUAL_ONLY = Param(boolean)
_CHECKS = ("=", "!=", "exists", "not_exists", "like", "not_like", "in", "not_in")


def _instruction(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires for each line of an instruction that the check finds, or when there is none."""
    if values.get("actual_dockerfile_only") and sight.facts.dockerfile_mode != "Actual":
        return
    name, check, value = values["instruction"], values["check"], values.get("value", "")
    lines = read_dockerfile(sight.facts.dockerfile).get(name, [])
    if check == "not_exists" and not lines:
        yield Hit(f"Dockerfile directive '{name}' not found, matching condition '{check}' check")
    for line in lines if check != "not_exists" else ():
        if len(line) > MAX_LINE:
            raise CannotEvaluate(f"a {name} line of the Dockerfile is over {MAX_LINE} characters")
        if check == "exists" or TEXTUAL[check](line, value):
            yield Hit(
                f"Dockerfile directive '{name}' check '{check}' matched against '{value}' "
                f"for line '{line}'"
            )


def _no_dockerfile(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires for an image whose Dockerfile was not given with it."""
    if sight.facts.dockerfile_mode != "Actual":
        yield Hit("Image was not analyzed with an actual Dockerfile")


DOCKERFILE: Mapping[str, Trigger] = {
    "effective_user": Trigger(
        effective_user, {"users": Param(names, required=True), "type": _LIST_TYPE}
    ),
    "exposed_ports": Trigger(
        exposed_ports,
        {
            "ports": Param(ports, required=True),
            "type": _LIST_TYPE,
            "actual_dockerfile_only": _ACTUAL_ONLY,
        },
    ),
    "instruction": Trigger(
        _instruction,
        {
            "instruction": Param(one_of(*sorted(INSTRUCTIONS)), required=True),
            "check": Param(one_of(*_CHECKS), required=True),
            "value": Param(),
            "actual_dockerfile_only": _ACTUAL_ONLY,
        },
        lambda values: value_problem(values["check"], values.get("value", "")),
    ),
    "no_dockerfile_provided": Trigger(_no_dockerfile),
}
