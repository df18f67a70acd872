"""The registries of the Anchore that the settings name, and the logins that the rules name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli.local.wiring import rules_of
from services.cli.registries.sync import RegistrySync
from services.cli.settings import CliSettings
from shared.adapters.anchore.configured import detection_of, transport_of
from shared.adapters.anchore.either import RegistriesOfEither
from shared.adapters.registry.rule_logins import RuleLogins
from shared.runtime.clock import SystemClock
from shared.runtime.settings import environ_of_others


@asynccontextmanager
async def direct_registries(settings: CliSettings) -> AsyncIterator[RegistriesOfEither]:
    """Needs ANCHORE_URL alone."""
    async with transport_of(settings, clock=SystemClock()) as transport:
        yield RegistriesOfEither(detection=detection_of(settings, transport), transport=transport)


@asynccontextmanager
async def registry_sync(settings: CliSettings) -> AsyncIterator[RegistrySync]:
    """Needs IMAGEGATE_RULES besides; raises InvalidRules."""
    rules = rules_of(settings)
    async with (
        RuleLogins(clock=SystemClock(), environ=environ_of_others()) as logins,
        direct_registries(settings) as registries,
    ):
        yield RegistrySync(rules=rules, registries=registries, logins=logins)
