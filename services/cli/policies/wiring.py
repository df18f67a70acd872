"""The policies of the Anchore that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli.settings import CliSettings
from shared.adapters.anchore.configured import detection_of, transport_of
from shared.adapters.anchore.either import PoliciesOfEither
from shared.runtime.clock import SystemClock


@asynccontextmanager
async def direct_policies(settings: CliSettings) -> AsyncIterator[PoliciesOfEither]:
    """Needs ANCHORE_URL alone."""
    async with transport_of(settings, clock=SystemClock()) as transport:
        yield PoliciesOfEither(detection=detection_of(settings, transport), transport=transport)
