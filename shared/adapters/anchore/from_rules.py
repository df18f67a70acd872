"""Whether a policy asks about the FROM line of a Dockerfile.

Without the image's own Dockerfile Anchore guesses one that begins with `FROM scratch`
(docs/design/anchore-engine.md 7, docs/design/anchore-v2.md 4), and a rule about FROM finds nothing.
"""

from typing import Any

from shared.adapters.anchore.reading import objects, texts

GATE = "dockerfile"


def asks_from(rule_sets: Any, applied: tuple[str, ...]) -> bool:
    """Whether one of the rule sets (v1: policies) that `applied` names has a rule on FROM, and
    none has one that wants the Dockerfile itself: its own finding says then that it is missing.

    Without names all count: rather a warning too many.
    """
    rules = [
        rule
        for rule_set in objects(rule_sets)
        if not applied or rule_set.get("id") in applied
        for rule in objects(rule_set.get("rules"))
        if _word(rule.get("gate")) == GATE
    ]
    wants_it = any(_word(rule.get("trigger")) == "no_dockerfile_provided" for rule in rules)
    return not wants_it and any(map(_is_about_from, rules))


def applied_by_v1(mapping: dict[str, Any]) -> tuple[str, ...]:
    """What a mapping of a v1 bundle names, in either of its two ways."""
    one = mapping.get("policy_id")
    return texts(mapping.get("policy_ids")) + ((one,) if isinstance(one, str) else ())


def _is_about_from(rule: dict[str, Any]) -> bool:
    return _word(rule.get("trigger")) == "instruction" and any(
        _word(param.get("name")) == "instruction" and _word(param.get("value")) == "from"
        for param in objects(rule.get("params"))
    )


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""
