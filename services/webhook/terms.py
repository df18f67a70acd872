"""What a webhook's own settings say where a rule does not."""

import msgspec

from shared.domain.rules import Mode, PinWhat, Rule, Tags


class Terms(msgspec.Struct, frozen=True):
    """The settings `IMAGEGATE_SCANNER` and `IMAGEGATE_PIN`."""

    scanner: str = "anchore"
    pin: PinWhat = PinWhat.PODS

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
