"""A bundle applied to an image's facts: Engine's `detail.result`, row by row.

Where Engine says pass although it judged nothing (no mapping matches), the answer here is fail
with an evaluation problem, which no client can take for a pass.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from services.scanner.bundles.bundle import Bundle
from services.scanner.bundles.problems import Problem
from services.scanner.bundles.rules import ACTIONS, Policy, Rule
from services.scanner.bundles.selection import Subject, first_match
from services.scanner.bundles.whitelists import Whitelist, WhitelistEntry
from services.scanner.gates.trigger import CannotEvaluate, Hit, Sight
from services.scanner.matching.finding import Matches
from services.scanner.records import ACCOUNT, ImageFacts

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


class Row(msgspec.Struct, frozen=True):
    """One finding."""

    trigger_id: str
    gate: str
    trigger: str
    message: str
    action: str
    whitelisted: WhitelistEntry | Literal[False]
    policy_id: str


class Outcome(msgspec.Struct, frozen=True):
    """What came of an evaluation, before it takes Engine's shape."""

    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    mapping: dict[str, Any] | None = None
    """The mapping that matched, as it was pushed."""
    whitelisted: dict[str, Any] | None = None
    """The entry of `whitelisted_images` that matched: the image passes whatever the rows say."""
    blacklisted: dict[str, Any] | None = None
    """The entry of `blacklisted_images` that matched: it fails, and this goes before all else."""

    @property
    def policy_action(self) -> str:
        """The severest action of the rows; stop when anything could not be evaluated."""
        if self.problems:
            return "stop"
        return max((row.action for row in self.rows), key=ACTIONS.index, default="go")

    @property
    def reason(self) -> Literal["blacklisted", "whitelisted", "policy_evaluation"]:
        """What the final action rests on."""
        if self.blacklisted:
            return "blacklisted"
        if self.whitelisted and not self.problems:
            return "whitelisted"
        return "policy_evaluation"

    @property
    def final_action(self) -> str:
        """The action that counts."""
        listed = {"blacklisted": "stop", "whitelisted": "go"}
        return listed.get(self.reason, self.policy_action)

    @property
    def status(self) -> Literal["pass", "fail"]:
        """What Engine calls it: warn passes."""
        return "fail" if self.final_action == "stop" else "pass"


def evaluate(
    bundle: Bundle, facts: ImageFacts, matches: Matches, *, subject: Subject, now: int
) -> Outcome:
    """Apply the first mapping that matches. `now`: ms since the epoch."""
    place = first_match(bundle.mappings, subject)
    rows: list[Row] = []
    problems: list[Problem] = []
    if place is not None:
        mapping = bundle.mappings[place]
        whitelists = [bundle.whitelists[one] for one in mapping.whitelist_ids]
        for policy in map(bundle.policies.__getitem__, dict.fromkeys(mapping.policies)):
            sight = Sight(facts, matches, now, policy.asked, policy.all_packages)
            rows += _apply(policy, sight, whitelists, problems)
    whitelisted = first_match(bundle.whitelisted_images, subject)
    blacklisted = first_match(bundle.blacklisted_images, subject)
    if place is None and whitelisted is None:
        problems.append(
            Problem(
                "NoMatchingMapping",
                f"no mapping of the bundle {bundle.id} matches {subject.fulltag}: add one for it",
            )
        )
    return Outcome(
        rows=tuple(rows),
        problems=tuple(problems),
        mapping=_written(bundle, "mappings", place),
        whitelisted=_written(bundle, "whitelisted_images", whitelisted),
        blacklisted=_written(bundle, "blacklisted_images", blacklisted),
    )


def as_engine_result(
    outcome: Outcome,
    *,
    bundle: dict[str, Any] | msgspec.Raw,
    digest: str,
    image_id: str,
    fulltag: str,
    now: int,
) -> dict[str, Any]:
    """`detail.result` of a check, as recorded from Engine 1.1; `bundle` as it was pushed."""
    rows = [(image_id, fulltag, *msgspec.structs.astuple(row)) for row in outcome.rows]
    table = {
        "final_action": outcome.policy_action,
        "header": HEADER,
        "row_count": len(rows),
        "rows": rows,
    }
    return {
        "bundle": bundle,
        "created_at": now // 1000,
        "evaluation_problems": outcome.problems,
        "final_action": outcome.final_action,
        "final_action_reason": outcome.reason,
        "image_digest": digest,
        "image_id": image_id,
        "last_modified": now // 1000,
        "matched_blacklisted_images_rule": outcome.blacklisted or False,
        "matched_mapping_rule": outcome.mapping or False,
        "matched_whitelisted_images_rule": outcome.whitelisted or False,
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


def _apply(
    policy: Policy, sight: Sight, whitelists: Sequence[Whitelist], problems: list[Problem]
) -> Iterator[Row]:
    """The policy's rows; a rule that cannot be applied becomes a problem."""
    for rule in policy.rules:
        try:
            hits = dict.fromkeys(rule.trigger.fire(sight, rule.values))
        except CannotEvaluate as error:
            problems.append(Problem("TriggerEvaluationError", f"rule {rule.id}: {error}"))
            continue
        for hit in hits:
            trigger_id = hit.trigger_id or _derived_id(rule, hit)
            entry = _covering(rule.gate, trigger_id, whitelists, sight.now)
            yield Row(
                trigger_id=trigger_id,
                gate=rule.gate,
                trigger=rule.name,
                message=hit.message,
                action="go" if entry else rule.action,
                whitelisted=entry or False,
                policy_id=policy.id,
            )


def _derived_id(rule: Rule, hit: Hit) -> str:
    """As Engine does, so that its whitelists fit."""
    text = rule.gate + rule.name + (hit.identity or hit.message)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _covering(
    gate: str, trigger_id: str, whitelists: Sequence[Whitelist], now: int
) -> WhitelistEntry | None:
    found = (one.covering(gate, trigger_id, now) for one in whitelists)
    return next((entry for entry in found if entry), None)


def _written(bundle: Bundle, key: str, place: int | None) -> dict[str, Any] | None:
    if place is None:
        return None
    entry: dict[str, Any] = bundle.written[key][place]
    return entry
