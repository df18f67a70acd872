"""How long an exception is to count, and until when."""

import re
import time

from shared.domain.errors import InvalidException
from shared.domain.pointer import DAY, MINUTE
from shared.domain.signed_exceptions import MAX_LIFE

UNITS = {"m": MINUTE, "h": 60 * MINUTE, "d": DAY}
"""Milliseconds."""

_DURATION = re.compile(r"([0-9]{1,6})([mhd])")


def lifetime(text: str, *, most: int = MAX_LIFE) -> int:
    """`90m`, `2h`, `1d`: milliseconds, at most as many days as `most`. Raises InvalidException."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidException(
            "expires", f"{text[:20]!r} is no duration: a whole number with m, h or d, such as 2h"
        )
    life = int(found[1]) * UNITS[found[2]]
    if not 0 < life <= most:
        raise InvalidException("expires", f"must be 1m to {most // DAY}d, not {text}")
    return life


def moment(milliseconds: int) -> str:
    """`2027-01-31T14:00:00Z`, as in the rules file."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(milliseconds / 1000))
