"""What is known of namespaces, and until when it is believed. Pure: asks nobody.

Labels choose rules, so that old ones may let an image run that newer ones refuse: what the API
server said is believed for a minute after it last said that nothing else had changed. Not for less:
an API server that restarts must not have every pod refused (docs/adr/0017).
"""

from collections.abc import Callable

import msgspec

from shared.adapters.kubernetes.kept import Kept, Labels, too_many
from shared.adapters.kubernetes.limits import MAX_READ, Pace
from shared.ports.clock import Clock


class _Read(msgspec.Struct, frozen=True):
    """One namespace that was asked for; `labels` None: there is none of that name."""

    labels: Labels | None
    until: float


class NamespaceView:
    """Labels by namespace: those that are followed, and those that were read one by one."""

    def __init__(
        self, *, clock: Clock, pace: Pace, on_known: Callable[[str], None] = lambda name: None
    ) -> None:
        """`on_known` is told of each namespace that is followed from now on, or changed."""
        self._clock = clock
        self._pace = pace
        self._on_known = on_known
        self._followed = Kept()
        self._read: dict[str, _Read] = {}
        self._sought: float | None = None
        self._proven: float | None = None

    @property
    def believed(self) -> bool:
        """Whether what is followed is believed now."""
        proven = self._proven
        return proven is not None and self._clock.monotonic() - proven < self._pace.believed

    @property
    def age(self) -> float | None:
        """Seconds since the API server last said that nothing else had changed, or else since it
        is to be followed; None while nobody wants it."""
        since = self._sought if self._proven is None else self._proven
        return None if since is None else self._clock.monotonic() - since

    @property
    def begun(self) -> bool:
        """Whether anything was followed since the view was last forgotten."""
        return self._proven is not None

    @property
    def known(self) -> int:
        """Namespaces that are followed and believed."""
        return len(self._followed) if self.believed else 0

    def labels(self, name: str) -> Labels | None:
        """None where they are not known, or no longer believed."""
        labels = self._followed.get(name)
        if labels is not None and self.believed:
            return labels
        read = self._remembered(name)
        return read.labels if read else None

    def is_missing(self, name: str) -> bool:
        """Whether the API server said a moment ago that there is no such namespace."""
        read = self._remembered(name)
        return read is not None and read.labels is None

    def sought(self) -> None:
        """All are to be followed from now on."""
        self._sought = self._clock.monotonic()

    def replaced(self, found: Kept) -> None:
        """These are all that there are."""
        self._followed = found
        self._read.clear()
        self.proven()
        for name in found:
            self._on_known(name)

    def changed(self, name: str, labels: Labels) -> None:
        """One was made, or its labels may be other ones now."""
        self._read.pop(name, None)
        self._followed.put(name, labels)
        self.proven()
        self._on_known(name)

    def removed(self, name: str) -> None:
        """One is gone."""
        self._read.pop(name, None)
        self._followed.drop(name)
        self.proven()

    def proven(self) -> None:
        """Nothing else had changed until now."""
        self._proven = self._clock.monotonic()

    def was_read(self, name: str, labels: Labels | None) -> None:
        """One was asked for; `labels` None: there is none of that name."""
        if labels is not None and too_many(labels):
            labels = None
        kept = self._pace.missing if labels is None else self._pace.believed
        self._read.pop(name, None)
        while len(self._read) >= MAX_READ:
            del self._read[next(iter(self._read))]
        self._read[name] = _Read(labels, self._clock.monotonic() + kept)

    def forget(self) -> None:
        """Nothing is followed any more."""
        self._followed = Kept()
        self._read.clear()
        self._sought = self._proven = None

    def _remembered(self, name: str) -> _Read | None:
        read = self._read.get(name)
        return read if read is not None and self._clock.monotonic() < read.until else None
