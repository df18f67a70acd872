"""FROM that nobody could check: a policy asks about the Dockerfile's FROM line, and the scanner was
not given the image's own Dockerfile.

It then reads one that it guesses from the image's history, in which the FROM line says nothing
(docs/design/anchore-engine.md 7). A silent pass would look as if the rule had been kept.
"""

import msgspec

from shared.domain.verdict import MAX_FINDINGS, Action, Finding, Outcome, Verdict

GATE = "imagegate"
TRIGGER = "from_not_checked"
"""The trigger id too: exceptions name the finding by it."""

MESSAGE = (
    "FROM was not checked: Anchore has no Dockerfile of this image; have it scanned with one "
    "(imagegate scan IMAGE --dockerfile FILE)"
)


def with_from_unchecked(verdict: Verdict, action: Action) -> Verdict:
    """A pass or fail with a finding of ours that says so; with `stop` it is a fail."""
    if verdict.outcome is Outcome.ERROR:
        return verdict
    finding = Finding(GATE, TRIGGER, TRIGGER, action, MESSAGE)
    stops = len(verdict.stops)
    findings = (*verdict.findings[:stops], finding, *verdict.findings[stops:])
    return msgspec.structs.replace(
        verdict,
        outcome=Outcome.FAIL if action is Action.STOP else verdict.outcome,
        findings=findings[:MAX_FINDINGS],
        findings_dropped=verdict.findings_dropped + max(0, len(findings) - MAX_FINDINGS),
    )
