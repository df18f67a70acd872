"""One line about a signed exception: what it says, and whether it counts."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from shared.domain.emergency import emergency_cluster
from shared.domain.errors import InvalidException, InvalidSignature
from shared.domain.exceptions import ImageException, exception_key
from shared.domain.signed_exceptions import agreed
from shared.domain.signing import Kind, take_apart
from shared.ports.signing import Unsealer


class ExceptionState(StrEnum):
    """What an exception is worth; in the order in which they are shown."""

    ACTIVE = "active"
    REVOKED = "revoked"
    ENDED = "ended"
    NOT_BELIEVED = "not believed"
    """Nobody we trust signed it, or it says what no exception may say: it does not count."""


class ExceptionRow(msgspec.Struct, frozen=True):
    """One signed exception; of one that is not believed only id, state and why."""

    id: str
    state: ExceptionState
    image: str = ""
    findings: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    owner: str = ""
    reason: str = ""
    made_at: int = 0
    """When it was signed (ms)."""
    expires: int = 0
    """When it ends (ms)."""
    left: float = 0.0
    """Seconds until then."""
    key_id: str = ""
    """Of the operator's key that signed it."""
    why: str = ""
    """Why it is not believed."""
    cluster: str = ""
    """In which it counts; empty: in each that believes the key."""


def exception_rows(
    sealed: Mapping[str, bytes], unsealer: Unsealer, *, now: int
) -> tuple[ExceptionRow, ...]:
    """All of them, by id, as they stand at `now` (ms): those that count first, and of these what
    ends first."""
    rows = [
        _row(name, record, unsealer, now)
        for name, record in sealed.items()
        if emergency_cluster(name) is None
    ]
    order = list(ExceptionState)
    return tuple(sorted(rows, key=lambda row: (order.index(row.state), row.expires, row.id)))


def opened(exception_id: str, sealed: bytes, unsealer: Unsealer) -> ImageException:
    """Verify and check; raises InvalidSignature, InvalidException."""
    key = exception_key(exception_id)
    record, body = unsealer.unseal(sealed, ImageException, kind=Kind.EXCEPTION, key=key)
    return agreed(record, body)


def _row(name: str, sealed: bytes, unsealer: Unsealer, now: int) -> ExceptionRow:
    try:
        exception = opened(name, sealed, unsealer)
    except (InvalidSignature, InvalidException) as error:
        why = str(error).removeprefix(f"{exception_key(name)}: ")
        return ExceptionRow(name, ExceptionState.NOT_BELIEVED, why=why)
    return ExceptionRow(
        id=exception.id,
        state=_state(exception, now),
        image=exception.image,
        findings=exception.findings,
        namespaces=exception.namespaces,
        owner=exception.owner,
        reason=exception.reason,
        made_at=exception.made_at,
        expires=exception.expires,
        left=max(0, exception.expires - now) / 1000,
        key_id=take_apart(sealed, key=name).key_id,
        cluster=exception.cluster,
    )


def _state(exception: ImageException, now: int) -> ExceptionState:
    if exception.expires <= now:
        return ExceptionState.ENDED
    return ExceptionState.REVOKED if exception.revoked else ExceptionState.ACTIVE
