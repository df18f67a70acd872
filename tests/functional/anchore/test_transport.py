"""The bounds of every call, and what never leaves it."""

import asyncio
import logging
import ssl
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import IPv4Address
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from shared.adapters.anchore.address import server_url
from shared.adapters.anchore.calls import Call
from shared.adapters.anchore.transport import AnchoreTransport
from shared.domain.errors import InvalidSettings, TransientFailure
from tests.fakes.anchore import FakeAnchore
from tests.functional.anchore.conftest import QUICK, Calls
from tests.waiting import eventually

LOOPBACK = IPv4Address("127.0.0.1")
LIST = Call(operation="policies", method="GET", path="/v1/policies")
ONCE = msgspec.structs.replace(LIST, repeatable=False)


@pytest.mark.parametrize(
    "kind", ["500", "500-problem", "html", "cut", "close", "broken", "huge", "packed", "429"]
)
async def test_a_fault_that_passes_costs_another_attempt(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls, kind: str
) -> None:
    anchore.store.fault("policies", kind, times=2)
    assert (await transport.call(LIST)).status == 200
    assert len(calls) == 3


async def test_a_fault_that_stays_ends_after_the_last_attempt(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls
) -> None:
    anchore.store.fault("policies", "500")
    with pytest.raises(TransientFailure, match=r"answered 500 .* \(tried 3 times\)"):
        await transport.call(LIST)
    assert calls == [("policies", "500")] * 3


@pytest.mark.parametrize("kind", ["500", "close", "broken", "html"])
async def test_what_must_not_be_sent_twice_is_sent_once(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls, kind: str
) -> None:
    anchore.store.fault("policies", kind)
    with pytest.raises(TransientFailure):
        await transport.call(ONCE)
    assert len(calls) == 1


async def test_what_was_never_sent_may_be_tried_again(calls: Calls) -> None:
    async with AnchoreTransport(
        url="http://127.0.0.1:9",
        user="admin",
        password="foobar",
        limits=QUICK,
        on_call=lambda operation, outcome, _: calls.append((operation, outcome)),
    ) as transport:
        with pytest.raises(TransientFailure, match=r"http://127.0.0.1:9.* cannot be asked"):
            await transport.call(ONCE)
    assert calls == [("policies", "unreachable")] * 3


@pytest.mark.parametrize("kind", ["hang", "trickle"])
async def test_no_call_takes_longer_than_its_budget(
    anchore: FakeAnchore, hasty: AnchoreTransport, calls: Calls, kind: str
) -> None:
    anchore.store.fault("policies", kind)
    async with asyncio.timeout(30):
        with pytest.raises(TransientFailure, match="did not answer policies within"):
            await hasty.call(LIST)
    assert {outcome for _, outcome in calls} == {"timeout"}
    assert len(calls) <= 3


async def test_a_patient_call_is_given_the_whole_budget(
    anchore: FakeAnchore, hasty: AnchoreTransport, calls: Calls
) -> None:
    anchore.store.fault("policies", "hang")
    with pytest.raises(TransientFailure, match="did not answer"):
        await hasty.call(msgspec.structs.replace(LIST, patient=True))
    assert calls == [("policies", "timeout")]


async def test_a_call_that_anchore_need_only_look_up_is_given_less(anchore: FakeAnchore) -> None:
    limits = msgspec.structs.replace(QUICK, attempts=1, attempt=600.0, total=600.0)
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="foobar", limits=limits
    ) as transport:
        anchore.store.fault("policies", "hang")
        async with asyncio.timeout(60):
            with pytest.raises(TransientFailure, match=r"did not answer policies within 0.2 s"):
                await transport.call(msgspec.structs.replace(LIST, seconds=0.2))


async def test_what_hung_and_must_not_be_sent_twice_is_sent_once(
    anchore: FakeAnchore, hasty: AnchoreTransport, calls: Calls
) -> None:
    anchore.store.fault("policies", "hang")
    with pytest.raises(TransientFailure, match="did not answer"):
        await hasty.call(ONCE)
    assert calls == [("policies", "timeout")]


async def test_a_long_retry_after_is_handed_on_at_once(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls
) -> None:
    anchore.store.fault("policies", "429", value="30")
    with pytest.raises(TransientFailure, match="answered 429") as failure:
        await transport.call(LIST)
    assert failure.value.retry_after == 30
    assert calls == [("policies", "429")]


async def test_a_retry_after_may_be_a_date(
    anchore: FakeAnchore, transport: AnchoreTransport
) -> None:
    at = datetime.now(UTC) + timedelta(seconds=60)
    anchore.store.fault("policies", "429", value=format_datetime(at, usegmt=True))
    with pytest.raises(TransientFailure) as failure:
        await transport.call(LIST)
    assert failure.value.retry_after is not None
    assert 30 < failure.value.retry_after <= 60


@pytest.mark.parametrize(
    ("value", "expected"),
    [("soon", None), ("-5", None), ("nan", None), ("9" * 30, 3600.0), ("٣", None), ("1e9", None)],
)
async def test_a_retry_after_that_makes_no_sense_does_no_harm(
    anchore: FakeAnchore, transport: AnchoreTransport, value: str, expected: float | None
) -> None:
    anchore.store.fault("policies", "429", value=value)
    with pytest.raises(TransientFailure) as failure:
        await transport.call(LIST)
    assert failure.value.retry_after == expected


