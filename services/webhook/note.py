"""One judgement of an image under a rule, and what an answer says of it."""

import msgspec

from services.webhook.lines import MAX_WARNINGS, shown
from services.webhook.wording import allowed_all_the_same, warning_of
from shared.domain.decision import Judgement, State
from shared.domain.pointer import DAY
from shared.domain.rules import Rule
from shared.domain.verdict import Outcome

GOOD = (State.TURNED, State.EXCEPTED, State.EXEMPT, State.PASS)
"""What needs no leniency; most to be told of first."""

_PULLED = (State.PASS, State.TURNED, State.EXCEPTED)
"""Judged by its digest now: a tag alone may name another when it is pulled."""


class Note(msgspec.Struct, frozen=True):
    """A judgement under a rule, and what an answer says of it when it is good: made once, used
    often."""

    judgement: Judgement
    rule: Rule
    excuses: tuple[str, ...] = ()
    """Why it may run although it failed, or was never looked at."""
    warnings: tuple[str, ...] = ()
    """Those that there is room for in an answer."""
    more_warnings: int = 0
    unpinned: str = ""
    """The image, where its tag can move before the kubelet pulls it."""
    policies: tuple[str, ...] = ()
    evaluated_at: int = 0
    """Of the oldest verdict (ms); 0: none."""
    scan_id: str = ""

    @property
    def state(self) -> State:
        """What is known of the image."""
        return self.judgement.state

    @property
    def good(self) -> bool:
        """Whether it may run whatever the rule's mode is."""
        return self.judgement.state in GOOD


def note(judgement: Judgement, rule: Rule, now: int) -> Note:
    """Prepare a judgement for answers of the next seconds."""
    image = judgement.image
    good = [verdict for verdict in judgement.verdicts if verdict.outcome is Outcome.PASS]
    warnings = [
        f"its verdict is {(now - verdict.evaluated_at) // DAY} days old"
        for verdict in good
        if now - verdict.evaluated_at > DAY
    ]
    warnings += [finding.message for verdict in good for finding in verdict.warns]
    reference = judgement.reference
    tagged = reference is not None and reference.digest is None
    oldest = min(judgement.verdicts, key=lambda verdict: verdict.evaluated_at, default=None)
    return Note(
        judgement=judgement,
        rule=rule,
        excuses=tuple(allowed_all_the_same(judgement)),
        warnings=tuple(warning_of(image, text) for text in warnings[:MAX_WARNINGS]),
        more_warnings=max(0, len(warnings) - MAX_WARNINGS),
        unpinned=shown(image, 80) if tagged and judgement.state in _PULLED else "",
        policies=tuple(shown(verdict.policy_id, 80) for verdict in judgement.verdicts),
        evaluated_at=oldest.evaluated_at if oldest else 0,
        scan_id=shown(oldest.scan_id, 64) if oldest else "",
    )
