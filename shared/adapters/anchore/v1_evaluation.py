"""Engine's answer to `check`, read as it stands (docs/design/anchore-engine.md 5).

    [{DIGEST: {FULLTAG: [{status, policyId, last_evaluation, detail: {policy, result}}]}}]

Read by iterating: the keys are the server's, not what was asked. Whatever is missing, doubled
or contradicts itself becomes a problem of the evaluation, and an evaluation with a problem is
never believed (`shared.domain.verdict.judge`).
"""

from collections.abc import Iterator
from typing import Any

from shared.adapters.anchore.from_rules import applied_by_v1, asks_from
from shared.adapters.anchore.problems import read_problems
from shared.adapters.anchore.reading import (
    UnreadableEvaluation,
    bounded,
    evaluated_at,
    moment,
    part,
)
from shared.adapters.anchore.v1_rows import actions_of, read_rows
from shared.adapters.anchore.wording import one_line
from shared.domain.policy import bundle_revision
from shared.domain.verdict import Action, Evaluation, Finding


def read_evaluation(body: Any, *, account: str, asked_at: int) -> Evaluation:
    """What `body` says. `asked_at`: when it was asked for, in milliseconds.

    Raises UnreadableEvaluation.
    """
    named = list(_entries(body))
    if not named:
        raise UnreadableEvaluation("it names no image with an evaluation")
    _, tag, entry = named[0]
    result = part(entry, "detail", "result")
    problems = list(_problems_of(named, result, account))
    deprecated = tuple(read_problems(result.get("evaluation_problems"), problems) if result else ())
    findings = tuple(read_rows(result, problems))
    listed = tuple(_listed(result, problems))
    mapping, bundle = part(result, "matched_mapping_rule"), part(result, "bundle")
    _contradictions(result, findings, listed, problems)
    return Evaluation(
        status=str(entry.get("status", "")),
        final_action=str(result.get("final_action", "")),
        digests=tuple(dict.fromkeys(_digests(named))),
        tag=tag,
        policy_id=str(entry.get("policyId", "")),
        mapped=bool(mapping),
        problems=bounded(problems),
        findings=listed + findings + deprecated,
        # Set when the evaluation is over: a slow one of an old policy would win over a quick one of
        # the new, so the time asked bounds it (docs/design/protocol.md). `detail.result.created_at`
        # is no time of this answer: Engine's policy engine keeps a result while policy, image and
        # feeds stay the same, and so would its time for weeks.
        evaluated_at=evaluated_at(entry.get("last_evaluation"), asked_at=asked_at),
        revision=bundle_revision(bundle) if bundle else "",
        asks_from=asks_from(bundle.get("policies"), applied_by_v1(mapping), findings),
    )


def _entries(body: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(digest, full tag, evaluation) of everything in the answer."""
    for image in body if isinstance(body, list) else []:
        for digest, tags in _items(image):
            for tag, evaluations in _items(tags):
                for evaluation in evaluations if isinstance(evaluations, list) else []:
                    if isinstance(evaluation, dict):
                        yield digest, tag, evaluation


def _digests(named: list[tuple[str, str, dict[str, Any]]]) -> Iterator[str]:
    for digest, _, entry in named:
        yield digest
        inner = part(entry, "detail", "result").get("image_digest")
        if inner:
            yield str(inner)


def _problems_of(
    named: list[tuple[str, str, dict[str, Any]]], result: dict[str, Any], account: str
) -> Iterator[str]:
    """What Engine calls a problem, and what we do."""
    _, tag, entry = named[0]
    if len(named) > 1:
        yield f"the answer holds {len(named)} evaluations instead of one"
    if not result:
        yield "the answer has no detail.result"
        return
    for name, inner, outer in (
        ("status", result.get("status"), entry.get("status")),
        ("tag", result.get("tag"), tag),
        ("policy", part(result, "bundle").get("id"), entry.get("policyId")),
    ):
        if inner != outer:
            yield f"the answer names two for {name}: {outer} and, in detail.result, {inner}"
    if not result.get("image_digest"):
        yield "the answer's detail.result names no image_digest"
    user = result.get("user_id")
    if account and user != account:
        # Something on the way dropped x-anchore-account: that is another account's policy.
        yield f"the answer is for the account {user} instead of {account}"
    if not part(result, "bundle"):
        yield "the answer has no detail.result.bundle"
    stored = part(entry, "detail", "policy")
    if stored and stored != part(result, "bundle"):
        yield "the policy was changed while Anchore evaluated it"
    if moment(entry.get("last_evaluation")) is None:
        yield "the answer does not say when it was evaluated"


def _listed(result: dict[str, Any], problems: list[str]) -> Iterator[Finding]:
    """The policy's lists of whole images decide without any row: they get one of their own."""
    if not result:
        return
    decides = "policy_evaluation"
    # A denial wins over an allowance.
    for which, action in (("whitelisted", Action.GO), ("blacklisted", Action.STOP)):
        rule = result.get(f"matched_{which}_images_rule")
        if isinstance(rule, dict):
            decides = which
            yield _image_rule(rule, which, action)
        elif rule is not False:
            problems.append(f"the answer does not say whether the image is {which}")
    if result.get("final_action_reason") != decides:
        problems.append(
            f"the final action's reason is {result.get('final_action_reason')!r}, and by the "
            f"policy's lists of images {decides!r}"
        )


def _image_rule(rule: dict[str, Any], which: str, action: Action) -> Finding:
    name = one_line(str(rule.get("name") or rule.get("id") or "without a name"))
    return Finding(
        gate=f"{which}_images",
        trigger=which,
        trigger_id=one_line(str(rule.get("id", ""))),
        action=action,
        message=f"the policy's {which}_images rule {name!r} matches this image",
    )


def _contradictions(
    result: dict[str, Any],
    findings: tuple[Finding, ...],
    listed: tuple[Finding, ...],
    problems: list[str],
) -> None:
    """Rows that do not lead to the final action: something is missing from the answer."""
    if not result or problems:
        return
    stops = any(finding.action is Action.STOP for finding in listed + findings)
    denied = any(finding.action is Action.STOP for finding in listed)
    final = result.get("final_action")
    if final == Action.STOP and not stops:
        problems.append("the final action is stop and no row says so")
    if final in (Action.GO, Action.WARN) and stops and not listed:
        problems.append(f"the final action is {final} although a row says stop")
    if final != Action.STOP and denied:
        problems.append(f"the final action is {final} although the image is blacklisted")
    others = [action for action in actions_of(result) if action != final]
    if final in tuple(Action) and others and not listed:
        problems.append(f"the final action is {final} and that of the rows {others[0]}")


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []
