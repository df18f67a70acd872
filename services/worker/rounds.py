"""Rounds of re-evaluation, told to people: that a policy's began and ended, and if too much turned.

A round is all that is in use, judged by another revision of a policy; or an hour in which the same
policy finds something else (a feed). It is read from what a survey found in the records: whoever
begins to lead goes on with it.
"""

import logging

from services.worker.in_use import Round, Surveyed
from shared.domain.pointer import DAY, MINUTE
from shared.domain.verdict import Question, Turn

log = logging.getLogger(__name__)

MOST_TURNED = 5
"""Of so many passes at most one turns in a usual round."""

ENOUGH = 5
"""Passes without which a round says nothing: of less, a single one would be too many."""

LATELY = DAY
"""Milliseconds after a policy's change in which its round is told of."""

AGAIN = 60 * MINUTE
"""Milliseconds between two words of one feed: a round of its own."""


class Rounds:
    """Told of each survey, says once of each round what is to be said."""

    def __init__(self) -> None:
        self._under_way: dict[Question, str] = {}
        self._alerted: dict[Question, str] = {}
        self._feed_alerted = 0

    def surveyed(self, found: Surveyed) -> None:
        """One more survey."""
        for told in (self._under_way, self._alerted):
            for question in [question for question in told if question not in found.rounds]:
                del told[question]
        for question, kept in found.rounds.items():
            if found.at < kept.revision.since + LATELY:
                self._policy(question, kept, found)
        passes = found.feed_kept + found.feed_turned
        if too_many(passes, found.feed_turned) and found.at >= self._feed_alerted + AGAIN:
            self._feed_alerted = found.at
            log.error(
                "more than a fifth of the passes turned within an hour, by the same policy: see "
                "whether the feed of vulnerabilities is right (docs/operations.md)",
                extra={
                    "cause": str(Turn.FEED),
                    "judged_anew": passes,
                    "turned": found.feed_turned,
                },
            )

    def _policy(self, question: Question, kept: Round, found: Surveyed) -> None:
        revision = kept.revision.revision
        told = {
            "account": question.account,
            "policy": kept.revision.policy_id,
            "revision": revision,
            "left": kept.left,
            "judged_anew": kept.kept + kept.turned,
            "turned": kept.turned,
            "seconds": (found.at - kept.revision.since) // 1000,
        }
        if kept.left and self._under_way.get(question) != revision:
            self._under_way[question] = revision
            log.info("what is in use is judged by another policy", extra=told)
        elif not kept.left and self._under_way.pop(question, "") == revision:
            log.info("all that is in use has been judged by its policy", extra=told)
        passes = kept.kept + kept.turned
        if too_many(passes, kept.turned) and self._alerted.get(question) != revision:
            self._alerted[question] = revision
            log.error(
                "more than a fifth of the passes turned by another policy: see whether it is meant "
                "so (docs/operations.md)",
                extra={"cause": str(Turn.POLICY), **told},
            )


def too_many(passes: int, turned: int) -> bool:
    """Whether so many of the passes that were judged anew turned that somebody should look."""
    return passes >= ENOUGH and turned * MOST_TURNED > passes
