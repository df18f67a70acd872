"""Who may ask, where callers must show a certificate (docs/design/behaviour.md 1: strangers)."""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.webhook.callers import Callers, checked_names
from shared.domain.errors import InvalidSettings
from shared.runtime.clock import SystemClock
from shared.runtime.http import serve
from shared.runtime.reply import json_reply
from shared.runtime.served_certificate import ServedCertificate
from shared.runtime.tls import CertificateFiles, client_context, ensure_certificate
from tests.fakes.certificates import Authority
from tests.fakes.clock import FakeClock
from tests.house import House, house, pod, review_of
from tests.waiting import eventually

GONE = json.dumps(
    review_of(None, operation="DELETE", old=pod(f"registry.test/app@sha256:{'a' * 64}"))
).encode()
NAMES = ("kube-apiserver", "api.cluster.test")


@asynccontextmanager
async def as_caller(home: House, state: Path, own: CertificateFiles) -> AsyncIterator[Any]:
    """Asks the webhook with this certificate: status and answer."""
    trust = client_context(state / "webhook.crt", own=own)
    connector = aiohttp.TCPConnector(ssl=trust, limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def ask() -> tuple[int, dict[str, Any], str]:
            async with session.post(
                f"{home.sites.reviews.url}/validate",
                data=GONE,
                headers={"Content-Type": "application/json"},
            ) as answer:
                return answer.status, await answer.json(), answer.headers.get("Connection", "")

        yield ask


@pytest.mark.parametrize(
    ("name", "dns", "status"),
    [
        ("kube-apiserver", (), 200),
        ("another", ("x.test", "api.cluster.test"), 200),
        ("another", (), 403),
        ("Kube-Apiserver", (), 403),
        ("kube-apiserver.test", ("*.cluster.test", "api.cluster.test.evil"), 403),
    ],
)
async def test_only_callers_with_one_of_the_names_are_answered(
    tmp_path: Path, name: str, dns: tuple[str, ...], status: int
) -> None:
    authority = Authority(tmp_path / "ca")
    own = authority.client(name, *dns)
    async with (
        house(
            tmp_path / "state", worker=False, client_ca=authority.file, client_names=NAMES
        ) as home,
        as_caller(home, tmp_path / "state", own) as ask,
    ):
        got, answer, _ = await ask()
        assert got == status
        if status == 200:
            assert answer["response"]["allowed"] is True
        else:
            why = (
                "imagegate answers the API server only: your certificate has none of the names "
                "that it lets in (IMAGEGATE_CLIENT_NAMES)"
            )
            # A Status too: of anything else an API server tells people "unknown".
            status_of = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403}
            assert answer == {"error": why, "message": why, **status_of}


IN_OTHER_PLACES = {
    "organization": [(NameOID.ORGANIZATION_NAME, "kube-apiserver")],
    "unit": [(NameOID.ORGANIZATIONAL_UNIT_NAME, "kube-apiserver"), (NameOID.COMMON_NAME, "x")],
    "surname": [(NameOID.SURNAME, "kube-apiserver")],
    "dot": [(NameOID.COMMON_NAME, "kube-apiserver.")],
    "space": [(NameOID.COMMON_NAME, " kube-apiserver ")],
    "list": [(NameOID.COMMON_NAME, "kube-apiserver,x")],
    "end": [(NameOID.COMMON_NAME, "kube-apiserver\0")],
}


@pytest.mark.parametrize("place", IN_OTHER_PLACES)
async def test_a_name_that_stands_in_another_place_or_is_written_otherwise_lets_nobody_in(
    tmp_path: Path, place: str
) -> None:
    authority, state = Authority(tmp_path / "ca"), tmp_path / "state"
    subject = x509.Name([x509.NameAttribute(*each) for each in IN_OTHER_PLACES[place]])
    own = authority.signed(
        place,
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
        x509.SubjectAlternativeName(
            [
                x509.RFC822Name("kube-apiserver"),
                x509.UniformResourceIdentifier("kube-apiserver"),
                x509.UniformResourceIdentifier("https://api.cluster.test"),
            ]
        ),
        subject=subject,
    )
    async with (
        house(state, worker=False, client_ca=authority.file, client_names=NAMES) as home,
        as_caller(home, state, own) as ask,
    ):
        assert (await ask())[0] == 403


async def test_of_several_common_names_each_may_be_the_one(tmp_path: Path) -> None:
    authority, state = Authority(tmp_path / "ca"), tmp_path / "state"
    names = ("first", "kube-apiserver", "last")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    own = authority.signed("several", usage, subject=subject)
    async with (
        house(state, worker=False, client_ca=authority.file, client_names=NAMES) as home,
        as_caller(home, state, own) as ask,
    ):
        assert (await ask())[0] == 200


async def test_the_port_for_probes_asks_for_no_certificate_and_answers_no_review(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path / "ca")
    async with house(tmp_path / "state", worker=False, client_ca=authority.file) as home:
        for path in ("/validate", "/mutate"):
            url = f"{home.sites.health.url}{path}"
            async with home.session.post(url, data=GONE) as answer:
                assert answer.status == 404


