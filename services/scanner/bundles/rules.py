"""Rules, read whole: gate, trigger and every parameter are known, or the rule is refused."""

from collections.abc import Iterator
from typing import Any

import msgspec

from services.scanner.bundles.problems import Problem
from services.scanner.bundles.shapes import WrittenPolicy, WrittenRule
from services.scanner.gates.params import Values
from services.scanner.gates.table import ENDED, NOT_HERE, TRIGGERS
from services.scanner.gates.trigger import Trigger

ACTIONS = ("go", "warn", "stop")
"""In their order."""

_DATA_RULE = ("vulnerabilities", "vulnerability_data_unavailable")


class Rule(msgspec.Struct, frozen=True):
    """A rule that can be applied."""

    id: str
    gate: str
    name: str
    """Of the trigger."""
    trigger: Trigger
    action: str
    values: Values


class Policy(msgspec.Struct, frozen=True):
    """A bundle's policy. Its rules stand gate by gate, as Engine applies them."""

    id: str
    rules: tuple[Rule, ...]
    asked: tuple[Values, ...]
    """What its rules about vulnerable packages ask for."""
    all_packages: bool
    """Whether it asks about vulnerabilities beyond the distribution's own packages."""


def read_policy(written: WrittenPolicy) -> Policy | list[Problem]:
    """The policy, or everything that is wrong with its rules."""
    read = [read_rule(rule) for rule in written.rules]
    problems = [problem for one in read if not isinstance(one, Rule) for problem in one]
    if problems:
        return problems
    rules = _with_silence_broken([one for one in read if isinstance(one, Rule)])
    gates = list(dict.fromkeys(rule.gate for rule in rules))
    vulnerable = [rule for rule in rules if rule.gate == "vulnerabilities"]
    asked = tuple(rule.values for rule in vulnerable if rule.name == "package")
    return Policy(
        id=written.id,
        rules=tuple(sorted(rules, key=lambda rule: gates.index(rule.gate))),
        asked=asked,
        all_packages=any(values["package_type"] != "os" for values in asked)
        or any(rule.name == "blacklist" for rule in vulnerable),
    )


def read_rule(written: WrittenRule) -> Rule | list[Problem]:
    """The rule, or everything that is wrong with it. As with Engine, capitals do not count in
    names and actions, and do in values."""
    where = f"(gate={written.gate},trigger={written.trigger},rule_id={written.id}"
    gate, name, action = (text.lower() for text in (written.gate, written.trigger, written.action))
    if problem := _name_problem(gate, name, where):
        return [problem]
    trigger = TRIGGERS[gate][name]
    values, problems = _read_values(written, trigger, where)
    if action not in ACTIONS:
        valid = [one.upper() for one in ACTIONS]
        problems.append(
            Problem(
                "InvalidGateAction",
                f"Invalid gate action specified {where},action={written.action},"
                f"valid_actions={valid})",
            )
        )
    if not problems and (wrong := trigger.check(values)):
        problems.append(Problem("ParameterValueInvalidError", f"{wrong} {where})"))
    return problems or Rule(written.id, gate, name, trigger, action, values)


def unknown_gate(gate: str, where: str) -> Problem | None:
    """What is wrong with the name of a gate. `where`: the opened bracket that says where it is."""
    if gate in TRIGGERS:
        return None
    if gate in ENDED:
        instead = f" and replaced with '{ENDED[gate]}'" if ENDED[gate] else ""
        return Problem(
            "EndOfLifedError",
            f"Gate {gate} has been End-of-Lifed. It will not be evaluated, and should be removed "
            f"from policies{instead} {where})",
        )
    return Problem(
        "GateNotFoundError",
        "The specified gate is not found in the policy engine as a valid gate name"
        f"{_why_not(gate, '')} {where},valid_gates={sorted(TRIGGERS)})",
    )


def _name_problem(gate: str, trigger: str, where: str) -> Problem | None:
    if problem := unknown_gate(gate, where):
        return problem
    if trigger in TRIGGERS[gate]:
        return None
    return Problem(
        "TriggerNotFoundError",
        f"Trigger not found for specified gate{_why_not(gate, trigger)} {where},"
        f"valid_triggers={sorted(TRIGGERS[gate])})",
    )


def _why_not(gate: str, trigger: str) -> str:
    why = NOT_HERE.get((gate, trigger))
    return f": {why}" if why else ""


def _read_values(
    written: WrittenRule, trigger: Trigger, where: str
) -> tuple[dict[str, Any], list[Problem]]:
    texts = {param.name.lower(): param.value for param in written.params}
    problems = [*_names_problems(written, texts, trigger, where)]
    values: dict[str, Any] = {}
    for name, param in trigger.params.items():
        if name not in texts or (param.required and not texts[name]):
            continue
        try:
            values[name] = param.read(texts[name])
        except ValueError as error:
            problems.append(
                Problem(
                    "ParameterValueInvalidError",
                    f"{name} {error} {where},parameter={name},value={texts[name]!r})",
                )
            )
    return values, problems


def _names_problems(
    written: WrittenRule, texts: dict[str, str], trigger: Trigger, where: str
) -> Iterator[Problem]:
    for name, param in trigger.params.items():
        if param.required and not texts.get(name):
            yield Problem("ParameterValueInvalidError", f"Required parameter {name} {where})")
    if len(texts) < len(written.params):
        yield Problem("InvalidParameterError", f"A parameter is there twice {where})")
    for name in sorted(texts.keys() - trigger.params.keys()):
        yield Problem(
            "InvalidParameterError",
            f"Rule validation error {where},parameter={name},"
            f"valid_parameters={sorted(trigger.params)})",
        )


def _with_silence_broken(rules: list[Rule]) -> list[Rule]:
    """The rules, and a warning of missing data where vulnerabilities are asked for without it.

    Otherwise a package that the feed does not cover would look clean.
    """
    asked = {(rule.gate, rule.name) for rule in rules}
    wanted = {("vulnerabilities", "package"), ("vulnerabilities", "blacklist")}
    if not asked & wanted or _DATA_RULE in asked:
        return rules
    gate, name = _DATA_RULE
    trigger = TRIGGERS[gate][name]
    return [*rules, Rule("imagegate-data-unavailable", gate, name, trigger, "warn", {})]
