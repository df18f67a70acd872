"""Whether there is an emergency: what the store's record says, and in how many webhooks it
counts."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from shared.domain.emergency import EMERGENCY_KEY, Emergency, checked_emergency
from shared.domain.errors import InvalidException, InvalidSignature
from shared.domain.pointer import MINUTE, SECOND
from shared.domain.signing import Kind, take_apart
from shared.ports.presence import Alive
from shared.ports.signing import Unsealer
from shared.runtime.logging import one_line


class EmergencyState(StrEnum):
    """What the store's record is worth."""

    NONE = "none"
    DECLARED = "declared"
    ENDED = "ended"
    """By its time, or because somebody said so."""
    NOT_BELIEVED = "not believed"
    """Nobody we trust signed it, or it says what none may say: it does not count."""


class EmergencyReport(msgspec.Struct, frozen=True):
    """The emergency as it stands now."""

    state: EmergencyState
    namespaces: tuple[str, ...] = ()
    owner: str = ""
    reason: str = ""
    cluster: str = ""
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
    """Those that were heard lately."""
    counts_in: tuple[str, ...] = ()
    """Those of them that let pass now what rules refuse, whatever the store says: they may have
    read of it in a file, or remember it."""

    @property
    def alarming(self) -> bool:
        """Whether somebody should look at it."""
        calm = self.state in (EmergencyState.NONE, EmergencyState.ENDED)
        return not calm or bool(self.counts_in)


def emergency_report(
    sealed: bytes | None, unsealer: Unsealer, alive: Sequence[Alive], *, now: int
) -> EmergencyReport:
    """`sealed`: the store's record, unverified; `now` in milliseconds."""
    beats = [each.beat for each in alive if each.beat.service == "webhook"]
    return msgspec.structs.replace(
        _of_record(sealed, unsealer, now),
        webhooks=tuple([beat.name for beat in beats]),
        counts_in=tuple([beat.name for beat in beats if beat.emergency > now]),
    )


def opened_emergency(sealed: bytes, unsealer: Unsealer) -> Emergency:
    """Verify and check, for whichever cluster it is; raises InvalidSignature, InvalidException."""
    record, body = unsealer.unseal(sealed, Emergency, kind=Kind.EMERGENCY, key=EMERGENCY_KEY)
    return checked_emergency(record, body)


def emergency_facts(report: EmergencyReport) -> dict[str, str]:
    """A line for `imagegate status`; empty where there is nothing to tell."""
    if not report.alarming:
        return {}
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
    counted = f"counts in {len(report.counts_in)} of {len(report.webhooks)} webhooks"
    return {"emergency": f"{told}; {counted}"}


def _of_record(sealed: bytes | None, unsealer: Unsealer, now: int) -> EmergencyReport:
    if sealed is None:
        return EmergencyReport(EmergencyState.NONE)
    try:
        emergency = opened_emergency(sealed, unsealer)
    except (InvalidSignature, InvalidException) as error:
        why = str(error).removeprefix(f"{EMERGENCY_KEY}: ")
        return EmergencyReport(EmergencyState.NOT_BELIEVED, why=why)
    counts = emergency.counts(now)
    return EmergencyReport(
        state=EmergencyState.DECLARED if counts else EmergencyState.ENDED,
        namespaces=emergency.namespaces,
        owner=emergency.owner,
        reason=emergency.reason,
        cluster=emergency.cluster,
        made_at=emergency.made_at,
        until=emergency.until,
        left=(emergency.until - now) / SECOND if counts else 0.0,
        key_id=take_apart(sealed, key=EMERGENCY_KEY).key_id,
    )


def _left(seconds: float) -> str:
    minutes = round(seconds * SECOND / MINUTE)
    return f"{minutes} min" if minutes else f"{round(seconds)} s"
