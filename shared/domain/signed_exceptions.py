"""What a signed exception must say beside what every exception must, and how one is taken back.

Its record is sealed under `exception_key(id)` with its `made_at` for the order and its `expires`
for the end (docs/design/signatures.md).
"""

import msgspec

from shared.domain.errors import InvalidException
from shared.domain.exceptions import ImageException, checked, exception_key
from shared.domain.pointer import DAY
from shared.domain.signing import Body

MAX_LIFE = 30 * DAY
"""Milliseconds: how long a thief of the store can withhold that one was revoked."""


def agreed(exception: ImageException, body: Body) -> ImageException:
    """The exception of a verified record, checked. Raises InvalidException."""
    if not exception.id or body.key != exception_key(exception.id):
        raise InvalidException("id", f"is not that of {body.key}, for which it was signed")
    if (exception.made_at, exception.expires) != (body.order, body.ends):
        raise InvalidException("expires", "differs from what the record around it says")
    if exception.expires > exception.made_at + MAX_LIFE:
        raise InvalidException("expires", f"is more than {MAX_LIFE // DAY} days after made_at")
    return checked(exception)


def revocation(exception: ImageException, *, now: int, reason: str = "") -> ImageException:
    """What takes it back: newer, and remembered until the exception itself would have ended."""
    return msgspec.structs.replace(
        exception,
        made_at=max(now, exception.made_at + 1),
        reason=reason or exception.reason,
        revoked=True,
    )
