import fcntl
import os
import pty
import ssl
import stat
import subprocess
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from shared.domain.errors import InvalidSettings
from shared.runtime.http import serve
from shared.runtime.tls import (
    CertificateFiles,
    client_context,
    days_left,
    ensure_certificate,
    names_in,
    optional_context,
    server_context,
)
from tests.fakes.certificates import client_certificate, server_certificate

NOW = datetime.now(UTC)


def hello() -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", answer)
    return app


async def get(url: str, context: ssl.SSLContext) -> str:
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        return await answer.text()


def test_both_files_can_be_read_by_their_owner_only(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "state")
    for path in (files.certificate, files.key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_certificate_is_kept_as_long_as_a_week_is_left(tmp_path: Path) -> None:
    first = ensure_certificate(tmp_path, now=NOW).certificate.read_bytes()
    later = ensure_certificate(tmp_path, now=NOW + timedelta(days=357)).certificate.read_bytes()
    assert later == first


def test_a_certificate_with_less_than_a_week_is_renewed(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path, now=NOW)
    soon = NOW + timedelta(days=358, minutes=1)
    assert days_left(files.certificate, now=soon) == pytest.approx(7, abs=0.01)
    ensure_certificate(tmp_path, now=soon)
    assert days_left(files.certificate, now=soon) == pytest.approx(365, abs=0.01)


def test_it_speaks_for_nobody_else_and_to_a_clock_that_is_a_little_behind(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path, now=NOW)
    made = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not made.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert made.not_valid_before_utc < NOW - timedelta(minutes=4)


def test_one_that_has_not_begun_is_made_anew(tmp_path: Path) -> None:
    """It was made by a clock that was ahead: nobody would believe it."""
    files = ensure_certificate(tmp_path, now=NOW + timedelta(days=2))
    ensure_certificate(tmp_path, now=NOW)
    assert days_left(files.certificate, now=NOW) == pytest.approx(365, abs=0.01)


@pytest.mark.parametrize("broken", ["webhook.crt", "webhook.key"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_broken_pair_is_made_anew(tmp_path: Path, broken: str, content: bytes | None) -> None:
    ensure_certificate(tmp_path)
    (tmp_path / broken).unlink()
    if content is not None:
        (tmp_path / broken).write_bytes(content)
    files = ensure_certificate(tmp_path)
    server_context(files)


def test_a_key_of_another_certificate_is_made_anew(tmp_path: Path) -> None:
    other = ensure_certificate(tmp_path / "other")
    files = ensure_certificate(tmp_path / "own")
    files.key.write_bytes(other.key.read_bytes())
    server_context(ensure_certificate(tmp_path / "own"))


def test_a_missing_name_makes_it_anew(tmp_path: Path) -> None:
    before = ensure_certificate(tmp_path).certificate.read_bytes()
    names = ("localhost", "imagegate.security.svc")
    assert ensure_certificate(tmp_path, names=names).certificate.read_bytes() != before


def test_a_new_one_has_the_names_of_the_one_before(tmp_path: Path) -> None:
    """Somebody calls it by these: a renewal that forgets one shuts them out."""
    ensure_certificate(tmp_path, names=("gate.example.com",), now=NOW)
    files = ensure_certificate(tmp_path, names=("192.0.2.1",), now=NOW)
    assert names_in(files.certificate) == {"gate.example.com", "192.0.2.1"}
    before = files.certificate.read_bytes()
    ensure_certificate(tmp_path, names=("localhost",), now=NOW + timedelta(days=400))
    assert files.certificate.read_bytes() != before
    assert names_in(files.certificate) == {"gate.example.com", "192.0.2.1", "localhost"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettings, match=r"file.*choose a folder"):
        ensure_certificate(tmp_path / "file")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_client_that_trusts_the_certificate_gets_in(tmp_path: Path, host: str) -> None:
    files = ensure_certificate(tmp_path)
    client = client_context(files.certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    async with serve(hello(), tls=server_context(files)) as bound:
        assert await get(f"https://{host}:{bound.port}/", client) == "hello"


async def test_a_certificate_is_its_own_authority_though_another_signed_it(tmp_path: Path) -> None:
    """In a webhook's pod there is the certificate, not its CA."""
    authority, files = server_certificate(tmp_path)
    async with serve(hello(), tls=server_context(files)) as bound:
        for trusted in (files.certificate, authority):
            assert await get(f"https://127.0.0.1:{bound.port}/", client_context(trusted)) == "hello"


async def test_a_client_that_trusts_another_one_does_not(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "a")
    other = ensure_certificate(tmp_path / "b")
    async with serve(hello(), tls=server_context(files)) as bound:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await get(bound.url, client_context(other.certificate))


async def test_with_a_client_ca_only_its_certificates_get_in(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "server")
    stranger = ensure_certificate(tmp_path / "stranger", names=("api-server",))
    client_ca, caller = client_certificate(tmp_path)
    trusted = files.certificate
    async with serve(hello(), tls=server_context(files, client_ca=client_ca)) as bound:
        assert await get(bound.url, client_context(trusted, own=caller)) == "hello"
        for own in (None, stranger):
            with pytest.raises(aiohttp.ClientError):
                await get(bound.url, client_context(trusted, own=own))


async def test_a_certificate_of_the_client_ca_that_is_for_servers_is_no_callers(
    tmp_path: Path,
) -> None:
    files = ensure_certificate(tmp_path / "server")
    client_ca, of_a_server = server_certificate(tmp_path)
    async with serve(hello(), tls=server_context(files, client_ca=client_ca)) as bound:
        with pytest.raises(aiohttp.ClientError):
            await get(bound.url, client_context(files.certificate, own=of_a_server))


def test_files_that_are_no_pair_are_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("no certificate")
    with pytest.raises(InvalidSettings, match="not a certificate and its key"):
        server_context(CertificateFiles(tmp_path / "x", tmp_path / "x"))
    with pytest.raises(InvalidSettings, match=r"CA file .*x holds no PEM certificate"):
        client_context(tmp_path / "x")
    with pytest.raises(InvalidSettings, match="x does not begin with a PEM certificate"):
        days_left(tmp_path / "x")


def test_nobody_is_asked_for_the_passphrase_of_a_key(tmp_path: Path) -> None:
    """Nor does a process that has a terminal stand still there."""
    files = ensure_certificate(tmp_path)
    key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    script = tmp_path / "serve.py"
    script.write_text(
        "from pathlib import Path\n"
        "from shared.runtime.tls import CertificateFiles, server_context\n"
        f"server_context(CertificateFiles(Path({str(files.certificate)!r}),"
        f" Path({str(files.key)!r})))\n"
    )
    terminal, its_end = pty.openpty()
    try:
        ran = subprocess.run(
            [sys.executable, str(script)],
            stdin=its_end,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(its_end, termios.TIOCSCTTY, 0),
            timeout=60,
            check=False,
        )
    finally:
        os.close(terminal)
        os.close(its_end)
    assert b"InvalidSettings: the key" in ran.stderr, ran
    assert b"has a passphrase" in ran.stderr, ran


def test_files_that_are_not_there_are_said_to_be_missing_not_wrong(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(InvalidSettings, match=r"cannot read the CA file .*gone: No such file"):
        client_context(gone)
    with pytest.raises(InvalidSettings, match=r"cannot read the certificate .*gone: No such file"):
        days_left(gone)


def test_processes_that_start_at_once_agree_on_one_certificate_and_its_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ensure_certificate(tmp_path), range(16)))
    assert set(made) == {made[0]}
    server_context(made[0])  # raises when the key is not the certificate's


async def test_a_site_whose_certificate_is_optional_speaks_tls_with_the_pair_that_is_named(
    tmp_path: Path,
) -> None:
    files = ensure_certificate(tmp_path)
    tls = optional_context(files.certificate, files.key, setting="IMAGEGATE_INTAKE_CERTIFICATE")
    async with serve(hello(), tls=tls) as bound:
        assert bound.url.startswith("https://")
        assert await get(bound.url, client_context(files.certificate)) == "hello"


def test_without_certificate_and_key_an_optional_site_speaks_plain_http() -> None:
    assert optional_context(None, None, setting="IMAGEGATE_INTAKE_CERTIFICATE") is None


def test_a_certificate_without_its_key_or_a_key_alone_is_refused_by_name(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path)
    for certificate, key in ((files.certificate, None), (None, files.key)):
        with pytest.raises(
            InvalidSettings, match="IMAGEGATE_CONSOLE_CERTIFICATE_KEY belong together: set both"
        ):
            optional_context(certificate, key, setting="IMAGEGATE_CONSOLE_CERTIFICATE")


def test_a_named_pair_that_is_none_is_refused_also_where_it_is_optional(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "own")
    other = ensure_certificate(tmp_path / "other")
    for key in (other.key, tmp_path / "gone"):
        with pytest.raises(InvalidSettings, match="not a certificate and its key"):
            optional_context(files.certificate, key, setting="IMAGEGATE_INTAKE_CERTIFICATE")
