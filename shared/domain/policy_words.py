"""What v1 calls black and white, and v2 deny and allow (docs/design/anchore-v2.md 4).

Triggers are renamed by this table and by no rule: one that neither form is known to have is an
error, since a rule under a wrong name judges nothing.
"""

from shared.domain.errors import InvalidPolicy
from shared.domain.policy_parts import Part

Trigger = tuple[str, str]
"""Gate and trigger."""

_V2_TRIGGERS: dict[Trigger, str] = {
    ("packages", "blacklist"): "denylist",
    ("vulnerabilities", "blacklist"): "denylist",
    ("ruby_gems", "blacklist"): "denylist",
    ("licenses", "blacklist_exact_match"): "denylist_exact_match",
    ("licenses", "blacklist_partial_match"): "denylist_partial_match",
    ("passwd_file", "blacklist_usernames"): "denylist_usernames",
    ("passwd_file", "blacklist_userids"): "denylist_userids",
    ("passwd_file", "blacklist_groupids"): "denylist_groupids",
    ("passwd_file", "blacklist_shells"): "denylist_shells",
    ("passwd_file", "blacklist_full_entry"): "denylist_full_entry",
}
_V1_TRIGGERS: dict[Trigger, str] = {(gate, new): old for (gate, old), new in _V2_TRIGGERS.items()}
_V2_TYPES = {"blacklist": "denylist", "whitelist": "allowlist"}
_V1_TYPES = {new: old for old, new in _V2_TYPES.items()}


def v2_trigger(rule: Part) -> str:
    """The trigger of a v1 rule as v2 names it."""
    return _trigger(rule, _V2_TRIGGERS, ("blacklist", "whitelist"), other="v2")


def v1_trigger(rule: Part) -> str:
    """The trigger of a v2 rule as v1 names it."""
    return _trigger(rule, _V1_TRIGGERS, ("denylist", "allowlist"), other="v1")


def v2_value(name: str, value: str) -> str:
    """The value of a v1 rule's parameter: its `type` tells whether a list denies or allows."""
    return _V2_TYPES.get(value, value) if name == "type" else value


def v1_value(name: str, value: str) -> str:
    """The value of a v2 rule's parameter."""
    return _V1_TYPES.get(value, value) if name == "type" else value


def _trigger(rule: Part, names: dict[Trigger, str], words: tuple[str, ...], *, other: str) -> str:
    gate, trigger = rule.text("gate"), rule.text("trigger")
    name = names.get((gate, trigger), trigger)
    if name == trigger and any(word in trigger.lower() for word in words):
        raise InvalidPolicy(
            f"{rule.at('trigger')}: what {other} calls the trigger {trigger} of the gate {gate} is "
            f"not known; look for it in Anchore's policy spec, write the document in the {other} "
            "form, and push that"
        )
    return name
