"""The composition root of break-glass: the operator's key, and a store without a broker."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.cli.break_glass.desk import Desk
from services.cli.break_glass.operator import Operator
from services.cli.ring import RingWhenWanted
from services.cli.settings import CliSettings
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.turns import WORK_LIMIT
from shared.adapters.signatures import Ed25519Sealer, load_ring, load_ring_of, load_sealer
from shared.domain.errors import InvalidSettings
from shared.domain.signing import Role
from shared.ports.signing import Unsealer
from shared.runtime.clock import SystemClock


def operator_of(settings: CliSettings) -> Operator:
    """Whoever holds the key that the settings name; raises InvalidSettings."""
    sealer = sealer_of(settings)
    return Operator(sealer=sealer, ring=ring_of(settings, sealer), clock=SystemClock())


def ring_of(settings: CliSettings, sealer: Ed25519Sealer) -> Unsealer:
    """The public keys that webhooks have, with that of `sealer`."""
    return load_ring_of(sealer, settings.imagegate_keys or settings.operator_folder)


def sealer_of(settings: CliSettings) -> Ed25519Sealer:
    """The operator's key, which webhooks with IMAGEGATE_KEYS believe; raises InvalidSettings."""
    folder = settings.operator_folder
    sealer = load_sealer(folder, role=Role.OPERATOR)
    named = settings.imagegate_keys
    if named is not None and not load_ring(named).trusts(sealer.key_id, Role.OPERATOR):
        raise InvalidSettings(
            f"{named} does not hold the public key of {folder}/operator.key: webhooks with these "
            "keys would not believe it; add it there and to theirs as "
            f"operator-{sealer.key_id}.pub, or use the operator's key that they know"
        )
    return sealer


@asynccontextmanager
async def direct_desk(settings: CliSettings) -> AsyncIterator[Desk]:
    """The exceptions in the Redis that the settings name; RabbitMQ is not needed."""
    async with RedisLinks(
        url=settings.redis_url.value, ca_file=settings.redis_ca, limit=WORK_LIMIT
    ) as links:
        yield Desk(
            exceptions=RedisExceptionStore(links=links),
            records=RedisVerdictStore(links=links),
            presence=RedisPresence(links=links),
            unsealer=RingWhenWanted(lambda: load_ring(settings.ring_folder)),
            clock=SystemClock(),
        )
