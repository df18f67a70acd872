"""A bundle applied to an image's facts: Engine's `detail.result`, row by row.

Where Engine says pass although it judged nothing (no mapping matches), the answer here is fail
with an evaluation problem, which no client can take for a pass.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from services.scanner.bundles.bundle import Bundle, PolicyRule, Problem, Rules, Whitelist
from services.scanner.gates.table import TRIGGERS
from services.scanner.gates.trigger import CannotEvaluate, Hit, Sight
from services.scanner.matching.finding import Matches
from services.scanner.records import ACCOUNT, ImageFacts
from shared.domain.reference import ImageReference, parse_reference

HEADER = (
    "Image_Id",
    "Repo_Tag",
    "Trigger_Id",
    "Gate",
    "Trigger",
    "Check_Output",
    "Gate_Action",
    "Whitelisted",
    "Policy_Id",
)
_ORDER = ("go", "warn", "stop")
_DATA_RULE = ("vulnerabilities", "vulnerability_data_unavailable")


class Row(msgspec.Struct, frozen=True):
    """One finding."""

    trigger_id: str
    gate: str
    trigger: str
    message: str
    action: str
    whitelisted: dict[str, str] | bool
    policy_id: str


class Outcome(msgspec.Struct, frozen=True):
    """What came of an evaluation, before it takes Engine's shape."""

    rows: tuple[Row, ...] = ()
    mapping: int | None = None
    """Which of the bundle's mappings matched."""
    problems: tuple[Problem, ...] = ()

    @property
    def final_action(self) -> str:
        """The severest action; stop when anything could not be evaluated."""
        if self.problems:
            return "stop"
        return max((row.action for row in self.rows), key=_ORDER.index, default="go")

    @property
    def status(self) -> Literal["pass", "fail"]:
        """What Engine calls it: warn passes."""
        return "fail" if self.final_action == "stop" else "pass"


def evaluate(
    bundle: Bundle, facts: ImageFacts, matches: Matches, *, fulltag: str, now: int
) -> Outcome:
    """Apply the first mapping that matches `fulltag`. `now`: ms since the epoch."""
    position = find_mapping(bundle, parse_reference(fulltag))
    if position is None:
        return Outcome(
            problems=(
                Problem(
                    "NoMatchingMapping",
                    f"no mapping of the bundle {bundle.id} matches {fulltag}: add one for it",
                ),
            )
        )
    mapping = bundle.mappings[position]
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    whitelists = [one for one in bundle.whitelists if one.id in mapping.whitelist_ids]
    rows: list[Row] = []
    problems: list[Problem] = []
    for policy in bundle.policies:
        if policy.id not in mapping.policies:
            continue
        sight = Sight(facts, matches, today, _asks_about_all(policy))
        for rule in _rules_with_silence_broken(policy):
            try:
                rows += [_row(rule, hit, policy, whitelists) for hit in _fire(rule, sight)]
            except CannotEvaluate as error:
                problems.append(Problem("TriggerEvaluationError", f"rule {rule.id}: {error}"))
    return Outcome(tuple(rows), position, tuple(problems))


def find_mapping(bundle: Bundle, image: ImageReference) -> int | None:
    """Which mapping is the first whose patterns fit registry, repository and tag."""
    for position, mapping in enumerate(bundle.mappings):
        parts = (
            (mapping.registry, image.host),
            (mapping.repository, image.path),
            (mapping.image.value, image.tag or ""),
        )
        if all(_fits(pattern, text) for pattern, text in parts):
            return position
    return None


def as_engine_result(
    outcome: Outcome, *, bundle: dict[str, Any], digest: str, image_id: str, fulltag: str, now: int
) -> dict[str, Any]:
    """`detail.result` of a check, as recorded from Engine 1.1; `bundle` as it was pushed."""
    rows = [
        (
            image_id,
            fulltag,
            row.trigger_id,
            row.gate,
            row.trigger,
            row.message,
            row.action,
            row.whitelisted,
            row.policy_id,
        )
        for row in outcome.rows
    ]
    table = {
        "final_action": outcome.final_action,
        "header": HEADER,
        "row_count": len(rows),
        "rows": rows,
    }
    return {
        "bundle": bundle,
        "created_at": now // 1000,
        "evaluation_problems": outcome.problems,
        "final_action": outcome.final_action,
        "final_action_reason": "policy_evaluation",
        "image_digest": digest,
        "image_id": image_id,
        "last_modified": now // 1000,
        "matched_blacklisted_images_rule": False,
        "matched_mapping_rule": (
            False if outcome.mapping is None else bundle["mappings"][outcome.mapping]
        ),
        "matched_whitelisted_images_rule": False,
        "result": {
            image_id: {"result": table},
            "policy_data": [],
            "policy_name": "",
            "whitelist_data": [],
            "whitelist_names": [],
        },
        "status": outcome.status,
        "tag": fulltag,
        "user_id": ACCOUNT,
    }


def _asks_about_all(policy: Rules) -> bool:
    return any(rule.values.get("package_type") == "all" for rule in policy.rules)


def _rules_with_silence_broken(policy: Rules) -> list[PolicyRule]:
    """The rules, and a warning of missing data where vulnerabilities are asked for without it.

    Otherwise a package that the feed does not cover would look clean.
    """
    asked = {(rule.gate, rule.trigger) for rule in policy.rules}
    rules = list(policy.rules)
    if ("vulnerabilities", "package") in asked and _DATA_RULE not in asked:
        rules.append(PolicyRule(*_DATA_RULE, action="WARN", id="imagegate-data-unavailable"))
    return rules


def _fire(rule: PolicyRule, sight: Sight) -> list[Hit]:
    return [*TRIGGERS[rule.gate][rule.trigger].fire(sight, rule.values)]


def _row(rule: PolicyRule, hit: Hit, policy: Rules, whitelists: list[Whitelist]) -> Row:
    trigger_id = hit.trigger_id or _derived_id(rule, hit)
    excused = _excuse(rule.gate, trigger_id, whitelists)
    return Row(
        trigger_id=trigger_id,
        gate=rule.gate,
        trigger=rule.trigger,
        message=hit.message,
        action="go" if excused else rule.action.lower(),
        whitelisted=excused or False,
        policy_id=policy.id,
    )


def _derived_id(rule: PolicyRule, hit: Hit) -> str:
    """As Engine does, so that its whitelists fit."""
    text = rule.gate + rule.trigger + (hit.identity or hit.message)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _excuse(gate: str, trigger_id: str, whitelists: list[Whitelist]) -> dict[str, str] | None:
    for whitelist in whitelists:
        for item in whitelist.items:
            if item.covers(gate, trigger_id):
                return {
                    "matched_rule_id": item.id,
                    "whitelist_id": whitelist.id,
                    "whitelist_name": whitelist.name,
                }
    return None


def _fits(pattern: str, text: str) -> bool:
    """`*` stands for anything, nothing included; all else for itself."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
