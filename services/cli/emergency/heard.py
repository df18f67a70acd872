"""Which webhooks go by what was signed just now; that one was on before is no answer.

`made_at` tells one emergency of a cluster from another: the store takes no second record of the
same moment, and webhooks go by the newest. When one ends does not: two may end at once.
"""

from collections.abc import Mapping
from enum import StrEnum

from services.console.emergency_report import EmergencyReport
from shared.domain.emergency import Emergency


class Missed(StrEnum):
    """Why what was signed does not hold in a webhook."""

    NOT_HEARD = "not heard in"
    OTHER = "one that was signed later holds in"
    OVER = "already over by the clock of"


def missed(report: EmergencyReport, emergency: Emergency) -> Mapping[str, Missed]:
    """Of the cluster's webhooks by name those in which it does not hold. What ends one holds also
    where something newer did."""
    found = {name: _missed_in(name, report, emergency) for name in report.webhooks}
    return {name: why for name, why in found.items() if why is not None}


def _missed_in(name: str, report: EmergencyReport, emergency: Emergency) -> Missed | None:
    heard, counts = report.heard.get(name, 0), name in report.counts_in
    if heard < emergency.made_at:
        return Missed.NOT_HEARD
    if heard > emergency.made_at:
        return None if emergency.over and not counts else Missed.OTHER
    return None if emergency.over or counts else Missed.OVER
