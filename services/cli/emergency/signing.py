"""What an operator's key says of an emergency."""

import msgspec

from services.cli.break_glass.durations import moment
from services.cli.break_glass.operator import NotSigned
from services.console.emergency_report import opened_emergency
from shared.domain.emergency import LONGEST, Emergency, checked, emergency_key
from shared.domain.errors import InvalidException, InvalidSignature
from shared.domain.signing import Kind
from shared.ports.exceptions import MAX_SEALED
from shared.ports.signing import Sealer, Unsealer
from shared.ports.verdicts import MAX_AHEAD, Put

OPTIONS = {
    "namespaces": "--namespace",
    "until": "--for",
    "reason": "--reason",
    "owner": "--owner",
    "cluster": "--cluster",
}
"""What the command calls the fields of an emergency."""


class SignedEmergency(msgspec.Struct, frozen=True):
    """One ready to be kept."""

    emergency: Emergency
    sealed: bytes

    @property
    def kept_until(self) -> int:
        """When all that was signed before it has ended, too (ms)."""
        return self.emergency.made_at + LONGEST


def signed(emergency: Emergency, sealer: Sealer) -> SignedEmergency:
    """Check and sign it. Raises NotSigned, in the words of the command line."""
    try:
        good = checked(emergency)
    except InvalidException as error:
        raise NotSigned(f"{OPTIONS.get(error.field, error.field)}: {error.what}") from error
    sealed = sealer.seal(
        good,
        kind=Kind.EMERGENCY,
        key=emergency_key(good.cluster),
        order=good.made_at,
        ends=good.made_at + LONGEST,
    )
    if len(sealed) > MAX_SEALED:
        raise NotSigned(
            f"it would take {len(sealed)} bytes, at most {MAX_SEALED} are read: name fewer "
            "namespaces, or globs that stand for several"
        )
    return SignedEmergency(good, sealed)


def believed(sealed: bytes | None, ring: Unsealer, *, cluster: str) -> Emergency | None:
    """What the store has of a cluster, if an operator's key signed it."""
    if sealed is None:
        return None
    try:
        return opened_emergency(sealed, ring, cluster=cluster)
    except (InvalidSignature, InvalidException):
        return None


def refused(put: Put, emergency: Emergency, *, instead: str) -> str:
    """Why the store did not take it, and what to do."""
    if put is Put.OLDER:
        return (
            "the store holds a newer record of the emergency: look at it (`imagegate emergency "
            f"show`). If it is not believed, somebody else wrote it: {instead}"
        )
    way = f"more than {MAX_AHEAD // 1000} s ahead of" if put is Put.AHEAD else "behind"
    return (
        f"nothing was written: this machine's clock is {way} the store's, it says "
        f"{moment(emergency.made_at)}; correct it and say the same again"
    )
