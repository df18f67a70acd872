"""A world as it is in life: TLS, and each call by the user of the service that makes it.

So a right that is missing in docs/design/redis-rights.md fails the suite of what needs it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar, cast

from shared.adapters.redis_store.claims import RedisRequestClaims, RedisScanLeases
from shared.adapters.redis_store.decisions import RedisDecisionLog
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.leadership import RedisLeadership
from shared.adapters.redis_store.links import WRITERS, RedisLinks
from shared.adapters.redis_store.nudge_claims import RedisNudgeClaims
from shared.adapters.redis_store.polls import RedisPolls
from shared.adapters.redis_store.presence import RedisPresence
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.usage import RedisUsage
from shared.domain.errors import StoreUnreachable
from shared.ports.claims import RequestClaims, ScanLeases
from shared.ports.decisions import DecisionLog
from shared.ports.exceptions import ExceptionStore
from shared.ports.presence import Presence
from shared.ports.usage import Usage
from shared.ports.verdicts import VerdictStore
from tests.contract.stores import (
    DECISIONS,
    EXCEPTED,
    GONE_AFTER,
    PRESENT,
    REMEMBERED,
    USES,
    World,
)
from tests.servers.redis import RedisServer
from tests.servers.rights import PASSWORD
from tests.waiting import PATIENCE

WEBHOOK, WORKER, CONSOLE, OPERATOR = SERVICES = ("webhook", "worker", "console", "operator")
CONNECTED_WITHIN = 30.0

Links = Mapping[str, RedisLinks]
Port = TypeVar("Port")


@asynccontextmanager
async def world_of_users(server: RedisServer, ca_file: Path) -> AsyncIterator[World]:
    """Over a server with the users of the document, emptied before: keys have their real names."""
    server.command("FLUSHALL")
    async with AsyncExitStack() as stack:
        links = {
            user: await stack.enter_async_context(_links(server, user, ca_file))
            for user in SERVICES
        }
        another_worker = await stack.enter_async_context(_links(server, WORKER, ca_file))
        yield World(
            store=_store(links),
            claims=_claims(links),
            leases=_leases(links),
            decisions=_decisions(links),
            exceptions=_exceptions(links),
            presence=_presence(links),
            usage=_usage(links),
            leadership=RedisLeadership(links=links[WORKER]),
            nudges=RedisNudgeClaims(links=links[WEBHOOK]),
            polls=(RedisPolls(links=links[WORKER]), RedisPolls(links=another_worker)),
            now=lambda: time.time_ns() // 1_000_000,
        )


@asynccontextmanager
async def _links(server: RedisServer, user: str, ca_file: Path) -> AsyncIterator[RedisLinks]:
    """With every connection made: on a busy machine a handshake takes longer than a call may."""
    async with RedisLinks(
        url=server.url_of(user, PASSWORD), ca_file=ca_file, limit=PATIENCE
    ) as links:
        async with asyncio.timeout(CONNECTED_WITHIN):
            await _connect(links)
        yield links


async def _connect(links: RedisLinks) -> None:
    while True:
        try:
            await asyncio.gather(*(links.ping() for _ in range(WRITERS)))
        except StoreUnreachable:
            await asyncio.sleep(0.01)
        else:
            return


def by_user(port: object, *, by: Mapping[str, Port], **calls: str) -> Port:
    """`port`, of which each call is made by the user that `calls` names.

    AssertionError when one has none, so that no new call goes by unnoticed.
    """
    wanted = {name for name, found in vars(port).items() if callable(found) and name[0] != "_"}
    assert calls.keys() == wanted, f"{port}: who makes which call of {sorted(wanted)}?"
    return cast(
        Port, SimpleNamespace(**{call: getattr(by[user], call) for call, user in calls.items()})
    )


def _store(links: Links) -> VerdictStore:
    return by_user(
        VerdictStore,
        by={user: RedisVerdictStore(links=of) for user, of in links.items()},
        read=WEBHOOK,
        listen=WEBHOOK,
        ping=WEBHOOK,
        put=WORKER,
        keys=CONSOLE,
    )


def _claims(links: Links) -> RequestClaims:
    return by_user(
        RequestClaims,
        by={
            user: RedisRequestClaims(links=of, max_remembered=REMEMBERED)
            for user, of in links.items()
        },
        claim=WEBHOOK,
        begun=WEBHOOK,
        drop=WEBHOOK,
        begin=WORKER,
        keep=WORKER,
        free=WORKER,
        overdue=WORKER,
        oldest=CONSOLE,
    )


def _leases(links: Links) -> ScanLeases:
    return by_user(
        ScanLeases,
        by={user: RedisScanLeases(links=of) for user, of in links.items()},
        hold=WORKER,
        renew=WORKER,
        place=WORKER,
        room=WORKER,
        holder=WORKER,
        release=WORKER,
        oldest=CONSOLE,
    )


def _decisions(links: Links) -> DecisionLog:
    return by_user(
        DecisionLog,
        by={
            user: RedisDecisionLog(links=of, max_decisions=DECISIONS) for user, of in links.items()
        },
        write=WEBHOOK,
        recent=CONSOLE,
    )


def _exceptions(links: Links) -> ExceptionStore:
    return by_user(
        ExceptionStore,
        by={
            user: RedisExceptionStore(links=of, max_exceptions=EXCEPTED)
            for user, of in links.items()
        },
        all=WEBHOOK,
        put=OPERATOR,
    )


def _presence(links: Links) -> Presence:
    return by_user(
        Presence,
        by={
            user: RedisPresence(links=of, gone_after=GONE_AFTER, max_present=PRESENT)
            for user, of in links.items()
        },
        beat=WORKER,
        goodbye=WORKER,
        alive=CONSOLE,
    )


def _usage(links: Links) -> Usage:
    return by_user(
        Usage,
        by={user: RedisUsage(links=of, max_uses=USES) for user, of in links.items()},
        record=WEBHOOK,
        recent=WORKER,
        count=WORKER,
    )
