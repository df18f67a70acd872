"""Audit annotations: what the API server's audit log says of a review.

Keys are qualified names, values bounded (docs/design/field-notes.md 1c).
"""

from collections.abc import Sequence

from services.webhook.lines import FIRST_LINE, shown
from services.webhook.note import Note
from shared.domain.decision import State
from shared.domain.pointer import SECOND


def annotations_of(ordered: Sequence[Note], excuse: str, now: int) -> dict[str, str]:
    """Of notes, the one that decides first. `excuse`: why an image may run all the same."""
    if not ordered:
        return {"decision": State.PASS.value}
    audit = {"decision": ordered[0].state.value}
    rules = _rules(ordered)
    if rules:
        audit["rule"] = rules
    if excuse:
        audit["message"] = excuse
    used = dict.fromkeys(one for each in ordered for one in each.judgement.exceptions)
    if used:
        owners = (f"{one.id or one.image} ({one.owner})" for one in used)
        audit["exceptions"] = shown(", ".join(owners), FIRST_LINE)
    judged = [each for each in ordered if each.evaluated_at]
    if not judged:
        return audit
    oldest = min(judged, key=lambda each: each.evaluated_at)
    policies = {policy for each in judged for policy in each.policies}
    audit["policy"] = shown(", ".join(sorted(policies)), FIRST_LINE)
    audit["verdict-age-seconds"] = str(max(0, now - oldest.evaluated_at) // SECOND)
    if oldest.scan_id:
        audit["scan-id"] = oldest.scan_id
    return audit


def _rules(ordered: Sequence[Note]) -> str:
    """The rule that decided; of what passes every rule that was asked."""
    decisive = ordered[0]
    if not decisive.good:
        return shown(decisive.rule.name, FIRST_LINE)
    return shown(", ".join(dict.fromkeys(each.rule.name for each in ordered)), FIRST_LINE)
