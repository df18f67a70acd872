"""The emergency in which an image passes all the same: as its webhooks would believe it."""

from collections.abc import Mapping
from contextlib import suppress

from services.console.emergency_report import opened_emergency
from shared.domain.emergency import Emergency, emergency_id, emergency_key
from shared.domain.errors import InvalidException, InvalidSignature
from shared.domain.signing import claimed_key
from shared.ports.exceptions import Folder
from shared.ports.signing import Unsealer
from shared.ports.verdicts import MAX_AHEAD


def emergency_of(
    cluster: str, stored: Mapping[str, bytes], folder: Folder, unsealer: Unsealer, *, now: int
) -> Emergency | None:
    """The one that counts in the cluster at `now` (ms); None: there is none."""
    offered = [stored.get(emergency_id(cluster), b"")]
    for sealed in folder.sealed.values():
        with suppress(InvalidSignature):
            if claimed_key(sealed) == emergency_key(cluster):
                offered.append(sealed)
    newest: Emergency | None = None
    for sealed in filter(None, offered):
        with suppress(InvalidSignature, InvalidException):
            found = opened_emergency(sealed, unsealer, cluster=cluster)
            ahead = found.made_at > now + MAX_AHEAD and not found.over
            if not ahead and found.replaces(newest):
                newest = found
    return newest if newest is not None and newest.counts(now) else None
