"""Whether there are emergencies: what the store's record of each cluster says, and in how many of
its webhooks one counts."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from shared.domain.emergency import (
    Emergency,
    checked_emergency,
    emergency_cluster,
    emergency_id,
    emergency_key,
)
from shared.domain.errors import InvalidException, InvalidSignature
from shared.domain.pointer import MINUTE, SECOND
from shared.domain.signing import Kind, take_apart
from shared.ports.presence import Alive
from shared.ports.signing import Unsealer
from shared.runtime.logging import one_line

FACT = "emergency"
"""What the facts of `imagegate status` call one: this, and ` of NAME` where its cluster has one."""

MOST_TOLD = 20
"""Emergencies that are facts: whoever writes into the store could fill the page."""


class EmergencyState(StrEnum):
    """What the store's record is worth."""

    NONE = "none"
    DECLARED = "declared"
    ENDED = "ended"
    """By its time, or because somebody said so."""
    NOT_BELIEVED = "not believed"
    """Nobody we trust signed it, or it says what none may say: it does not count."""


class EmergencyReport(msgspec.Struct, frozen=True):
    """The emergency of one cluster as it stands now."""

    state: EmergencyState
    namespaces: tuple[str, ...] = ()
    owner: str = ""
    reason: str = ""
    cluster: str = ""
    """Empty: it has no name."""
    made_at: int = 0
    """When it was signed (ms)."""
    until: int = 0
    """When it ends (ms)."""
    left: float = 0.0
    """Seconds until then."""
    key_id: str = ""
    """Of the operator's key that signed it."""
    why: str = ""
    """Why it is not believed."""
    webhooks: tuple[str, ...] = ()
    """Those of this cluster that were heard lately."""
    counts_in: tuple[str, ...] = ()
    """Those of them that let pass now what rules refuse, whatever the store says: they may have
    read of it in a file, or remember it."""
    heard: dict[str, int] = {}
    """By each of these webhooks' names when the newest was signed (ms) that it heard of, or what
    ended one; 0: it heard of none, or does not say."""

    @property
    def strayed(self) -> tuple[str, ...]:
        """Those of `counts_in` that go by another emergency than the store's record."""
        return tuple([name for name in self.counts_in if self.heard.get(name) != self.made_at])

    @property
    def alarming(self) -> bool:
        """Whether somebody should look at it."""
        calm = self.state in (EmergencyState.NONE, EmergencyState.ENDED)
        return not calm or bool(self.counts_in)


def emergency_reports(
    sealed: Mapping[str, bytes], unsealer: Unsealer, alive: Sequence[Alive], *, now: int
) -> tuple[EmergencyReport, ...]:
    """One of each cluster that has a record or a webhook, by name. `sealed`: what the store has of
    signed exceptions, by id and unverified; `now` in milliseconds."""
    beats = [each.beat for each in alive if each.beat.service == "webhook"]
    recorded = [emergency_cluster(name) for name in sealed]
    clusters = {name for name in recorded if name is not None} | {beat.cluster for beat in beats}
    reports = list[EmergencyReport]()
    for cluster in sorted(clusters):
        own = [beat for beat in beats if beat.cluster == cluster]
        report = msgspec.structs.replace(
            _of_record(sealed.get(emergency_id(cluster)), unsealer, cluster=cluster, now=now),
            webhooks=tuple([beat.name for beat in own]),
            counts_in=tuple([beat.name for beat in own if beat.emergency > now]),
            heard={beat.name: beat.emergency_signed for beat in own},
        )
        reports.append(report)
    return tuple(reports)


def report_of(cluster: str, reports: Sequence[EmergencyReport]) -> EmergencyReport:
    """Of these the cluster's; of one that nobody knows: there is none."""
    nothing = EmergencyReport(EmergencyState.NONE, cluster=cluster)
    return next((report for report in reports if report.cluster == cluster), nothing)


def opened_emergency(sealed: bytes, unsealer: Unsealer, *, cluster: str) -> Emergency:
    """Verify and check that of a cluster; raises InvalidSignature, InvalidException."""
    key = emergency_key(cluster)
    return checked_emergency(*unsealer.unseal(sealed, Emergency, kind=Kind.EMERGENCY, key=key))


def where_it_counts(report: EmergencyReport) -> str:
    """In how many of its webhooks it counts; of one that is declared also in how many another."""
    webhooks, counts = len(report.webhooks), len(report.counts_in)
    if report.state is not EmergencyState.DECLARED or not report.strayed:
        return f"counts in {counts} of {webhooks} webhooks"
    strayed = len(report.strayed)
    return f"counts in {counts - strayed} of {webhooks} webhooks, another one in {strayed}"


def emergency_facts(reports: Sequence[EmergencyReport]) -> dict[str, str]:
    """A line for `imagegate status` of each that somebody should look at."""
    alarming = [report for report in reports if report.alarming]
    facts = {_fact_of(report.cluster): _told(report) for report in alarming[:MOST_TOLD]}
    if len(alarming) > MOST_TOLD:
        # No cluster can be called so.
        facts[_fact_of("others, too")] = f"{len(alarming) - MOST_TOLD} clusters are not shown"
    return facts


def is_emergency(fact: str) -> bool:
    """Whether what is called so in the facts is an emergency."""
    return fact == FACT or fact.startswith(f"{FACT} of ")


def _fact_of(cluster: str) -> str:
    return f"{FACT} of {cluster}" if cluster else FACT


def _told(report: EmergencyReport) -> str:
    if report.state is EmergencyState.DECLARED:
        where = ", ".join(report.namespaces)
        told = (
            f"for {_left(report.left)} yet nothing is refused in namespaces "
            f"{one_line(where, limit=100)}: {one_line(report.reason, limit=200)} "
            f"({one_line(report.owner, limit=40)})"
        )
    elif report.state is EmergencyState.NOT_BELIEVED:
        told = f"the store's record is not believed: {one_line(report.why, limit=200)}"
    else:
        told = "the store knows of none"
    return f"{told}; {where_it_counts(report)}"


def _of_record(
    sealed: bytes | None, unsealer: Unsealer, *, cluster: str, now: int
) -> EmergencyReport:
    if sealed is None:
        return EmergencyReport(EmergencyState.NONE, cluster=cluster)
    key = emergency_key(cluster)
    try:
        emergency = opened_emergency(sealed, unsealer, cluster=cluster)
    except (InvalidSignature, InvalidException) as error:
        why = str(error).removeprefix(f"{key}: ")
        return EmergencyReport(EmergencyState.NOT_BELIEVED, cluster=cluster, why=why)
    counts = emergency.counts(now)
    return EmergencyReport(
        state=EmergencyState.DECLARED if counts else EmergencyState.ENDED,
        namespaces=emergency.namespaces,
        owner=emergency.owner,
        reason=emergency.reason,
        cluster=cluster,
        made_at=emergency.made_at,
        until=emergency.until,
        left=(emergency.until - now) / SECOND if counts else 0.0,
        key_id=take_apart(sealed, key=key).key_id,
    )


def _left(seconds: float) -> str:
    minutes = round(seconds * SECOND / MINUTE)
    return f"{minutes} min" if minutes else f"{round(seconds)} s"
