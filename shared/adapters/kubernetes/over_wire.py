"""What the classes that ask an API server over a wire of their own have in common."""

from types import TracebackType
from typing import Self

from shared.adapters.kubernetes.access import Server
from shared.adapters.kubernetes.limits import Pace
from shared.adapters.kubernetes.wire import Wire


class OverWire:
    """Opens and closes its wire. An async context manager: nothing is opened before."""

    def __init__(self, *, server: Server, pace: Pace, advice: str) -> None:
        """`advice`: what to do where a right is missing."""
        self._wire = Wire(server=server, pace=pace, advice=advice)

    @property
    def host(self) -> str:
        """For messages."""
        return self._wire.host

    async def __aenter__(self) -> Self:
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._wire.__aexit__(kind, error, traceback)
