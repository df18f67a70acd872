"""Rules: what an image must satisfy, and what is refused since it would mean less than it says."""

from collections.abc import Collection, Mapping

import msgspec

from shared.adapters.rules_file.matches import match_of
from shared.adapters.rules_file.strict_yaml import Value
from shared.adapters.rules_file.times import UNITS, duration
from shared.domain.rules import Mode, PinWhat, PolicyChoice, Requirement, Rule, Tags

TERMS = ("mode", "require", "policy", "turnGrace", "pin", "tags")
KEYS = ("name", "match", *TERMS)
POLICY = ("account", "id")

MAX_RULES = 1_000
MAX_NAME = 63
MAX_GRACE = 7 * UNITS["d"]
PINS = (PinWhat.PODS.value, PinWhat.NONE.value)
DEFAULT = "default"

Fields = Mapping[str, Value]


def default_of(value: Value) -> Rule:
    """The rule for what no other matches."""
    return _rule(value.fields(valid=TERMS), DEFAULT)


def rules_of(value: Value) -> tuple[Rule, ...]:
    """The rules in their order; each can be reached."""
    rules: list[Rule] = []
    names: set[str] = set()
    above = _Above()
    for item in value.items():
        if len(rules) == MAX_RULES:
            raise item.wrong(f"more than {MAX_RULES} rules: match by globs and labels instead")
        rule = _named(item, names)
        _reachable(item, rule, above)
        rules.append(rule)
        names.add(rule.name)
    return tuple(rules)


def _named(value: Value, taken: Collection[str]) -> Rule:
    fields = value.fields(valid=KEYS, required=["name"])
    name = fields["name"].text(limit=MAX_NAME)
    if name != name.strip():
        raise fields["name"].wrong("has blanks around it, which nobody would see")
    if name == DEFAULT:
        raise fields["name"].wrong(
            f"{DEFAULT!r} is what holds where no rule matches; choose another"
        )
    if name in taken:
        raise fields["name"].wrong(f"{name!r} stands above; answers and metrics tell rules by name")
    if "match" not in fields:
        raise value.wrong(
            "the key 'match' is missing; what holds for all that no rule matches is `default`"
        )
    rule = _rule(fields, name)
    match = match_of(fields["match"], tags=rule.mode is Mode.DENY)
    if match.by_author:
        _only_adds(fields, rule)
    return msgspec.structs.replace(rule, match=match)


def _rule(fields: Fields, name: str) -> Rule:
    mode = fields["mode"].choice(Mode) if "mode" in fields else Mode.ENFORCE
    if mode in (Mode.ALLOW, Mode.DENY):
        for key in TERMS:
            if key in fields and key != "mode":
                raise fields[key].wrong(
                    f"means nothing with mode {mode}, which asks nobody; leave it out"
                )
    return Rule(
        name=name,
        mode=mode,
        require=(
            fields["require"].choice(Requirement) if "require" in fields else Requirement.POLICY
        ),
        policy=_policy(fields["policy"]) if "policy" in fields else PolicyChoice(),
        turn_grace=_turn_grace(fields["turnGrace"]) if "turnGrace" in fields else 0,
        pin=PinWhat(fields["pin"].one_of(PINS)) if "pin" in fields else None,
        tags=fields["tags"].choice(Tags) if "tags" in fields else None,
    )


def _policy(value: Value) -> PolicyChoice:
    fields = value.fields(valid=POLICY)
    for field in fields.values():
        if not field.text().isascii():
            raise field.wrong("has characters outside ASCII, which no name in Anchore has")
    return PolicyChoice(**{key: field.text() for key, field in fields.items()})


def _turn_grace(value: Value) -> int:
    grace = duration(value)
    if grace > MAX_GRACE:
        raise value.wrong("must be 7d at most, as old as a verdict can be")
    return grace


def _only_adds(fields: Fields, rule: Rule) -> None:
    """A rule about what an author writes: anything laxer could be had by writing it."""
    why = (
        "a rule about labels, annotations or kinds only adds a demand, since whoever writes an "
        "object chooses them"
    )
    if rule.mode not in (Mode.ENFORCE, Mode.DENY):
        raise fields["mode"].wrong(f"{rule.mode}: {why}; its mode is enforce or deny")
    lax = {
        "turnGrace": "turnGrace" in fields,
        "pin": rule.pin is PinWhat.NONE,
        "tags": rule.tags is Tags.ALLOW,
    }
    for key, is_lax in lax.items():
        if is_lax:
            raise fields[key].wrong(f"{why}; leave it out")


def _reachable(value: Value, rule: Rule, above: "_Above") -> None:
    """What an author writes never chooses, so that such rules neither hide nor are hidden."""
    if rule.match.by_author:
        return
    other = above.hiding(rule)
    if other is not None:
        raise value.wrong(
            f"is never reached: {other.name!r} above matches all that {rule.name!r} matches; "
            "put the narrower one first, or remove one"
        )
    above.add(rule)


class _Above:
    """The rules above, by how the images begin that they are about: a file of a thousand rules is
    read beside reviews, and each compared with each would hold them up for seconds."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._beginning: dict[tuple[str, ...], list[int]] = {}

    def add(self, rule: Rule) -> None:
        for beginning in {image.beginning for image in rule.match.images} or {()}:
            self._beginning.setdefault(beginning, []).append(len(self._rules))
        self._rules.append(rule)

    def hiding(self, rule: Rule) -> Rule | None:
        """The first that is about all that `rule` is about: about its first image, too."""
        beginning = rule.match.images[0].beginning if rule.match.images else ()
        cuts = [beginning[:length] for length in range(len(beginning) + 1)]
        near = sorted({place for cut in cuts for place in self._beginning.get(cut, ())})
        others = (self._rules[place] for place in near)
        return next((other for other in others if other.match.contains(rule.match)), None)
