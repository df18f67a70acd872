"""Labels by namespace, in so much memory and not more."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from shared.adapters.kubernetes.limits import (
    LABEL_BYTES,
    MAX_LABEL_BYTES,
    MAX_LABEL_BYTES_OF_ONE,
    MAX_NAMESPACES,
)

Labels: TypeAlias = Mapping[str, str]


class Kept:
    """A bounded table. What there is no room for is not in it, rather than in it without labels."""

    def __init__(self) -> None:
        self._labels: dict[str, Labels] = {}
        self._bytes = 0
        self.left_out = 0
        """Namespaces that there was no room for, or that have too many labels."""

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    @property
    def all(self) -> Mapping[str, Labels]:
        """Those that are kept, by name."""
        return self._labels

    def get(self, name: str) -> Labels | None:
        """None for one that is not kept."""
        return self._labels.get(name)

    def put(self, name: str, labels: Labels) -> None:
        """Keep these in place of those of before, if there is room."""
        self.drop(name)
        size = _size(labels)
        full = len(self) >= MAX_NAMESPACES or self._bytes + size > MAX_LABEL_BYTES
        if full or size > MAX_LABEL_BYTES_OF_ONE:
            self.left_out += 1
            return
        self._labels[name] = labels
        self._bytes += size

    def drop(self, name: str) -> None:
        """Keep it no longer."""
        labels = self._labels.pop(name, None)
        if labels is not None:
            self._bytes -= _size(labels)


def too_many(labels: Labels) -> bool:
    """Whether one namespace has more of them than are taken."""
    return _size(labels) > MAX_LABEL_BYTES_OF_ONE


def _size(labels: Labels) -> int:
    return sum(len(key) + len(value) + LABEL_BYTES for key, value in labels.items())
