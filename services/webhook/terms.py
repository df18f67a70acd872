"""What a webhook's own settings say where a rule does not."""

import msgspec

from shared.domain.pointer import MINUTE
from shared.domain.rules import Mode, PinWhat, Rule, Tags

POLICY_GRACE = 60 * MINUTE


class Terms(msgspec.Struct, frozen=True):
    """The settings `IMAGEGATE_SCANNER`, `IMAGEGATE_PIN` and `IMAGEGATE_POLICY_GRACE`."""

    scanner: str = "anchore"
    pin: PinWhat = PinWhat.PODS
    policy_grace: int = POLICY_GRACE
    """Milliseconds in which verdicts are served whose policy was replaced, while they are judged
    anew; 0: not at all."""

    def pin_of(self, rule: Rule) -> PinWhat:
        """Whose tags are pinned under a rule: only where something could be denied, since a pin
        can keep a pod from starting."""
        return (rule.pin or self.pin) if rule.mode is Mode.ENFORCE else PinWhat.NONE

    def wants_digest(self, rule: Rule) -> bool:
        """Whether a tag that is not pinned is denied under a rule."""
        if rule.mode is not Mode.ENFORCE:
            return False
        tags = rule.tags or (Tags.ALLOW if self.pin is PinWhat.NONE else Tags.PINNED)
        return tags is Tags.PINNED
