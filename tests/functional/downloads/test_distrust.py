"""What a server says that does not fit, and where it may not send us."""

import ssl
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from shared.adapters.downloads.client import HttpDownloads
from shared.adapters.downloads.places import Places
from shared.ports.downloads import DownloadFailed
from shared.runtime.clock import SystemClock
from tests.fakes.certificates import server_certificate
from tests.fakes.files import FakeFiles, Fault, cut_after, file_server, status
from tests.fakes.names import FakeNames
from tests.functional.downloads.conftest import BODY, LIMITS, Fetching


def lies(*, length: int | None = None, **headers: str) -> Fault:
    async def fault(server: FakeFiles, request: web.Request) -> web.StreamResponse:
        head = server.head_of(request.path)
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = server.files[request.path]
        if length is not None:
            body = body[:length]
        return await server.send(request, body, headers=head)

    return fault


def part_that(**headers: str) -> Fault:
    async def fault(server: FakeFiles, request: web.Request) -> web.StreamResponse:
        head, body = server.head_of(request.path), server.files[request.path]
        start = server.start_of(request, head)
        head["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await server.send(request, body[start:], status=206, headers=head)

    return fault


async def test_a_file_that_is_not_its_hash_is_refused_and_not_kept(fetching: Fetching) -> None:
    fetching.server.always = lies(x_goog_hash="md5=AAAAAAAAAAAAAAAAAAAAAA==")
    with pytest.raises(DownloadFailed, match=r"not what the server says it is \(md5\)"):
        await fetching.fetch()
    assert not fetching.into.exists()
    assert not fetching.part.exists()
    assert len(fetching.server.asked) == 1


async def test_a_file_that_was_cut_and_says_so_itself_is_found_by_its_hash(
    fetching: Fetching,
) -> None:
    fetching.server.always = lies(length=1_000_000)
    with pytest.raises(DownloadFailed, match="not what the server says"):
        await fetching.fetch()


@pytest.mark.parametrize("said", ["md5=!!!", "md5=AAAA", "sha3=AAAA", "crc32c=AAAAAA=="])
async def test_a_hash_that_is_none_or_unknown_is_left_aside(fetching: Fetching, said: str) -> None:
    fetching.server.always = lies(x_goog_hash=said)
    assert (await fetching.fetch()).checked == ""


async def test_the_standard_way_to_send_a_hash_counts_too(fetching: Fetching) -> None:
    fetching.server.hashes = False
    fetching.server.always = lies(Repr_Digest="sha-256=:" + "A" * 43 + "=:")
    with pytest.raises(DownloadFailed, match="sha256"):
        await fetching.fetch()


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Range": "bytes 7-2999999/3000000"},
        {"Content_Range": "bytes 0-1/4000000"},
        {"Content_Range": "nonsense"},
        {"ETag": '"another"'},
    ],
    ids=["other start", "other length", "no range", "other state"],
)
async def test_a_part_that_does_not_fit_is_not_appended(
    fetching: Fetching, headers: dict[str, str]
) -> None:
    fetching.server.faults = [cut_after(1_000_000), part_that(**headers)]
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY
    assert fetching.server.ranges[-1] == ""


async def test_a_part_that_nobody_asked_for_is_not_taken(fetching: Fetching) -> None:
    fetching.server.faults = [part_that()]
    await fetching.fetch()
    assert fetching.into.read_bytes() == BODY


async def test_a_packed_body_is_refused(fetching: Fetching) -> None:
    fetching.server.always = lies(Content_Encoding="gzip")
    with pytest.raises(DownloadFailed, match="packed anew"):
        await fetching.fetch()


async def test_a_file_that_says_it_is_too_large_is_not_begun(fetching: Fetching) -> None:
    with pytest.raises(DownloadFailed, match="larger than 1000000 bytes"):
        await fetching.fetch(max_bytes=1_000_000)
    assert not fetching.part.exists()


async def test_a_file_that_grows_too_large_is_left(fetching: Fetching) -> None:
    async def endless(server: FakeFiles, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x" * 65_536)
        return response

    fetching.server.always = endless
    with pytest.raises(DownloadFailed, match="larger than 1000000 bytes"):
        await fetching.fetch(max_bytes=1_000_000)
    assert not fetching.part.exists()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (404, "it has no such file"),
        (403, "it gives us nothing there"),
        (400, "no answer of a file server"),
        (204, "no answer of a file server"),
    ],
)
async def test_an_answer_that_will_stay_is_not_asked_for_again(
    fetching: Fetching, code: int, said: str
) -> None:
    fetching.server.always = status(code)
    with pytest.raises(DownloadFailed, match=said):
        await fetching.fetch()
    assert len(fetching.server.asked) == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
async def test_an_answer_that_may_pass_is(fetching: Fetching, code: int) -> None:
    fetching.server.faults = [status(code), status(code, Retry_After="0")]
    await fetching.fetch()
    assert len(fetching.server.asked) == 3


