"""Callers that do not get past the handshake are counted and said, by reason
(docs/install.md, Only the API server may ask)."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from services.webhook.handshakes import SAY_EVERY, WHAT, Handshakes
from shared.runtime.handshakes import FailedHandshake, HandshakeFault
from shared.runtime.lifecycle import Lifecycle, run
from shared.runtime.tls import client_context
from tests.fakes.certificates import Authority
from tests.fakes.clock import FakeClock
from tests.house import House, house
from tests.waiting import eventually

CALLED = "localhost"
PASSED = timedelta(minutes=-1)
YET_TO_COME = timedelta(minutes=59)


class Site:
    """What callers bring to a webhook."""

    def __init__(self, folder: Path) -> None:
        self.callers, self.others = Authority(folder / "callers"), Authority(folder / "others")
        self.served = folder / "state" / "webhook.crt"

    def nobody(self) -> ssl.SSLContext:
        return client_context(self.served)

    def of_another(self) -> ssl.SSLContext:
        return client_context(self.served, own=self.others.client("kube-apiserver"))

    def ended(self) -> ssl.SSLContext:
        own = self.callers.client("kube-apiserver", lasts=PASSED)
        return client_context(self.served, own=own)

    def not_begun(self) -> ssl.SSLContext:
        own = self.callers.client("kube-apiserver", begins=YET_TO_COME)
        return client_context(self.served, own=own)

    def a_server(self) -> ssl.SSLContext:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        own = self.callers.signed("kube-apiserver", usage)
        return client_context(self.served, own=own)

    def distrustful(self) -> ssl.SSLContext:
        own = self.callers.client("kube-apiserver")
        return client_context(self.others.file, own=own)

    def old(self) -> ssl.SSLContext:
        own = self.callers.client("kube-apiserver")
        context = client_context(self.served, own=own)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context


def called(home: House, context: ssl.SSLContext, name: str = CALLED) -> bytes:
    """What a caller gets to read; nothing: it was not let in."""
    bound = home.sites.reviews
    with (
        suppress(OSError),
        socket.create_connection((bound.host, bound.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return connection.recv(1)
    return b""


async def counted(home: House, why: HandshakeFault) -> float:
    name = f'imagegate_handshakes_failed_total{{reason="{why}"}} '
    lines = (await home.metrics()).splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.mark.parametrize(
    ("brings", "why", "words"),
    [
        (Site.nobody, HandshakeFault.NO_CERTIFICATE, "did not return a certificate"),
        (Site.of_another, HandshakeFault.OTHER_CA, "issuer"),
        (Site.ended, HandshakeFault.EXPIRED, "has expired"),
        (Site.not_begun, HandshakeFault.EXPIRED, "not yet valid"),
        (Site.a_server, HandshakeFault.NOT_FOR_CLIENTS, "purpose"),
        (Site.distrustful, HandshakeFault.NOT_TRUSTED, "alert unknown ca"),
        (Site.old, HandshakeFault.PROTOCOL, "unsupported protocol"),
    ],
)
async def test_who_is_not_let_in_is_counted_each_time_and_said_once(
    tmp_path: Path,
    brings: Callable[[Site], ssl.SSLContext],
    why: HandshakeFault,
    words: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site(tmp_path)
    async with house(tmp_path / "state", worker=False, client_ca=site.callers.file) as home:
        context = brings(site)
        with caplog.at_level(logging.INFO, "services.webhook.handshakes"):
            for _ in range(3):
                assert await asyncio.to_thread(called, home, context) == b""

            async def all_are_counted() -> bool:
                return await counted(home, why) == 3

            await eventually(all_are_counted)
        said = [record for record in caplog.records if record.name.endswith(".handshakes")]
        assert [(each.levelname, each.getMessage()) for each in said] == [
            ("WARNING", f"{WHAT[why]}: not let in")
        ]
        assert words in vars(said[0])["said"]
        # A caller of an old TLS is refused before its name is read.
        assert vars(said[0])["called"] == ("nothing" if why is HandshakeFault.PROTOCOL else CALLED)
        own = site.callers.client("kube-apiserver")
        good = client_context(site.served, own=own)
        assert await asyncio.to_thread(called, home, good) == b"H"
        assert sum([await counted(home, each) for each in HandshakeFault]) == 3


async def test_without_a_client_ca_a_caller_that_does_not_trust_us_is_told_of_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(tmp_path)
    async with house(tmp_path / "state", worker=False) as home:
        assert await asyncio.to_thread(called, home, site.distrustful()) == b""

        async def is_counted() -> bool:
            return await counted(home, HandshakeFault.NOT_TRUSTED) == 1

        await eventually(is_counted)
        assert "caBundle" in caplog.text


async def test_who_is_shown_another_name_than_it_calls_is_told_of_with_that_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site, name = Site(tmp_path), "imagegate-webhook.imagegate.svc"
    async with house(tmp_path / "state", worker=False) as home:
        assert await asyncio.to_thread(called, home, site.nobody(), name) == b""

        async def is_counted() -> bool:
            return await counted(home, HandshakeFault.NOT_TRUSTED) == 1

        await eventually(is_counted)
    (said,) = [record for record in caplog.records if record.name.endswith(".handshakes")]
    assert vars(said)["called"] == name


async def test_who_speaks_no_tls_is_counted_and_who_only_connects_is_not(tmp_path: Path) -> None:
    async with house(tmp_path / "state", worker=False) as home:
        bound = home.sites.reviews
        for sent in (b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            _, writer = await asyncio.open_connection(bound.host, bound.port)
            writer.write(sent)
            await writer.drain()
            with suppress(OSError):
                writer.close()
                await writer.wait_closed()

        async def one_is_counted() -> bool:
            return await counted(home, HandshakeFault.PROTOCOL) == 1

        await eventually(one_is_counted)


def test_names_that_are_no_text_fill_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path)

    async def serve(life: Lifecycle) -> int:
        async with house(tmp_path / "state", worker=False) as home:
            for _ in range(3):
                await asyncio.to_thread(begins, home, site.nobody(), b"\xff\x1b[2J\xfe")

            async def all_are_counted() -> bool:
                return await counted(home, HandshakeFault.PROTOCOL) == 3

            await eventually(all_are_counted)
            assert await asyncio.to_thread(called, home, site.nobody()) == b"H"
        return 0

    with caplog.at_level(logging.INFO):
        assert run(serve) == 0
    (said,) = [each for each in caplog.records if each.levelno > logging.INFO]
    assert vars(said)["called"] == "nothing"
    assert vars(said)["said"] == "the name that it calls us by is not ASCII"
    assert capfd.readouterr().err == ""


def begins(home: House, context: ssl.SSLContext, name: bytes) -> None:
    """A caller that wants a server of that name, which no library would let it ask for."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    instead = "n" * len(name)
    connection = context.wrap_bio(incoming, outgoing, server_hostname=instead)
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    bound = home.sites.reviews
    with suppress(OSError), socket.create_connection((bound.host, bound.port), timeout=30) as plain:
        plain.sendall(outgoing.read().replace(instead.encode(), name))
        plain.recv(1)


def test_of_many_one_is_said_a_minute_of_each_reason_whatever_they_call_us(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, seen = FakeClock(), list[HandshakeFault]()
    handshakes = Handshakes(clock=clock, on_failed=seen.append)
    for number in range(100):
        for why in (HandshakeFault.NO_CERTIFICATE, HandshakeFault.OTHER_CA):
            handshakes.failed(FailedHandshake(why, "said", f"{number}\n\x1b[2J{'x' * 200}"))
    assert len(caplog.records) == 2
    clock.advance(round(SAY_EVERY * 1000))
    handshakes.failed(FailedHandshake(HandshakeFault.OTHER_CA, "said", ""))
    assert len(seen) == 201
    first, *_, last = caplog.records
    assert last.getMessage().endswith(": not let in (and 99 more since the last such line)")
    shown = vars(first)["called"]
    assert len(shown) == 80
    assert shown.isprintable()
