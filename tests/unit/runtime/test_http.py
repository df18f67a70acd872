import asyncio
import gzip
import socket
import stat
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from shared.domain.errors import InvalidSettings
from shared.runtime.http import PORT_SETTINGS, serve, serve_unix
from tests.waiting import PATIENCE


def hello() -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", answer)
    return app


async def test_a_site_says_where_it_answers_and_is_gone_at_the_end() -> None:
    async with serve(hello()) as bound, aiohttp.ClientSession() as session:
        assert bound.url == f"http://127.0.0.1:{bound.port}"
        async with session.get(bound.url) as answer:
            assert await answer.text() == "hello"
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", bound.port)


async def test_a_client_that_goes_away_ends_its_handler() -> None:
    ended = asyncio.Event()
    began = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        began.set()
        try:
            await asyncio.sleep(2 * PATIENCE)
        finally:
            ended.set()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", slow)
    async with serve(app) as bound:
        _, writer = await asyncio.open_connection("127.0.0.1", bound.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(began.wait(), PATIENCE)
        writer.close()
        await asyncio.wait_for(ended.wait(), PATIENCE)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_no_body_is_unpacked(encoding: str) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/", echo)
    packed = gzip.compress(b"a" * 1000)
    async with serve(app) as bound, aiohttp.ClientSession() as session:
        headers = {"Content-Encoding": encoding}
        async with session.post(bound.url, data=packed, headers=headers) as answer:
            assert await answer.read() == packed


async def test_a_unix_socket_is_its_owners_alone_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    async with serve_unix(hello(), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connector = aiohttp.UnixConnector(str(path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://ops/") as answer,
        ):
            assert await answer.text() == "hello"
    assert not path.exists()


async def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with serve_unix(hello(), path):
        assert path.is_socket()


async def test_a_socket_that_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    async with serve_unix(hello(), path):
        with pytest.raises(InvalidSettings, match="another process answers"):
            async with serve_unix(hello(), path):
                pass


async def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ops.sock"
    path.write_text("precious")
    with pytest.raises(InvalidSettings, match="not a socket"):
        async with serve_unix(hello(), path):
            pass
    assert path.read_text() == "precious"


async def test_a_path_that_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="cannot make the socket"):
        async with serve_unix(hello(), tmp_path / ("x" * 200)):
            pass


async def test_a_port_in_use_is_named_once_with_what_to_do() -> None:
    async with serve(hello()) as bound:
        with pytest.raises(InvalidSettings) as caught:
            async with serve(hello(), port=bound.port):
                pass
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1:{bound.port}: address already in use; stop what uses it or "
        f"choose another port ({PORT_SETTINGS})"
    )


async def test_an_address_of_another_machine_is_named() -> None:
    with pytest.raises(
        InvalidSettings, match=r"192\.0\.2\.1:0: .*; choose another address or port"
    ):
        async with serve(hello(), host="192.0.2.1"):
            pass