async def test_who_asks_for_a_long_rest_gets_it(fetching: Fetching) -> None:
    fetching.server.always = status(429, Retry_After="900")
    with pytest.raises(DownloadFailed, match="left alone for 900 s: try again then"):
        await fetching.fetch()
    assert len(fetching.server.asked) == 1


async def test_a_redirect_is_followed(fetching: Fetching) -> None:
    fetching.server.faults = [status(302, Location=f"{fetching.server.url}{fetching.path}?sig=1")]
    await fetching.fetch(f"{fetching.server.url}/moved")
    assert fetching.into.read_bytes() == BODY


async def test_redirects_are_bounded(fetching: Fetching) -> None:
    fetching.server.always = status(302, Location="/again")
    with pytest.raises(DownloadFailed, match="more than 5 redirects"):
        await fetching.fetch()
    assert len(fetching.server.asked) == 6


@pytest.mark.parametrize("location", ["", "http://[", "file:///etc/passwd", "//u:p@h/x"])
async def test_a_redirect_to_nowhere_is_said(fetching: Fetching, location: str) -> None:
    fetching.server.always = status(302, Location=location) if location else status(302)
    with pytest.raises(DownloadFailed, match="sends us on"):
        await fetching.fetch()


async def test_a_redirect_from_https_to_plain_http_is_not_followed(
    tmp_path: Path, fetching: Fetching
) -> None:
    ca, files = server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    trusted = ssl.create_default_context(cafile=str(ca))
    client = HttpDownloads(clock=SystemClock(), limits=LIMITS, ssl_context=trusted)
    async with file_server(tls=context) as secure:
        secure.files[fetching.path] = BODY
        url = f"{secure.url}{fetching.path}"
        await client.fetch(url, fetching.into, max_bytes=10_000_000)
        assert fetching.into.read_bytes() == BODY
        secure.always = status(302, Location="http://files.test/all.zip?signature=secret")
        with pytest.raises(DownloadFailed, match="plain HTTP, and https was asked") as failed:
            await client.fetch(url, tmp_path / "other", max_bytes=10_000_000)
        assert "secret" not in str(failed.value)


async def test_a_certificate_that_nobody_trusts_is_said_once(
    tmp_path: Path, fetching: Fetching
) -> None:
    _, files = server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    async with file_server(tls=context) as secure:
        with pytest.raises(DownloadFailed, match="is not trusted here"):
            await fetching.fetch(f"{secure.url}/x")


async def test_through_a_proxy_a_stranger_cannot_send_us_to_this_machine(
    fetching: Fetching,
) -> None:
    got = await fetching.fetch(f"http://mirror.test{fetching.path}", proxy=fetching.server.url)
    assert got.new
    fetching.server.always = status(302, Location="http://127.0.0.1:1/secrets")
    with pytest.raises(DownloadFailed, match="an address of a private network"):
        await fetching.fetch(f"http://mirror.test{fetching.path}", proxy=fetching.server.url)


async def test_a_proxy_that_wants_a_login_is_said(fetching: Fetching) -> None:
    fetching.server.always = status(407)
    with pytest.raises(DownloadFailed, match="proxy"):
        await fetching.fetch("https://mirror.test/all.zip", proxy=fetching.server.url)


async def test_a_name_that_nobody_knows_is_said(fetching: Fetching) -> None:
    with pytest.raises(DownloadFailed, match=r"the name mirror.test cannot be looked up"):
        await fetching.fetch("https://mirror.test/all.zip", names=FakeNames({}))


@pytest.mark.parametrize(
    "address", ["10.0.0.7", "127.0.0.1", "192.168.1.1", "fd00::1", "::ffff:10.0.0.1"]
)
async def test_a_public_server_leads_to_no_private_address(address: str) -> None:
    names = FakeNames({"files.test": [["8.8.8.8"]], "inner.test": [[address]]})
    places = Places(URL("https://files.test/x"), proxy=None, timeout=5, resolver=names)
    assert await places.resolve("files.test", 443)
    with pytest.raises(DownloadFailed, match="a private network"):
        await places.resolve("inner.test", 443)


async def test_a_private_server_may_lead_to_its_neighbour() -> None:
    names = FakeNames({"files.test": [["10.0.0.1"]], "inner.test": [["10.0.0.2"]]})
    places = Places(URL("https://files.test/x"), proxy=None, timeout=5, resolver=names)
    await places.resolve("files.test", 443)
    assert await places.resolve("inner.test", 443)


@pytest.mark.parametrize("address", ["169.254.169.254", "fd00:ec2::254", "0.0.0.0"])
async def test_nobody_leads_to_what_hands_out_credentials(address: str) -> None:
    names = FakeNames({"files.test": [[address]]})
    places = Places(URL("https://files.test/x"), proxy=None, timeout=5, resolver=names)
    with pytest.raises(DownloadFailed, match="never asked"):
        await places.resolve("files.test", 443)
