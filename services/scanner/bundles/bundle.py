"""Policy bundles: checked whole when they are pushed, nothing of them ever half applied.

Whatever the scanner does not know (gate, trigger, parameter, action, a form of mapping or
whitelist, listed images) is refused by name. Shapes: docs/design/anchore-engine.md 7.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from services.scanner.gates.table import TRIGGERS
from services.scanner.gates.trigger import Trigger
from shared.domain.errors import ImagegateError

MAX_BUNDLE = 1024 * 1024
VERSION = "1_0"


class Problem(msgspec.Struct, frozen=True):
    """One reason, in Engine's words: an entry of `validation_details`."""

    problem_type: str
    details: str
    severity: Literal["error"] = "error"


class InvalidBundle(ImagegateError):
    """A bundle that is refused, with every reason found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.details for problem in problems))
        self.problems = problems


class NoBundle(ImagegateError):
    """JSON that is not even shaped as a bundle; the message says which key is missing."""


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a bundle, all of whose keys are known."""


class RuleParam(_Known, frozen=True):
    """A parameter as written."""

    name: str
    value: str


class PolicyRule(_Known, frozen=True):
    """What must not be found, and what follows when it is."""

    gate: str
    trigger: str
    action: Literal["STOP", "WARN", "GO"]
    params: tuple[RuleParam, ...] = ()
    id: str = ""

    @property
    def values(self) -> dict[str, str]:
        """The parameters by name."""
        return {param.name: param.value for param in self.params}


class Rules(_Known, frozen=True):
    """A bundle's policy: a list of rules."""

    id: str
    rules: tuple[PolicyRule, ...]
    version: str = VERSION
    name: str = ""
    comment: str = ""


class WhitelistItem(_Known, frozen=True):
    """A finding that does not count; `*` may end the trigger id."""

    gate: str
    trigger_id: str
    id: str = ""

    def covers(self, gate: str, trigger_id: str) -> bool:
        """Whether it is about this finding."""
        if gate != self.gate:
            return False
        if self.trigger_id.endswith("*"):
            return trigger_id.startswith(self.trigger_id[:-1])
        return trigger_id == self.trigger_id


class Whitelist(_Known, frozen=True):
    """Findings that do not count."""

    id: str
    items: tuple[WhitelistItem, ...] = ()
    version: str = VERSION
    name: str = ""
    comment: str = ""


class MappedImage(_Known, frozen=True):
    """The last part of a mapping: a tag pattern."""

    type: str
    value: str


class Mapping(_Known, frozen=True):
    """Which images the policies and whitelists are for; `*` matches anything."""

    registry: str
    repository: str
    image: MappedImage
    policy_id: str | None = None
    policy_ids: tuple[str, ...] = ()
    whitelist_ids: tuple[str, ...] = ()
    id: str = ""
    name: str = ""

    @property
    def policies(self) -> tuple[str, ...]:
        """The ids of its policies."""
        return self.policy_ids or ((self.policy_id,) if self.policy_id else ())


class Bundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole bundle."""

    id: str
    version: str
    policies: tuple[Rules, ...]
    mappings: tuple[Mapping, ...]
    name: str = ""
    comment: str = ""
    description: str = ""
    whitelists: tuple[Whitelist, ...] = ()
    whitelisted_images: tuple[Any, ...] = ()
    blacklisted_images: tuple[Any, ...] = ()
    active: bool | None = None
    """Written into the bundle by Engine itself, and its `last_updated` too: no part of it."""
    last_updated: Any = None


def read_bundle(text: bytes) -> Bundle:
    """Raises NoBundle or InvalidBundle."""
    try:
        raw = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NoBundle(f"Request body is not valid JSON: {error}") from error
    if not isinstance(raw, dict):
        raise NoBundle(f"{type(raw).__name__} is not of type 'object'")
    for key in ("id", "version", "policies", "mappings"):
        if key not in raw:
            raise NoBundle(f"'{key}' is a required property")
    try:
        bundle = msgspec.convert(raw, Bundle)
    except msgspec.ValidationError as error:
        raise InvalidBundle([Problem("ValidationError", f"Not supported: {error}")]) from error
    if problems := [*_problems(bundle)]:
        raise InvalidBundle(problems)
    return bundle


def _problems(bundle: Bundle) -> Iterator[Problem]:
    if not bundle.id or bundle.version != VERSION:
        yield Problem("ValidationError", f"a bundle needs an id and the version {VERSION}")
    for key in ("whitelisted_images", "blacklisted_images"):
        if getattr(bundle, key):
            yield Problem("UnsupportedError", f"Not supported by this scanner: {key}")
    yield from _duplicates("policy", [policy.id for policy in bundle.policies])
    yield from _duplicates("whitelist", [whitelist.id for whitelist in bundle.whitelists])
    for policy in bundle.policies:
        for rule in policy.rules:
            yield from _rule_problems(rule)
    for whitelist in bundle.whitelists:
        for item in whitelist.items:
            yield from _item_problems(item)
    for mapping in bundle.mappings:
        yield from _mapping_problems(mapping, bundle)


def _duplicates(what: str, ids: list[str]) -> Iterator[Problem]:
    for one in sorted({one for one in ids if ids.count(one) > 1}):
        yield Problem("DuplicateIdentifierFoundError", f"the {what} id {one!r} is there twice")


def _rule_problems(rule: PolicyRule) -> Iterator[Problem]:
    where = f"(gate={rule.gate},trigger={rule.trigger},rule_id={rule.id}"
    triggers = TRIGGERS.get(rule.gate)
    if triggers is None:
        yield Problem("GateNotFoundError", f"Unknown gate {where},valid_gates={sorted(TRIGGERS)})")
        return
    trigger = triggers.get(rule.trigger)
    if trigger is None:
        yield Problem(
            "TriggerNotFoundError", f"Unknown trigger {where},valid_triggers={sorted(triggers)})"
        )
        return
    yield from _param_problems(rule, trigger, where)


def _param_problems(rule: PolicyRule, trigger: Trigger, where: str) -> Iterator[Problem]:
    values = rule.values
    if len(values) < len(rule.params):
        yield Problem("InvalidParameterError", f"A parameter is there twice {where})")
    for name, value in values.items():
        if name not in trigger.params:
            valid = f"valid_parameters={sorted(trigger.params)}"
            yield Problem(
                "InvalidParameterError", f"Unknown parameter {where},parameter={name},{valid})"
            )
        elif wrong := trigger.params[name].check(value):
            yield Problem("ParameterValueInvalidError", f"{name} {wrong} {where},value={value!r})")
    for name, param in trigger.params.items():
        if param.required and not values.get(name):
            yield Problem("ParameterValueInvalidError", f"Required parameter {name} {where})")
    if wrong := trigger.check(values):
        yield Problem("ParameterValueInvalidError", f"{wrong} {where})")


def _item_problems(item: WhitelistItem) -> Iterator[Problem]:
    if item.gate not in TRIGGERS:
        yield Problem(
            "GateNotFoundError",
            f"Unknown gate (whitelist_item={item.id},gate={item.gate},"
            f"valid_gates={sorted(TRIGGERS)})",
        )
    if "*" in item.trigger_id[:-1] or not item.trigger_id:
        yield Problem(
            "UnsupportedError",
            f"A whitelisted trigger_id may hold * at its end only (whitelist_item={item.id},"
            f"trigger_id={item.trigger_id!r})",
        )


def _mapping_problems(mapping: Mapping, bundle: Bundle) -> Iterator[Problem]:
    if mapping.image.type != "tag":
        yield Problem(
            "UnsupportedError",
            f"Mappings by {mapping.image.type!r} are not supported by this scanner, only by tag "
            f"(mapping_id={mapping.id})",
        )
    if not mapping.policies:
        yield Problem("ValidationError", f"A mapping names no policy (mapping_id={mapping.id})")
    known = {"policy": {one.id for one in bundle.policies}}
    known["whitelist"] = {one.id for one in bundle.whitelists}
    for kind, ids in (("policy", mapping.policies), ("whitelist", mapping.whitelist_ids)):
        for one in ids:
            if one not in known[kind]:
                yield Problem(
                    "ReferencedObjectNotFoundError",
                    f"Referenced object not found (reference_type={kind},reference_id={one})",
                )
