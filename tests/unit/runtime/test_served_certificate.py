"""A renewed certificate is shown to who connects from then on, by real handshakes."""

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509

from shared.domain.errors import InvalidSettings
from shared.runtime.http import Bound, serve
from shared.runtime.served_certificate import ServedCertificate
from shared.runtime.tls import CertificateFiles, client_context, ensure_certificate
from tests.fakes.certificates import Authority, client_certificate


def made(folder: Path) -> CertificateFiles:
    return ensure_certificate(folder)


def put(files: CertificateFiles, *, certificate: Path, key: Path) -> None:
    """As a Secret is changed: other content under the same names."""
    files.certificate.write_bytes(certificate.read_bytes())
    files.key.write_bytes(key.read_bytes())


@asynccontextmanager
async def serving(certificate: ServedCertificate) -> AsyncIterator[Bound]:
    async with serve(
        web.Application(), host="127.0.0.1", port=0, tls=certificate.context, shutdown=1
    ) as bound:
        yield bound


async def shown_to(bound: Bound, trust: ssl.SSLContext, *, name: str | None = None) -> int:
    """The serial number of the certificate that a client sees; raises what its handshake does."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", bound.port, ssl=trust, server_hostname=name or "127.0.0.1"
    )
    try:
        # In TLS 1.3 a server refuses a client behind its own handshake.
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        if not await reader.read(1):
            raise ConnectionResetError("closed without an answer")
        der = writer.get_extra_info("ssl_object").getpeercert(True)
        return x509.load_der_x509_certificate(der).serial_number
    finally:
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_new_certificate_is_shown_without_a_restart_whether_a_name_is_asked_for_or_not(
    tmp_path: Path, name: str
) -> None:
    files, renewed = made(tmp_path / "served"), made(tmp_path / "renewed")
    told: list[int] = []
    certificate = ServedCertificate(files, on_read=lambda path: told.append(serial(path)))
    before = client_context(files.certificate)
    async with serving(certificate) as bound:
        first = await shown_to(bound, before, name=name)
        put(files, certificate=renewed.certificate, key=renewed.key)
        certificate.look()
        second = await shown_to(bound, client_context(renewed.certificate), name=name)
        with pytest.raises(ssl.SSLCertVerificationError):
            await shown_to(bound, before, name=name)
    assert [first, second] == told
    assert second == serial(renewed.certificate)


async def test_half_a_pair_changes_nothing_and_the_whole_one_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files, renewed = made(tmp_path / "served"), made(tmp_path / "renewed")
    certificate = ServedCertificate(files)
    before = client_context(files.certificate)
    async with serving(certificate) as bound:
        files.certificate.write_bytes(renewed.certificate.read_bytes())
        with caplog.at_level(logging.ERROR):
            certificate.look()
            certificate.look()
        assert len(caplog.messages) == 1
        assert "the one of before is shown" in caplog.text
        await shown_to(bound, before)
        files.key.unlink()
        certificate.look()
        await shown_to(bound, before)
        files.key.write_bytes(renewed.key.read_bytes())
        certificate.look()
        await shown_to(bound, client_context(renewed.certificate))


async def test_who_may_call_is_followed_too(tmp_path: Path) -> None:
    files = made(tmp_path / "served")
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old_ca, old = client_certificate(tmp_path / "old")
    new_ca, new = client_certificate(tmp_path / "new")
    client_ca = tmp_path / "ca.crt"
    client_ca.write_bytes(old_ca.read_bytes())
    certificate = ServedCertificate(files, client_ca=client_ca)
    async with serving(certificate) as bound:
        await shown_to(bound, client_context(files.certificate, own=old))
        client_ca.write_bytes(new_ca.read_bytes())
        certificate.look()
        await shown_to(bound, client_context(files.certificate, own=new))
        for stranger in (old, None):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await shown_to(bound, client_context(files.certificate, own=stranger))


def asked_with_a_session(
    bound: Bound, trust: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool]:
    """The session that a caller may go on with later, and whether it was let in by the given one;
    raises what its handshake or its question does."""
    with (
        socket.create_connection(("127.0.0.1", bound.port)) as plain,
        trust.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        if not connection.recv(1):
            raise ConnectionResetError("closed without an answer")
        return connection.session, bool(connection.session_reused)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_nobody_goes_on_with_a_session_that_an_earlier_client_ca_let_begin(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    files = made(tmp_path / "served")
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    client_ca = tmp_path / "ca.crt"
    client_ca.write_bytes(old.file.read_bytes())
    certificate = ServedCertificate(files, client_ca=client_ca)
    caller = client_context(files.certificate, own=old.client("api-server"))
    caller.maximum_version = version
    async with serving(certificate) as bound:

        async def ask(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool]:
            return await asyncio.to_thread(asked_with_a_session, bound, caller, session)

        session = None
        # Of 1.2 callers get in at no time: there is no way to keep them from going on.
        with suppress(ssl.SSLError):
            session, _ = await ask(None)
            again, went_on = await ask(session)
            assert (version, went_on) == (ssl.TLSVersion.TLSv1_3, False)
            session = again or session
        client_ca.write_bytes(new.file.read_bytes())
        certificate.look()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(session)


async def test_it_tells_connections_that_an_earlier_client_ca_let_in_and_no_others(
    tmp_path: Path,
) -> None:
    files, renewed = made(tmp_path / "served"), made(tmp_path / "renewed")
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    client_ca = tmp_path / "ca.crt"
    client_ca.write_bytes(old.file.read_bytes())
    certificate = ServedCertificate(files, client_ca=client_ca)
    holds: list[bool] = []

    async def answer(http: web.BaseRequest) -> web.StreamResponse:
        assert http.transport is not None
        holds.append(certificate.holds_for(http.transport.get_extra_info("ssl_object")))
        return web.Response()

    trust = client_context(files.certificate, own=old.client("api-server"))
    async with (
        serve(answer, tls=certificate.context) as bound,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
    ):

        async def ask() -> None:
            async with session.get(bound.url) as answer:
                assert answer.status == 200

        await ask()
        put(files, certificate=renewed.certificate, key=renewed.key)
        certificate.look()
        await ask()
        # Half a pair beside another CA: what is shown stays that of before, and so does who may.
        client_ca.write_bytes(new.file.read_bytes())
        files.key.unlink()
        certificate.look()
        await ask()
        put(files, certificate=renewed.certificate, key=renewed.key)
        certificate.look()
        await ask()
        trusts_renewed = client_context(renewed.certificate, own=new.client("api-server"))
        assert await shown_to(bound, trusts_renewed) == serial(renewed.certificate)
    assert holds == [True, True, True, False, True]


async def test_it_looks_by_itself(tmp_path: Path) -> None:
    files, renewed = made(tmp_path / "served"), made(tmp_path / "renewed")
    again = asyncio.Event()
    certificate = ServedCertificate(files, every=0.01, on_read=lambda path: again.set())
    again.clear()
    following = asyncio.create_task(certificate.run())
    put(files, certificate=renewed.certificate, key=renewed.key)
    async with asyncio.timeout(30):
        await again.wait()
    following.cancel()
    await asyncio.wait({following})


def test_at_the_start_a_pair_that_does_not_fit_is_a_mistake(tmp_path: Path) -> None:
    files, other = made(tmp_path / "served"), made(tmp_path / "other")
    with pytest.raises(InvalidSettings, match="are not a certificate and its key"):
        ServedCertificate(CertificateFiles(files.certificate, other.key))
