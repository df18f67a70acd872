"""Redis over TLS: the CA file decides whom we talk to."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.domain.errors import StoreUnreachable
from shared.runtime.tls import ensure_certificate
from tests.contract.stores import listening, sealed
from tests.fakes.certificates import server_certificate
from tests.servers.redis import RedisServer
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.servers

KEY = "pointer:registry.test/app:1"
FAR = 4_000_000_000_000


def _server(folder: Path, *names: str) -> RedisServer:
    files = ensure_certificate(folder / "certificate", names=names)
    return RedisServer(folder / "redis", tls=(files.certificate, files.key))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with _server(tmp_path, "127.0.0.1") as started:
        yield started


async def _works(store: RedisVerdictStore) -> bool:
    """Whether both connections are open: a handshake may take longer than a call."""
    try:
        await store.read([KEY])
        await store.put(sealed(1), key=KEY, ends=FAR)
    except StoreUnreachable:
        return False
    return True


async def _is_refused(server: RedisServer, ca_file: Path | None) -> None:
    async with RedisLinks(url=server.url, ca_file=ca_file, limit=PATIENCE) as links:
        with pytest.raises(StoreUnreachable, match="certificate"):
            await RedisVerdictStore(links=links).ping()


async def test_a_server_whose_certificate_the_ca_file_vouches_for_is_spoken_to(
    server: RedisServer, tmp_path: Path
) -> None:
    ca_file = tmp_path / "certificate" / "webhook.crt"
    async with RedisLinks(url=server.url, ca_file=ca_file, limit=PATIENCE) as links:
        store = RedisVerdictStore(links=links)
        async with listening(store) as ear:
            await store.put(sealed(1), key=KEY, ends=FAR)
            await ear.until(None, KEY)
        assert await store.read([KEY]) == [sealed(1)]


async def test_a_server_that_the_system_does_not_know_is_refused(server: RedisServer) -> None:
    await _is_refused(server, None)


async def test_a_server_with_another_key_is_refused(server: RedisServer, tmp_path: Path) -> None:
    stranger = ensure_certificate(tmp_path / "stranger", names=("127.0.0.1",))
    await _is_refused(server, stranger.certificate)


async def test_a_server_with_another_name_is_refused(tmp_path: Path) -> None:
    with _server(tmp_path, "redis.test") as server:
        await _is_refused(server, tmp_path / "certificate" / "webhook.crt")


async def test_a_hung_server_is_unreachable_over_tls_too(
    server: RedisServer, tmp_path: Path
) -> None:
    ca_file = tmp_path / "certificate" / "webhook.crt"
    async with RedisLinks(url=server.url, ca_file=ca_file) as links:
        store = RedisVerdictStore(links=links)
        await eventually(lambda: _works(store))
        with server.paused():
            with pytest.raises(StoreUnreachable):
                await store.read([KEY])
            with pytest.raises(StoreUnreachable):
                await store.ping()


def test_a_command_speaks_tls_to_the_redis_that_redis_ca_vouches_for(tmp_path: Path) -> None:
    ca_file, files = server_certificate(tmp_path)
    with RedisServer(tmp_path / "redis", tls=(files.certificate, files.key)) as server:
        told = {"REDIS_URL": server.url, "IMAGEGATE_STATE": str(tmp_path / "state")}
        believed = _imagegate("exceptions", "list", **told, REDIS_CA=str(ca_file))
        assert (believed.returncode, believed.stderr) == (0, "")
        refused = _imagegate("exceptions", "list", **told)
        assert refused.returncode == 2
        assert "certificate" in refused.stderr


def _imagegate(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("imagegate")), *words],
        env={"PATH": os.defpath, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
