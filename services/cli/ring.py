"""Public keys that are read when the first record is: not every question needs them."""

from collections.abc import Callable

from shared.domain.signing import Body, Kind, Record
from shared.ports.signing import Unsealer


class RingWhenWanted:
    """An `Unsealer` behind `load`: `imagegate queue` and `status` work where no keys are."""

    def __init__(self, load: Callable[[], Unsealer]) -> None:
        self._load = load
        self._ring: Unsealer | None = None

    def unseal(
        self, sealed: bytes, record_type: type[Record], *, kind: Kind, key: str
    ) -> tuple[Record, Body]:
        """See `Unsealer`; raises what `load` raises, too."""
        self._ring = self._ring or self._load()
        return self._ring.unseal(sealed, record_type, kind=kind, key=key)
