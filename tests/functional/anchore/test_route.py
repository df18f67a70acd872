"""What lies between us and Anchore: a proxy that was named, a server that wants to know us."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.adapters.anchore.address import Route
from shared.adapters.anchore.calls import Call, nobody
from shared.adapters.anchore.faults import Fault, OnFault
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import InvalidSettings, TransientFailure
from tests.fakes.anchore import FakeAnchore
from tests.functional.anchore.conftest import QUICK
from tests.functional.anchore.test_transport import own_certificate

LIST = Call(operation="policies", method="GET", path="/v1/policies")


class Proxy:
    """An HTTP proxy: hands on plain requests and CONNECT, and notes what it was asked."""

    def __init__(self, *, wants: str = "") -> None:
        self.asked: list[str] = []
        self.logins: list[str] = []
        self._wants = wants
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *headers = head.split("\r\n")
        method, target, _ = first.split(" ")
        self.asked.append(f"{method} {target}")
        login = next((h for h in headers if h.lower().startswith("proxy-authorization")), "")
        self.logins.append(login.partition(": ")[2])
        if self._wants and self._wants not in login:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        place = target.removeprefix("http://").partition("/")[0]
        host, _, port = place.partition(":")
        there, to = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            kept = [h for h in headers if not h.lower().startswith(("proxy-", "connection"))]
            path = target.removeprefix(f"http://{place}")
            lines = [f"{method} {path} HTTP/1.1", "Connection: close", *filter(None, kept)]
            to.write("\r\n".join((*lines, "", "")).encode())
        await asyncio.gather(_pump(reader, to), _pump(there, writer))


async def _pump(source: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(65536):
            goal.write(chunk)
            await goal.drain()
    except ConnectionError:
        pass
    finally:
        goal.close()


@asynccontextmanager
async def proxy(*, wants: str = "") -> AsyncIterator[Proxy]:
    served = Proxy(wants=wants)
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    served.url = f"http://127.0.0.1:{port}"
    try:
        yield served
    finally:
        server.close()


def by(anchore: FakeAnchore, route: Route, on_fault: OnFault = nobody) -> AnchoreTransport:
    return AnchoreTransport(
        url=anchore.url,
        user="admin",
        password="foobar",
        route=route,
        limits=QUICK,
        on_fault=on_fault,
    )


async def test_a_proxy_that_was_named_is_used() -> None:
    async with FakeAnchore() as anchore, proxy() as there:
        async with by(anchore, Route(proxy=there.url)) as transport:
            assert (await transport.call(LIST)).status == 200
        assert there.asked == [f"GET {anchore.url}/v1/policies"]


async def test_a_proxy_of_the_environment_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeAnchore() as anchore, proxy() as there:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, there.url)
        async with by(anchore, Route()) as transport:
            assert (await transport.call(LIST)).status == 200
        assert there.asked == []


async def test_through_a_proxy_the_servers_own_certificate_counts(tmp_path: Path) -> None:
    ca_file, tls = own_certificate(tmp_path)
    async with FakeAnchore(tls=tls) as anchore, proxy() as there:
        async with by(anchore, Route(ca_file=ca_file, proxy=there.url)) as transport:
            assert (await transport.call(LIST)).status == 200
        async with by(anchore, Route(proxy=there.url)) as transport:
            with pytest.raises(TransientFailure, match="set ANCHORE_CA"):
                await transport.call(LIST)
        assert set(there.asked) == {f"CONNECT 127.0.0.1:{anchore.port}"}


async def test_a_proxy_that_wants_a_login_gets_it_and_nobody_else_does() -> None:
    login = "dXNlcjpwcm94eS1zZWNyZXQ="
    async with FakeAnchore() as anchore, proxy(wants=login) as there:
        named = there.url.replace("//", "//user:proxy-secret@")
        async with by(anchore, Route(proxy=named)) as transport:
            assert (await transport.call(LIST)).status == 200
        assert there.logins == [f"Basic {login}"]
        assert "proxy-secret" not in repr(Route(proxy=named))


async def test_a_proxy_that_does_not_let_us_through_is_told_apart(tmp_path: Path) -> None:
    ca_file, tls = own_certificate(tmp_path)
    faults: list[str] = []
    async with FakeAnchore(tls=tls) as anchore, proxy(wants="a login") as there:
        named = there.url.replace("//", "//user:proxy-secret@")
        route = Route(ca_file=ca_file, proxy=named)
        async with by(anchore, route, lambda _, fault: faults.append(fault)) as transport:
            with pytest.raises(TransientFailure, match="is what ANCHORE_PROXY says") as failure:
                await transport.call(LIST)
    assert set(faults) == {Fault.PROXY}
    assert "proxy-secret" not in str(failure.value)


@pytest.mark.parametrize("text", ["proxy:3128", "socks5://proxy", "http://", "http://u:secret@:x"])
def test_a_proxy_that_is_none_is_said_without_its_password(text: str) -> None:
    with pytest.raises(InvalidSettings, match="ANCHORE_PROXY must be http://HOST:PORT") as failure:
        AnchoreTransport(url="http://anchore", route=Route(proxy=text))
    assert "secret" not in str(failure.value)


async def test_a_server_that_wants_to_know_us_is_shown_our_certificate(tmp_path: Path) -> None:
    ca_file, tls = own_certificate(tmp_path)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(ca_file)
    async with FakeAnchore(tls=tls) as anchore:
        mine = Route(ca_file=ca_file, certificate=ca_file, key=tmp_path / "key.pem")
        async with by(anchore, mine) as transport:
            assert (await transport.call(LIST)).status == 200
        async with by(anchore, Route(ca_file=ca_file)) as transport:
            with pytest.raises(TransientFailure, match="cannot be asked"):
                await transport.call(LIST)


def test_a_client_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    ca_file, _ = own_certificate(tmp_path)
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no key")
    for certificate, key in ((wrong, None), (ca_file, wrong), (ca_file, tmp_path / "gone")):
        with pytest.raises(InvalidSettings, match="ANCHORE_CLIENT_CERTIFICATE"):
            AnchoreTransport(url="https://anchore", route=Route(certificate=certificate, key=key))
    with pytest.raises(InvalidSettings, match="ANCHORE_CLIENT_KEY is set without"):
        AnchoreTransport(url="https://anchore", route=Route(key=wrong))
