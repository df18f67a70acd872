"""Whether a policy asks about the FROM line of a Dockerfile.

Without the image's own Dockerfile Anchore guesses one that begins with `FROM scratch`
(docs/design/anchore-engine.md 7, docs/design/anchore-v2.md 4), and a rule about FROM finds nothing.
"""

from typing import Any

from shared.adapters.anchore.reading import objects, texts
from shared.domain.verdict import Action, Finding

GATE = "dockerfile"
MISSING = "no_dockerfile_provided"


def asks_from(rule_sets: Any, applied: tuple[str, ...], findings: tuple[Finding, ...] = ()) -> bool:
    """Whether one of the rule sets (v1: policies) that `applied` names has a rule on FROM, and
    no finding says that the Dockerfile is missing. A rule that wants it says so to nobody where
    its finding is let go, by itself or by an allowlist.

    Without names all count: rather a warning too many.
    """
    if any(map(_says_that_it_is_missing, findings)):
        return False
    return any(
        _is_about_from(rule)
        for rule_set in objects(rule_sets)
        if not applied or rule_set.get("id") in applied
        for rule in objects(rule_set.get("rules"))
    )


def applied_by_v1(mapping: dict[str, Any]) -> tuple[str, ...]:
    """What a mapping of a v1 bundle names, in either of its two ways."""
    one = mapping.get("policy_id")
    return texts(mapping.get("policy_ids")) + ((one,) if isinstance(one, str) else ())


def _says_that_it_is_missing(finding: Finding) -> bool:
    about = (_word(finding.gate), _word(finding.trigger))
    return about == (GATE, MISSING) and finding.action is not Action.GO


def _is_about_from(rule: dict[str, Any]) -> bool:
    about = (_word(rule.get("gate")), _word(rule.get("trigger")))
    return about == (GATE, "instruction") and any(
        _word(param.get("name")) == "instruction" and _word(param.get("value")) == "from"
        for param in objects(rule.get("params"))
    )


def _word(value: Any) -> str:
    return value.strip().lower() if isinstance(value, str) else ""
