"""Brings webhook configurations to the API server and takes them away, so that no pod waits for a
webhook that is not there."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from services.cli.webhooks.configurations import Address, Wanted
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable, ImagegateError
from shared.ports.clock import Clock
from shared.ports.webhook_configurations import Live, Rollout, WebhookConfigurations, Which

PAUSE = 1.0
"""Seconds between two looks."""
IN_A_ROW = 3
"""Handshakes: behind the address stand several."""

ORDER = (Which.MUTATING, Which.VALIDATING)
"""In which they come: what is not pinned is refused. They go the other way round."""

Handshake = Callable[[Address], Awaitable[None]]

Result = TypeVar("Result")


class NotReady(ImagegateError):
    """The webhooks did not come to answer in time."""


class NotOurs(ImagegateError):
    """The configurations belong to another installation of this cluster."""


class Deployed(msgspec.Struct, frozen=True):
    """The Deployment of the webhooks."""

    namespace: str
    name: str


class Keeper:
    """Acts on one cluster; what it does it says, one line each."""

    def __init__(
        self,
        *,
        configurations: WebhookConfigurations,
        clock: Clock,
        say: Callable[[str], object],
        pause: float = PAUSE,
    ) -> None:
        self._pause = pause
        self._configurations = configurations
        self._clock = clock
        self._say = say

    async def apply(
        self,
        wanted: Wanted,
        *,
        deployed: Deployed | None,
        handshake: Handshake,
        within: float,
        present: bool = False,
    ) -> None:
        """Apply `wanted` once the webhooks answer; one that cannot refuse anything at once.

        A configuration of ours that `wanted` does not name goes. `present`: only what is there, and
        as it was at the beginning, is changed, so that nothing comes back that somebody takes away
        meanwhile, or lets pass. Raises NotReady after `within` seconds, NotOurs,
        ClusterMisconfigured; until it applies nothing is changed.
        """
        until = self._clock.monotonic() + within
        before = {which: await self._ours(which, wanted.installation, until) for which in ORDER}
        if wanted.can_refuse:
            await self._answering(wanted, deployed, handshake, until)
        for which in ORDER:
            document = wanted.documents.get(which)
            if present and await self._changed(which, before[which], until):
                self._say(f"{which} was changed meanwhile, and stays as it is")
            elif document is None:
                await self._delete(which, wanted.installation, until)
            elif present:
                keep = partial(self._keep, which, document, wanted.installation)
                await self._persist(keep, until)
            else:
                await self._persist(partial(self._configurations.apply, which, document), until)
                self._say(f"applied {which}")

    async def relax(self, installation: str, *, within: float) -> None:
        """Have the API server let pass what no webhook answers for, at once."""
        until = self._clock.monotonic() + within
        for which in reversed(ORDER):
            await self._persist(partial(self._relax, which, installation), until)

    async def remove(self, installation: str, *, within: float) -> None:
        """Have the API server ask nobody; the one that can refuse goes first."""
        until = self._clock.monotonic() + within
        for which in reversed(ORDER):
            await self._delete(which, installation, until)

    async def _keep(self, which: Which, document: dict[str, Any], installation: str) -> None:
        live = await self._configurations.get(which)
        if live is None:
            self._say(f"{which} is not there, and stays away")
            return
        _check(which, live, installation)
        await self._configurations.apply(which, document, only=live)
        self._say(f"applied {which}")

    async def _changed(self, which: Which, before: Live | None, until: float) -> bool:
        """Whether it is another by now; one that is gone is none."""
        live = await self._persist(partial(self._configurations.get, which), until)
        return live is not None and live != before

    async def _relax(self, which: Which, installation: str) -> None:
        live = await self._configurations.get(which)
        if live is None:
            self._say(f"{which} is not there")
            return
        _check(which, live, installation)
        await self._configurations.relax(which, live)
        self._say(f"relaxed {which}: what no webhook answers for passes")

    async def _delete(self, which: Which, installation: str, until: float) -> None:
        if await self._ours(which, installation, until):
            await self._persist(partial(self._configurations.delete, which), until)
            self._say(f"removed {which}")

    async def _ours(self, which: Which, installation: str, until: float) -> Live | None:
        """The one that is there, which is then ours. Raises NotOurs."""
        live = await self._persist(partial(self._configurations.get, which), until)
        if live is not None:
            _check(which, live, installation)
        return live

    async def _answering(
        self, wanted: Wanted, deployed: Deployed | None, handshake: Handshake, until: float
    ) -> None:
        """Wait until the API server can call each address."""
        said = ""
        while missing := await self._missing(wanted, deployed, handshake):
            if self._clock.monotonic() >= until:
                raise NotReady(
                    f"{missing}; the webhook configurations are as they were, so that no pod waits "
                    "for it. Look at the webhooks (kubectl get pods, kubectl logs), then try again"
                )
            if missing != said:
                said = missing
                self._say(f"waiting: {missing}")
            await asyncio.sleep(self._pause)

    async def _missing(
        self, wanted: Wanted, deployed: Deployed | None, handshake: Handshake
    ) -> str:
        """What the webhooks lack to be called; empty: nothing."""
        try:
            if deployed is not None:
                rollout = await self._configurations.rollout(deployed.namespace, deployed.name)
                if not rollout.complete:
                    return _standing(deployed, rollout)
            for address in sorted(wanted.addresses, key=str):
                for _ in range(IN_A_ROW):
                    await handshake(address)
        except ClusterMisconfigured:
            raise
        except ImagegateError as error:
            return str(error)
        return ""

    async def _persist(
        self, act: Callable[[], Awaitable[Live | None]], until: float
    ) -> Live | None:
        """Do it, again while the API server does not answer and there is time."""
        while True:
            try:
                return await act()
            except ClusterMisconfigured:
                raise
            except ClusterUnreachable as error:
                if self._clock.monotonic() >= until:
                    raise
                self._say(f"again: {error}")
                await asyncio.sleep(self._pause)


def _check(which: Which, live: Live, installation: str) -> None:
    if live.installation not in ("", installation):
        raise NotOurs(
            f"{which} belongs to the installation {live.installation}, and this is {installation}: "
            "one cluster has one imagegate. Remove the other one first, or its configuration with "
            f"`kubectl delete {which.resource} {which.called}`"
        )


def _standing(deployed: Deployed, rollout: Rollout) -> str:
    where = f"the Deployment {deployed.namespace}/{deployed.name}"
    if not rollout.wanted:
        return f"{where} is not there, or wants no pods"
    if not rollout.seen:
        return f"{where} is not rolled out yet"
    return (
        f"{where} has {rollout.updated} of {rollout.wanted} pods of its last version, "
        f"{rollout.available} pods are available, {rollout.replicas - rollout.updated} are old"
    )