async def test_without_names_every_certificate_of_the_ca_will_do(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    async with (
        house(tmp_path / "state", worker=False, client_ca=authority.file) as home,
        as_caller(home, tmp_path / "state", authority.client("whoever")) as ask,
    ):
        assert (await ask())[0] == 200


async def test_a_stranger_is_refused_before_his_body_is_read_counted_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority, state = Authority(tmp_path / "ca"), tmp_path / "state"
    own = authority.client("kubelet", *(f"n{number}.test" for number in range(40)))
    async with house(state, worker=False, client_ca=authority.file, client_names=NAMES) as home:
        trust = client_context(state / "webhook.crt", own=own)
        with caplog.at_level(logging.WARNING, "services.webhook.callers"):
            for _ in range(5):
                assert (await _announces_much(home, trust)).startswith("HTTP/1.1 403 ")
        said = [record for record in caplog.records if record.name.endswith(".callers")]
        assert [(record.levelname, vars(record)["names"]) for record in said] == [
            ("WARNING", "kubelet, n0.test, n1.test and 38 more")
        ]
        assert vars(said[0])["address"] == "127.0.0.1"
        assert '\nimagegate_reviews_refused_total{status="403"} 5.0\n' in await home.metrics()


async def _announces_much(home: House, trust: ssl.SSLContext) -> str:
    """The answer to the head of a review of seven megabytes, of which nothing is sent."""
    bound = home.sites.reviews
    reader, writer = await asyncio.open_connection(bound.host, bound.port, ssl=trust)
    try:
        writer.write(
            b"POST /validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 7000000\r\n\r\n"
        )
        return (await reader.readuntil(b"\r\n")).decode()
    finally:
        writer.close()


async def test_once_another_client_ca_holds_who_is_connected_is_answered_and_must_come_anew(
    tmp_path: Path,
) -> None:
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    state, client_ca = tmp_path / "state", tmp_path / "client-ca.crt"
    client_ca.write_bytes(old.file.read_bytes())
    async with (
        house(state, worker=False, client_ca=client_ca, client_names=NAMES) as home,
        as_caller(home, state, old.client("kube-apiserver")) as before,
        as_caller(home, state, new.client("kube-apiserver")) as after,
    ):
        assert (await before())[::2] == (200, "")
        client_ca.write_bytes(new.file.read_bytes())

        async def is_sent_away() -> bool:
            status, _, connection = await before()
            assert status == 200
            return bool(connection == "close")

        # The webhook looks by itself, every ten seconds.
        await eventually(is_sent_away, within=120)
        with pytest.raises(aiohttp.ClientError):
            await before()
        assert (await after())[::2] == (200, "")


async def test_who_stays_connected_beyond_its_certificates_end_must_come_anew(
    tmp_path: Path,
) -> None:
    clock, authority = FakeClock(now=SystemClock().now()), Authority(tmp_path / "ca")
    files = ensure_certificate(tmp_path / "served")
    callers = Callers(names=NAMES, clock=clock)

    async def answer(http: web.BaseRequest) -> web.StreamResponse:
        return json_reply(http, b"{}", last=callers.must_come_anew(http.transport))

    own = authority.client("kube-apiserver")
    connector = aiohttp.TCPConnector(ssl=client_context(files.certificate, own=own), limit=1)
    served = ServedCertificate(files, client_ca=authority.file)
    async with (
        serve(answer, tls=served.context) as bound,
        aiohttp.ClientSession(connector=connector) as session,
    ):

        async def is_sent_away() -> bool:
            async with session.get(bound.url) as told:
                return told.headers.get("Connection") == "close"

        ends = x509.load_pem_x509_certificate(own.certificate.read_bytes()).not_valid_after_utc
        clock.advance(round(ends.timestamp()) * 1000 - clock.now() - 1)
        assert not await is_sent_away()
        clock.advance(1)
        assert await is_sent_away()


def test_who_has_gone_has_shown_nothing() -> None:
    assert Callers(names=NAMES, clock=FakeClock()).is_stranger(None)
    assert not Callers(names=(), clock=FakeClock()).is_stranger(None)
    assert not Callers(names=(), clock=FakeClock()).must_come_anew(None)


@pytest.mark.parametrize(
    ("names", "has_ca", "why"),
    [
        (("kube-apiserver",), False, "IMAGEGATE_CLIENT_NAMES is set without IMAGEGATE_CLIENT_CA"),
        (("*.cluster.test",), True, "is no name: they are compared exactly"),
        (("",), True, "is no name"),
        (("good", "*"), True, "is no name"),
    ],
)
def test_names_that_could_let_in_nobody_or_everybody_are_a_mistake(
    names: tuple[str, ...], has_ca: bool, why: str
) -> None:
    with pytest.raises(InvalidSettings, match=why):
        checked_names(names, has_ca=has_ca)
