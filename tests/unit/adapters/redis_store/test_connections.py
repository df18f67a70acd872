"""A socket that the server closed a moment ago, on the event loop that our processes run on."""

import asyncio
import socket

import pytest
import uvloop
from redis.exceptions import ConnectionError

from shared.adapters.redis_store.connections import PlainConnection


@pytest.mark.parametrize("socket_timeout", [None, 10.0])
def test_what_is_written_to_a_closed_socket_is_a_lost_connection(
    socket_timeout: float | None,
) -> None:
    uvloop.run(_write_to_a_closed_one(socket_timeout))


async def _write_to_a_closed_one(socket_timeout: float | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        connection = PlainConnection(
            host="127.0.0.1",
            port=listening.getsockname()[1],
            socket_timeout=socket_timeout,
            protocol=2,
            driver_info=None,  # nothing is said before the first command
        )
        await connection.send_command("PING")
        accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
        accepted.close()  # with a reset, since the command was not read
        for _ in range(2):  # the loop hears of it; one that is late sees to its timers first
            await asyncio.sleep(0.05)
        with pytest.raises(ConnectionError, match="the server closed the connection"):
            await connection.send_command("PING")
        assert not connection.is_connected
