"""What a webhook's own settings say where a rule does not."""

import msgspec

from shared.domain.platforms import PlatformTerms
from shared.domain.pointer import MINUTE, SECOND
from shared.domain.rules import Mode, PinWhat, Rule, Tags

POLICY_GRACE = 60 * MINUTE


class Terms(msgspec.Struct, frozen=True):
    """The settings `IMAGEGATE_SCANNER`, `IMAGEGATE_PIN`, `IMAGEGATE_POLICY_GRACE` and
    `IMAGEGATE_INVENTORY`."""

    scanner: str = "anchore"
    pin: PinWhat = PinWhat.PODS
    policy_grace: int = POLICY_GRACE
    """Milliseconds in which verdicts are served whose policy was replaced, while they are judged
    anew; 0: not at all."""
    platforms: PlatformTerms = PlatformTerms()
    """Those that count where the rules do not say."""

    @classmethod
    def told(
        cls, *, scanner: str, pin: str, policy_grace: float, platforms: PlatformTerms
    ) -> "Terms":
        """As the settings say them: `policy_grace` in seconds."""
        return cls(scanner, PinWhat(pin), round(policy_grace * SECOND), platforms)

    def pins(self, rule: Rule, *, workload: bool = False) -> bool:
        """Whether tags of a pod, or of a workload, are pinned under a rule: only where something
        could be denied, since a pin can keep a pod from starting."""
        if rule.mode is not Mode.ENFORCE:
            return False
        what = rule.pin or self.pin
        return what is PinWhat.ALL or (what is PinWhat.PODS and not workload)

    def wants_digest(self, rule: Rule) -> bool:
        """Whether a tag that is not pinned is denied under a rule."""
        if rule.mode is not Mode.ENFORCE:
            return False
        tags = rule.tags or (Tags.ALLOW if self.pin is PinWhat.NONE else Tags.PINNED)
        return tags is Tags.PINNED
