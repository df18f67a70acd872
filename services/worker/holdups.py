"""Why steps wait for the broker: said once for all that wait for the same reason.

During an outage every step in hand waits, and tries again each second: a line a try would bury
the one that says what is wrong.
"""

import logging
from collections import Counter

from shared.domain.errors import QueueError

log = logging.getLogger(__name__)


class Holdups:
    """Steps that wait, by their reason in words. Each step carries its own, "" while it has none.

    A holdup begins with the first step that waits for its reason, and ends with the last. What has
    a reason of its own, a queue that is full while others are not, is a holdup of its own.
    """

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._gone_on: Counter[str] = Counter()

    def waits(self, error: QueueError, *, before: str) -> str:
        """A step must wait because of `error`; its reason, which until now was `before`."""
        reason = str(error) or type(error).__name__
        if reason == before:
            return reason
        self.ends(before)
        if not self._waiting[reason]:
            log.warning("steps wait until the broker takes what follows on them: %s", reason)
        self._waiting[reason] += 1
        return reason

    def ends(self, reason: str, *, goes_on: bool = False) -> None:
        """A step waits no more for `reason`: it goes on, is taken away, or has another reason."""
        if not reason:
            return
        self._waiting[reason] -= 1
        self._gone_on[reason] += goes_on
        if self._waiting[reason]:
            return
        del self._waiting[reason]
        steps = self._gone_on.pop(reason)
        if goes_on:
            log.info(
                "the broker takes what follows on steps: work goes on",
                extra={"steps": steps, "waited_for": reason},
            )
