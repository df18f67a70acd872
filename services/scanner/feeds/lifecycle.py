"""Until when distributors look after their releases (services/scanner/data/lifecycle.json).

Once support has ended nobody looks whether a new vulnerability concerns a release: that nothing
is known against a package then means nothing.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files

import msgspec


class _Lifecycle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: tuple[str, ...]
    sources: Mapping[str, str]
    ends: Mapping[str, Mapping[str, date]]
    """By distribution and release: the last day."""


@cache
def _lifecycle() -> _Lifecycle:
    text = files("services.scanner").joinpath("data", "lifecycle.json").read_bytes()
    return msgspec.json.decode(text, type=_Lifecycle)


def ended_before(group: str, as_of: int) -> str:
    """The last day of support of a release (`debian:10`), if that was before `as_of` (ms since
    the epoch); empty: it was supported then, or no such day was published."""
    distribution, _, release = group.partition(":")
    last = _lifecycle().ends.get(distribution, {}).get(release)
    if last is None or datetime.fromtimestamp(as_of / 1000, UTC).date() <= last:
        return ""
    return last.isoformat()
