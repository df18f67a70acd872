"""v2's answer to `check`, read as it stands (docs/design/anchore-v2.md 3: read, not run).

    {policy_id, image_digest, evaluated_tag, evaluations: [{evaluation_time, status, final_action,
     final_action_reason, evaluation_problems, ..., details: {policy, findings, ...}}]}

Whatever is missing, doubled or contradicts itself becomes a problem of the evaluation, and an
evaluation with a problem is never believed (`shared.domain.verdict.judge`).
"""

from collections.abc import Iterator
from typing import Any

from shared.adapters.anchore.from_rules import asks_from
from shared.adapters.anchore.problems import read_problems
from shared.adapters.anchore.reading import (
    UnreadableEvaluation,
    bounded,
    evaluated_at,
    finding_of,
    moment,
    objects,
    part,
    texts,
)
from shared.adapters.anchore.wording import one_line
from shared.domain.policy import bundle_revision
from shared.domain.verdict import Action, Evaluation, Finding

Json = dict[str, Any]


def read_evaluation(body: Any, *, account: str, asked_at: int) -> Evaluation:
    """What `body` says; of whose account it is, it does not. `asked_at`: when it was asked for, in
    milliseconds.

    Raises UnreadableEvaluation.
    """
    entries = list(objects(part(body).get("evaluations")))
    if not entries:
        raise UnreadableEvaluation("it holds no evaluation")
    entry = entries[0]
    details, policy = part(entry, "details"), part(entry, "details", "policy")
    problems = list(_problems_of(body, entries, policy))
    deprecated = tuple(read_problems(entry.get("evaluation_problems"), problems))
    findings = tuple(_findings(entry, details, problems))
    listed = tuple(_listed(entry, problems))
    _contradictions(entry, details, findings, listed, problems)
    return Evaluation(
        status=str(entry.get("status", "")),
        final_action=str(entry.get("final_action", "")),
        digests=_digests(body),
        tag=str(body.get("evaluated_tag", "")),
        policy_id=str(body.get("policy_id", "")),
        mapped=_mapped(entry, problems),
        problems=bounded(problems),
        findings=listed + findings + deprecated,
        # v2 keeps evaluations for an hour (`policy_evaluation_cache_ttl`, read in its chart): its
        # time may be long ago, and an answer about an old policy loses against one of the new.
        evaluated_at=evaluated_at(entry.get("evaluation_time"), asked_at=asked_at),
        revision=bundle_revision(policy) if policy else "",
        asks_from=asks_from(
            policy.get("rule_sets"),
            texts(part(entry, "matched_mapping_rule").get("rule_set_ids")),
            findings,
        ),
    )


def _digests(body: Json) -> tuple[str, ...]:
    said = body.get("image_digest")
    return (said,) if isinstance(said, str) else ()


def _problems_of(body: Json, entries: list[Json], policy: Json) -> Iterator[str]:
    """What of the answer does not hold together, or is not there."""
    entry = entries[0]
    if len(body["evaluations"]) > 1:
        # A history, which was not asked for, and whose order is not documented.
        yield f"the answer holds {len(body['evaluations'])} evaluations instead of one"
    if moment(entry.get("evaluation_time")) is None:
        yield "the answer does not say when it was evaluated"
    if not policy:
        yield "the answer has no details.policy"
    elif policy.get("id") != body.get("policy_id"):
        yield (
            f"the answer names two for policy: {body.get('policy_id')} and, in details.policy, "
            f"{policy.get('id')}"
        )


def _mapped(entry: Json, problems: list[str]) -> bool:
    """Whether a mapping matched; where the rule itself is told, it must be one."""
    mapped = entry.get("image_mapped_to_rule")
    if not isinstance(mapped, bool):
        problems.append("the answer does not say whether a mapping matched")
    told = "matched_mapping_rule" in entry
    if mapped is True and told and not part(entry, "matched_mapping_rule"):
        problems.append("the answer says that a mapping matched, and names none")
    return mapped is True


def _listed(entry: Json, problems: list[str]) -> Iterator[Finding]:
    """The policy's lists of whole images decide without any finding: they get one of their own."""
    decides = "policy_evaluation"
    # A denial wins over an allowance.
    for which, action in (("allowlisted", Action.GO), ("denylisted", Action.STOP)):
        said = entry.get(f"image_{which}")
        if not isinstance(said, bool):
            problems.append(f"the answer does not say whether the image is {which}")
        rule = entry.get(f"matched_{which}_images_rule")
        if said is True:
            decides = which
            yield _image_rule(part(rule), which, action)
        elif rule:
            problems.append(f"the answer names a rule by which the image is {which}, and denies it")
    if entry.get("final_action_reason") != decides:
        problems.append(
            f"the final action's reason is {entry.get('final_action_reason')!r}, and by the "
            f"policy's lists of images {decides!r}"
        )


def _image_rule(rule: Json, which: str, action: Action) -> Finding:
    name = one_line(str(rule.get("name") or rule.get("id") or "without a name"))
    return Finding(
        gate=f"{which}_images",
        trigger=which,
        trigger_id=one_line(str(rule.get("id", ""))),
        action=action,
        message=f"the policy's {which}_images rule {name!r} matches this image",
    )


def _findings(entry: Json, details: Json, problems: list[str]) -> Iterator[Finding]:
    said, number = details.get("findings"), entry.get("number_of_findings")
    if not isinstance(said, list):
        problems.append("the answer has no details.findings")
        return
    if not isinstance(number, int) or number > len(said):
        problems.append(f"the answer has {len(said)} findings and says {number}")
    for each in said:
        finding = _finding(each)
        if finding is None:
            problems.append(f"the finding {one_line(str(each), limit=80)} cannot be read")
        else:
            yield finding


def _finding(each: Any) -> Finding | None:
    fields = part(each)
    names = [fields.get(key) for key in ("gate", "trigger", "trigger_id", "action", "message")]
    if not all(isinstance(name, str) for name in names):
        return None
    return finding_of(*map(str, names))


def _contradictions(
    entry: Json,
    details: Json,
    findings: tuple[Finding, ...],
    listed: tuple[Finding, ...],
    problems: list[str],
) -> None:
    """Findings that do not lead to the final action: something is missing from the answer."""
    if problems:
        return
    stops = any(finding.action is Action.STOP for finding in listed + findings)
    allowed = any(finding.action is Action.GO for finding in listed)
    final = entry.get("final_action")
    if final == Action.STOP and not stops:
        problems.append("the final action is stop and no finding says so")
    if final in (Action.GO, Action.WARN) and stops and not allowed:
        problems.append(f"the final action is {final} although a finding says stop")
    if final != Action.STOP and entry.get("image_denylisted"):
        problems.append(f"the final action is {final} although the image is denylisted")
    before = details.get("policy_action", final)
    if final in tuple(Action) and before != final and not listed:
        problems.append(f"the final action is {final} and that of the findings {before}")
