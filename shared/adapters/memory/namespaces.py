"""Namespaces in process: those that were put here."""

import asyncio
from collections.abc import Mapping

from shared.domain.errors import ClusterUnreachable
from shared.ports.namespaces import READ_WITHIN


class MemoryNamespaces:
    """A `shared.ports.namespaces.Namespaces` whose API server is this object.

    What was put is known at once while somebody follows, and else once it was read. While `away`
    nothing new is learned.
    """

    def __init__(self, namespaces: Mapping[str, Mapping[str, str]] | None = None) -> None:
        self.away = False
        self.reads: list[str] = []
        """The namespaces that were asked for one by one."""
        self._there = {name: dict(labels) for name, labels in (namespaces or {}).items()}
        self._read: dict[str, Mapping[str, str]] = {}
        self._followed = False

    def put(self, name: str, labels: Mapping[str, str]) -> None:
        """There is such a namespace, with these labels."""
        self._there[name] = dict(labels)
        self._read.pop(name, None)

    def remove(self, name: str) -> None:
        """There is no such namespace any more."""
        self._there.pop(name, None)
        self._read.pop(name, None)

    def labels(self, namespace: str) -> Mapping[str, str] | None:
        if self._followed and not self.away:
            return self._there.get(namespace)
        return self._read.get(namespace)

    async def read(self, namespace: str) -> Mapping[str, str] | None:
        known = self.labels(namespace)
        if known is not None:
            return known
        self.reads.append(namespace)
        if self.away:
            await asyncio.sleep(READ_WITHIN)
        elif namespace in self._there:
            self._read[namespace] = self._there[namespace]
        return self._read.get(namespace)

    async def follow(self) -> None:
        self._followed = True
        try:
            await asyncio.Event().wait()
        finally:
            self._followed = False
            self._read.clear()

    async def ping(self) -> None:
        if self.away:
            raise ClusterUnreachable("the Kubernetes API of this process is away")

    def check(self) -> None:
        """Nothing is missing."""
