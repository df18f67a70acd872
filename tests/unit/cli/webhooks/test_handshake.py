"""Whether the API server would believe what answers there, asked of a real TLS server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.cli.webhooks.configurations import Address
from services.cli.webhooks.handshake import NotBelieved, shake
from shared.runtime.tls import CertificateFiles
from tests.fakes.certificates import server_certificate
from tests.waiting import PATIENCE


@asynccontextmanager
async def serving(shown: CertificateFiles, client_ca: Path | None = None) -> AsyncIterator[Address]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.certificate, shown.key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    async with server:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])


async def test_a_certificate_of_the_ca_for_that_name_is_believed(tmp_path: Path) -> None:
    ca, shown = server_certificate(tmp_path)
    async with serving(shown) as address:
        await shake(address, authorities=ca.read_text(), within=PATIENCE)


async def test_so_is_one_that_is_in_the_bundle_itself(tmp_path: Path) -> None:
    """As Go believes it: no CA need be there."""
    _, shown = server_certificate(tmp_path)
    async with serving(shown) as address:
        await shake(address, authorities=shown.certificate.read_text(), within=PATIENCE)


async def test_a_webhook_that_wants_a_client_certificate_has_answered(tmp_path: Path) -> None:
    ca, shown = server_certificate(tmp_path)
    async with serving(shown, client_ca=ca) as address:
        await shake(address, authorities=ca.read_text(), within=PATIENCE)


async def test_one_of_another_ca_is_not_believed(tmp_path: Path) -> None:
    _, shown = server_certificate(tmp_path / "one")
    other, _ = server_certificate(tmp_path / "other")
    async with serving(shown) as address:
        with pytest.raises(NotBelieved, match="shows a certificate that is not believed"):
            await shake(address, authorities=other.read_text(), within=PATIENCE)


async def test_one_for_another_name_is_not_believed(tmp_path: Path) -> None:
    ca, shown = server_certificate(tmp_path)
    async with serving(shown) as address:
        named = Address("localhost", address.port)
        with pytest.raises(NotBelieved, match="mismatch"):
            await shake(named, authorities=ca.read_text(), within=PATIENCE)


async def test_where_nobody_is_is_said(tmp_path: Path) -> None:
    ca, shown = server_certificate(tmp_path)
    async with serving(shown) as address:
        pass
    with pytest.raises(NotBelieved, match=r"cannot be called \(.*refused"):
        await shake(address, authorities=ca.read_text(), within=PATIENCE)


async def test_who_takes_the_call_and_says_nothing_is_said(tmp_path: Path) -> None:
    ca, _ = server_certificate(tmp_path)
    silent = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.transport.abort()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(NotBelieved, match=r"did not answer within 0\.2 s"):
            await shake(address, authorities=ca.read_text(), within=0.2)
        silent.set()
