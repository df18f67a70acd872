"""Whom the commands ask: a console, the servers that the environment names, or `imagegate up`.

A console only reads: what changes something goes to the servers or to `imagegate up`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from services.cli.break_glass.desk import ExceptionActions, ExceptionsView
from services.cli.break_glass.wiring import direct_desk
from services.cli.ops_client import OpsClient, OpsUnavailable, console_client, socket_client
from services.cli.ops_http import SOCKET
from services.cli.policies.remote import RemotePolicies
from services.cli.policies.wiring import direct_policies
from services.cli.scans import ScansView
from services.cli.settings import CliSettings
from services.cli.wiring import direct_letters, direct_ops, direct_records, direct_scans
from services.console.view import DeadLetterActions, OpsView, RecordsView
from shared.ports.policies import Policies

ASK_SERVERS = (
    "set REDIS_URL and AMQP_URL (for `scan` and the scanner's state ANCHORE_URL too, for "
    "`verdicts`, `decisions`, `explain`, `allow` and `exceptions` REDIS_URL alone), or "
    "IMAGEGATE_CONSOLE to the URL of a console"
)
ASK_ANCHORE = "set ANCHORE_URL, and ANCHORE_USER and ANCHORE_PASSWORD_FILE, to ask Anchore"


class Letters(msgspec.Struct, frozen=True):
    """Shows dead letters, and ends them."""

    ops: OpsView
    letters: DeadLetterActions


class Scanning(msgspec.Struct, frozen=True):
    """Has images scanned, and shows what came of it."""

    ops: OpsView
    scans: ScansView


@asynccontextmanager
async def open_ops(settings: CliSettings) -> AsyncIterator[OpsView]:
    """To look. Raises OpsUnavailable when there is nobody to ask."""
    if settings.imagegate_console:
        async with console_client(
            settings.imagegate_console,
            token=settings.console_token(),
            ca=settings.imagegate_console_ca,
        ) as client:
            yield client
    elif settings.names_servers():
        async with direct_ops(settings) as ops:
            yield ops
    else:
        async with _up(settings) as client:
            yield client


@asynccontextmanager
async def open_records(settings: CliSettings) -> AsyncIterator[RecordsView]:
    """To look at verdicts and decisions: needs Redis alone. Raises OpsUnavailable when there is
    nobody to ask."""
    if settings.imagegate_console or not settings.redis_url:
        async with open_ops(settings) as ops:
            yield ops
    else:
        async with direct_records(settings) as records:
            yield records


@asynccontextmanager
async def open_letters(settings: CliSettings) -> AsyncIterator[Letters]:
    """To end dead letters. Raises OpsUnavailable when there is nobody who does."""
    if settings.names_servers():
        async with direct_letters(settings) as (ops, letters):
            yield Letters(ops, letters)
    else:
        _no_console(settings, "REDIS_URL and AMQP_URL to end dead letters")
        async with _up(settings) as client:
            yield Letters(client, client)


@asynccontextmanager
async def open_scans(settings: CliSettings) -> AsyncIterator[Scanning]:
    """To have images scanned. Raises OpsUnavailable when there is nobody who does."""
    if settings.names_servers(scanner=True):
        async with direct_scans(settings) as (ops, scans):
            yield Scanning(ops, scans)
    else:
        _no_console(settings, "REDIS_URL, AMQP_URL and ANCHORE_URL to have images scanned")
        async with _up(settings) as client:
            yield Scanning(client, client)


@asynccontextmanager
async def open_exceptions(settings: CliSettings) -> AsyncIterator[ExceptionsView]:
    """To look at signed exceptions. Raises OpsUnavailable when there is nobody to ask."""
    if settings.imagegate_console or not settings.redis_url:
        async with open_ops(settings) as ops:
            yield ops
    else:
        async with direct_desk(settings) as desk:
            yield desk


@asynccontextmanager
async def open_desk(
    settings: CliSettings, *, looks: bool = False
) -> AsyncIterator[ExceptionActions]:
    """To allow and to revoke, and with `looks` to explain: needs Redis alone. Raises OpsUnavailable
    when nobody has it."""
    if settings.redis_url:
        async with direct_desk(settings) as desk:
            yield desk
    else:
        if looks:
            _no_console(settings, "REDIS_URL to explain", why="hands out no signed records")
        _no_console(settings, "REDIS_URL to allow or to revoke")
        async with _up(settings) as client:
            yield client


@asynccontextmanager
async def open_policies(settings: CliSettings) -> AsyncIterator[Policies]:
    """To look at and to change what Anchore judges by: needs Anchore alone, or is about the scanner
    of `imagegate up`. Raises OpsUnavailable when there is nobody to ask."""
    if settings.anchore_url:
        async with direct_policies(settings) as policies:
            yield policies
    else:
        named = settings.redis_url or settings.amqp_url or settings.imagegate_console
        if named:
            raise OpsUnavailable(f"policies are Anchore's: {ASK_ANCHORE}")
        async with _up(settings, instead=ASK_ANCHORE) as client:
            yield RemotePolicies(client.ask)


@asynccontextmanager
async def socket_of_up(settings: CliSettings, instead: str) -> AsyncIterator[OpsClient]:
    """A running `imagegate up`, for what changes something; `instead` says what else to set. Raises
    OpsUnavailable."""
    _no_console(settings, instead)
    async with _up(settings) as client:
        yield client


@asynccontextmanager
async def _up(settings: CliSettings, *, instead: str = ASK_SERVERS) -> AsyncIterator[OpsClient]:
    path = settings.state_folder / SOCKET
    if not path.exists():
        raise OpsUnavailable(
            f"nobody to ask: start `imagegate up` (no socket {path}), or {instead}"
        )
    async with socket_client(path) as client:
        yield client


def _no_console(
    settings: CliSettings, instead: str, *, why: str = "only shows, it changes nothing"
) -> None:
    if settings.imagegate_console:
        raise OpsUnavailable(f"a console {why}: set {instead}")
