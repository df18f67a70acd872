"""Whom the commands ask: the servers that the environment names, or a running `imagegate up`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from services.cli.ops_http import SOCKET, OpsUnavailable, ops_client
from services.cli.scans import ScansView
from services.cli.settings import CliSettings
from services.cli.wiring import direct_backend
from services.console.view import OpsView


class Backend(msgspec.Struct, frozen=True):
    """Both halves of what commands ask."""

    ops: OpsView
    scans: ScansView


@asynccontextmanager
async def open_backend(settings: CliSettings) -> AsyncIterator[Backend]:
    """Direct when the servers are named, else the socket in the state folder.

    Raises OpsUnavailable when there is neither.
    """
    if settings.direct:
        async with direct_backend(settings) as (ops, scans):
            yield Backend(ops, scans)
        return
    path = settings.state_folder / SOCKET
    if not path.exists():
        raise OpsUnavailable(
            f"nobody to ask: start `imagegate up` (no socket {path}), or set REDIS_URL, AMQP_URL "
            "and ANCHORE_URL"
        )
    async with ops_client(path) as client:
        yield Backend(client, client)