async def test_a_body_above_the_limit_is_not_read_to_its_end(anchore: FakeAnchore) -> None:
    limits = msgspec.structs.replace(QUICK, max_bytes=100)
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="foobar", limits=limits
    ) as transport:
        with pytest.raises(TransientFailure, match="longer than 100 bytes"):
            await transport.call(LIST)


async def test_a_large_body_within_the_limit_is_read(
    anchore: FakeAnchore, transport: AnchoreTransport
) -> None:
    anchore.store.fault("policies", "json", value=f'["{"x" * 200_000}"]')
    answer = await transport.call(LIST)
    assert len(answer.body[0]) == 200_000


async def test_a_redirect_is_not_followed(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls
) -> None:
    anchore.store.fault("policies", "redirect", value=f"{anchore.url}/version")
    with pytest.raises(TransientFailure, match="set ANCHORE_URL to where it really is"):
        await transport.call(LIST)
    assert anchore.store.calls == {"policies": 1}


async def test_the_password_is_in_no_message_log_line_or_traceback(
    anchore: FakeAnchore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    anchore.store.fault("policies", "echo")
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="hunter2hunter2", limits=QUICK
    ) as transport:
        with pytest.raises(TransientFailure) as failure:
            await transport.call(LIST)
        token = "YWRtaW46aHVudGVyMmh1bnRlcjI="
        everything = "\n".join(
            (
                *traceback.format_exception(failure.value),
                *(record.getMessage() for record in caplog.records),
                repr(transport),
            )
        )
    assert "Basic ***" in str(failure.value)
    assert "hunter2" not in everything
    assert token not in everything


async def test_what_a_server_says_stays_in_its_line(
    anchore: FakeAnchore, transport: AnchoreTransport
) -> None:
    anchore.store.fault("policies", "500", value="one\ntwo\x1b[31m\u202e" + "x" * 1000)
    with pytest.raises(TransientFailure) as failure:
        await transport.call(LIST)
    text = str(failure.value)
    assert text.isprintable()
    assert r"one\ntwo\x1b[31m\u202e" in text
    assert len(text) < 320


async def test_a_cancelled_call_is_counted_and_leaves_the_client_usable(
    anchore: FakeAnchore, transport: AnchoreTransport, calls: Calls
) -> None:
    anchore.store.fault("policies", "hang", times=1)
    task = asyncio.create_task(transport.call(LIST))
    await eventually(lambda: anchore.store.calls["policies"] == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await transport.call(LIST)).status == 200
    assert calls == [("policies", "cancelled"), ("policies", "200")]


async def test_more_calls_than_connections_wait_for_each_other(anchore: FakeAnchore) -> None:
    limits = msgspec.structs.replace(QUICK, connections=2)
    async with AnchoreTransport(
        url=anchore.url, user="admin", password="foobar", limits=limits
    ) as transport:
        answers = await asyncio.gather(*(transport.call(LIST) for _ in range(20)))
    assert [answer.status for answer in answers] == [200] * 20


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://anchore:8228", "http://anchore:8228"),
        ("http://anchore:8228/", "http://anchore:8228"),
        ("https://anchore/v1", "https://anchore"),
        (" https://anchore/v1/ ", "https://anchore"),
        ("https://host/anchore/v1", "https://host/anchore"),
    ],
)
def test_the_servers_url_is_taken_with_or_without_v1(text: str, url: str) -> None:
    assert server_url(text) == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("anchore:8228", "must be http://HOST:PORT"),
        ("", "must be http://HOST:PORT"),
        ("ftp://anchore", "must be http://HOST:PORT"),
        ("http://", "must be http://HOST:PORT"),
        ("http://anchore:eighty", "not a URL"),
        ("http://admin:foobar@anchore", "must not hold credentials"),
        ("http://anchore/v1?x=1", "remove what follows"),
    ],
)
def test_a_url_that_cannot_be_used_is_said_without_its_password(text: str, words: str) -> None:
    with pytest.raises(InvalidSettings, match=words) as failure:
        server_url(text)
    assert "ANCHORE_URL" in str(failure.value)
    assert "foobar" not in str(failure.value)


def test_a_ca_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(InvalidSettings, match=rf"ANCHORE_CA .*{path.name}"):
            AnchoreTransport(url="https://anchore", user="a", password="b", ca_file=path)


async def test_a_server_is_believed_by_its_own_ca_and_by_no_other(tmp_path: Path) -> None:
    ca_file, tls = own_certificate(tmp_path)
    async with FakeAnchore(tls=tls) as anchore:
        async with AnchoreTransport(
            url=anchore.url, user="admin", password="foobar", ca_file=ca_file, limits=QUICK
        ) as transport:
            assert (await transport.call(LIST)).status == 200
        async with AnchoreTransport(
            url=anchore.url, user="admin", password="foobar", limits=QUICK
        ) as transport:
            with pytest.raises(TransientFailure, match="set ANCHORE_CA to the CA"):
                await transport.call(LIST)


def own_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that vouches for itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anchore")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    ca_file, key_file = folder / "ca.pem", folder / "key.pem"
    ca_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key_file)
    return ca_file, context
