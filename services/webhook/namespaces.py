"""Labels of namespaces, followed only while some rule is about them."""

import asyncio
from collections.abc import Mapping

from shared.domain.errors import InvalidSettings
from shared.domain.rules import Rules
from shared.ports.namespaces import Namespaces

SETTINGS = (
    "run this in a pod of the cluster (k8s/chart), or set IMAGEGATE_KUBERNETES_URL to "
    "its API server, IMAGEGATE_KUBERNETES_TOKEN_FILE to a file with a token that may get, list and "
    "watch namespaces, and IMAGEGATE_KUBERNETES_CA to its CA"
)


class NamespacesWhenNeeded:
    """A `shared.ports.namespaces.Namespaces` that asks nobody before `accept` was told of a rule
    with namespaceLabels, and nobody any more after the last one went."""

    def __init__(self, namespaces: Namespaces | None) -> None:
        """`namespaces`: None where no Kubernetes API is named."""
        self._namespaces = namespaces
        self._needed = asyncio.Event()
        self._unneeded = asyncio.Event()

    def accept(self, rules: Rules) -> None:
        """These rules hold from now on.

        Raises InvalidSettings where one of them needs labels that nobody can be asked for; those
        of before go on then.
        """
        needing = [rule.name for rule in rules.rules if rule.match.namespace_labels]
        if needing:
            self._check(needing[0])
            self._unneeded.clear()
            self._needed.set()
        else:
            self._needed.clear()
            self._unneeded.set()

    def labels(self, namespace: str) -> Mapping[str, str] | None:
        return self._namespaces.labels(namespace) if self._namespaces is not None else None

    async def read(self, namespace: str) -> Mapping[str, str] | None:
        return await self._namespaces.read(namespace) if self._namespaces is not None else None

    async def follow(self) -> None:
        while True:
            await self._needed.wait()
            await self._follow_while_needed()

    async def ping(self) -> None:
        """Asks only while labels are needed."""
        if self._namespaces is not None and self._needed.is_set():
            await self._namespaces.ping()

    def check(self) -> None:
        if self._namespaces is not None:
            self._namespaces.check()

    def _check(self, rule: str) -> None:
        if self._namespaces is None:
            raise InvalidSettings(
                f"rule {rule!r} has namespaceLabels, and there is no Kubernetes API to ask for "
                f"them: {SETTINGS}"
            )
        try:
            self._namespaces.check()
        except InvalidSettings as error:
            raise InvalidSettings(f"rule {rule!r} has namespaceLabels, and {error}") from error

    async def _follow_while_needed(self) -> None:
        if self._namespaces is None:
            raise RuntimeError("no namespaces to follow: `accept` refuses such rules")
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._namespaces.follow(), name="follow namespaces")
            await self._unneeded.wait()
            following.cancel()
