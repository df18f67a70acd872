"""What the leader's work tells: what is in use, what is left to do, and what turned."""

from collections.abc import Callable, Mapping

from services.worker.in_use import Round, Stand, Surveyed
from services.worker.policy_watch import PolicyRead
from services.worker.refresh import Refreshed, Waits
from services.worker.turned import Anew
from shared.domain.pointer import DAY, SECOND
from shared.domain.revision import Revision
from shared.domain.verdict import Question, Turn
from shared.ports.presence import MAX_NAME, MAX_POLICIES, Caring, PolicySeen
from shared.runtime.metrics import Metrics

SHOWN_FOR = DAY
"""Milliseconds after a policy's change in which its round is shown, also once nothing is left."""

Series = Mapping[tuple[str, ...], float]


class CareMetrics:
    """Gauges tell of the last survey, where the leader is; in other workers they are absent."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._found: Surveyed | None = None
        self._leads: Callable[[], bool] = lambda: False
        self._rate: Callable[[], float] = lambda: 0.0
        self._anew = metrics.counter(
            "imagegate_reevaluated_passes_total",
            "Passes that were judged anew, by what has changed since, and what they became.",
            ("cause", "outcome"),
        )
        self._refreshes = metrics.counter(
            "imagegate_refreshes_total",
            "Images in use that were to be judged anew, by how they stood.",
            ("stand", "outcome"),
        )
        self._waits = metrics.counter(
            "imagegate_refresh_waits_total", "Times that refresh had to wait.", ("reason",)
        )
        self._reads = metrics.counter(
            "imagegate_policy_reads_total", "Looks at policies, by what they told.", ("outcome",)
        )
        metrics.gauge(
            "imagegate_leader", "Whether this worker does what one does for all: 1, else 0."
        ).read_from(lambda: float(self._leads()))
        metrics.gauges(
            "imagegate_images_in_use", "Images in use, by how they stand.", ("stand",), self._stands
        )
        metrics.gauges(
            "imagegate_platform_images_left",
            "Images in use that are left to be judged for a platform that is new.",
            ("platform",),
            self._new,
        )
        metrics.gauges(
            "imagegate_policy_round_verdicts",
            "Verdicts in use since policies changed: left to be judged anew, kept, turned.",
            ("state",),
            self._rounds,
        )
        metrics.gauges(
            "imagegate_policy_round_age_seconds",
            "How long ago the policy changed by which something is left to be judged anew.",
            (),
            self._age,
        )
        metrics.gauges(
            "imagegate_refresh_rate",
            "Evaluations a second that refresh may ask for.",
            (),
            lambda: {(): self._rate()} if self._leads() else {},
        )

    def follow(self, *, leads: Callable[[], bool], rate: Callable[[], float]) -> None:
        """From whom it is known whether this worker leads, and what refresh may ask for."""
        self._leads, self._rate = leads, rate

    @property
    def found(self) -> Surveyed | None:
        """The last survey of a leader; None in others."""
        return self._found if self._leads() else None

    def caring(self) -> Caring | None:
        """What people are told beside the metrics; None where others lead."""
        if not self._leads():
            return None
        rate, found = round(self._rate(), 3), self.found
        if found is None:
            return Caring(rate)
        return Caring(
            rate,
            surveyed_at=found.at,
            in_use=found.in_use,
            due=found.stands[Stand.DUE],
            stale=found.stands[Stand.STALE],
            replaced=found.stands[Stand.REPLACED],
            policies=tuple(
                _seen(question, each.revision) for question, each in found.rounds.items()
            )[:MAX_POLICIES],
        )

    def surveyed(self, found: Surveyed) -> None:
        """All that is in use was looked at."""
        self._found = found

    def anew(self, turn: Turn, anew: Anew) -> None:
        """A pass was judged anew."""
        self._anew.add(turn.value, anew.value)

    def refreshed(self, stand: Stand, refreshed: Refreshed) -> None:
        """An image was to be judged anew."""
        self._refreshes.add(stand.value, refreshed.value)

    def waited(self, why: Waits) -> None:
        """Refresh had to wait."""
        self._waits.add(why.value)

    def policy_read(self, read: PolicyRead) -> None:
        """A policy was looked at."""
        self._reads.add(read.value)

    def _stands(self) -> Series:
        found = self.found
        return {(stand.value,): found.stands[stand] for stand in Stand} if found else {}

    def _new(self) -> Series:
        found = self.found
        return {(platform,): left for platform, left in found.new.items()} if found else {}

    def _rounds(self) -> Series:
        rounds = self._shown()
        if not rounds:
            return {}
        return {
            ("left",): sum(each.left for each in rounds),
            ("kept",): sum(each.kept for each in rounds),
            ("turned",): sum(each.turned for each in rounds),
        }

    def _age(self) -> Series:
        left = [each.revision.since for each in self._shown() if each.left]
        return {(): (self._found.at - min(left)) / SECOND} if left and self._found else {}

    def _shown(self) -> list[Round]:
        found = self.found
        if found is None:
            return []
        since = found.at - SHOWN_FOR
        return [each for each in found.rounds.values() if each.left or each.revision.since >= since]


def _seen(question: Question, revision: Revision) -> PolicySeen:
    return PolicySeen(
        account=question.account[:MAX_NAME],
        policy=revision.policy_id[:MAX_NAME],
        revision=revision.revision[:12],
        since=revision.since,
        seen_at=revision.seen_at,
    )
