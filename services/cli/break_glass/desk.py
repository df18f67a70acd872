"""Where signed exceptions are put and looked at: a store of ours, or a process that has one."""

from collections.abc import Mapping
from typing import Protocol

from services.console.emergency_report import EmergencyReport, emergency_reports
from services.console.exception_rows import ExceptionRow, exception_rows
from shared.ports.clock import Clock
from shared.ports.exceptions import ExceptionStore
from shared.ports.presence import Presence
from shared.ports.signing import Unsealer
from shared.ports.verdicts import Put, VerdictStore


class ExceptionsView(Protocol):
    """What `imagegate exceptions list` and `emergency show` ask. Errors: ImagegateError."""

    async def exceptions(self) -> tuple[ExceptionRow, ...]:
        """See `OpsView.exceptions`."""

    async def emergencies(self) -> tuple[EmergencyReport, ...]:
        """See `OpsView.emergencies`."""


class ExceptionActions(Protocol):
    """What `allow`, `revoke` and `emergency` ask; a console does none of it. Errors:
    ImagegateError.

    All of it is sealed: who asks verifies, and holds the key.
    """

    async def sealed_exceptions(self) -> Mapping[str, bytes]:
        """See `ExceptionStore.all`."""

    async def put_exception(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        """See `ExceptionStore.put`."""

    async def sealed_record(self, key: str) -> bytes | None:
        """The store's record under one key: a pointer."""

    async def emergencies(self) -> tuple[EmergencyReport, ...]:
        """See `OpsView.emergencies`."""


class Desk:
    """Both, on the ports."""

    def __init__(
        self,
        *,
        exceptions: ExceptionStore,
        records: VerdictStore,
        presence: Presence,
        unsealer: Unsealer,
        clock: Clock,
    ) -> None:
        self._exceptions = exceptions
        self._records = records
        self._presence = presence
        self._unsealer = unsealer
        self._clock = clock

    async def exceptions(self) -> tuple[ExceptionRow, ...]:
        sealed = await self._exceptions.all()
        return exception_rows(sealed, self._unsealer, now=self._clock.now())

    async def emergencies(self) -> tuple[EmergencyReport, ...]:
        sealed = await self._exceptions.all()
        alive = await self._presence.alive()
        return emergency_reports(sealed, self._unsealer, alive, now=self._clock.now())

    async def sealed_exceptions(self) -> Mapping[str, bytes]:
        return await self._exceptions.all()

    async def put_exception(self, sealed: bytes, *, exception_id: str, ends: int) -> Put:
        return await self._exceptions.put(sealed, exception_id=exception_id, ends=ends)

    async def sealed_record(self, key: str) -> bytes | None:
        (sealed,) = await self._records.read([key])
        return sealed
