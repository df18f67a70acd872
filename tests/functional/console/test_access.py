"""Who may ask the console, and what every answer carries."""

import asyncio
import io
import socket
import time
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.console.app import HEADERS, console_app
from services.console.door import MAX_SLOWED, Door
from services.console.edge.guard import PUBLIC
from services.console.files import read_files
from services.console.session import COOKIE, LIFE, Sessions
from shared.runtime.tls import client_context, ensure_certificate
from tests.functional.console_page.site import TOKEN, Site, served
from tests.waiting import eventually

BEARER = {"Authorization": f"Bearer {TOKEN}"}
JSON = {"Content-Type": "application/json"}
WRONG = "imagegate_console_wrong_tokens_total"


def routes() -> set[tuple[str, str]]:
    """Method and path of everything that a console answers."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("ops", "observer", "sessions", "door", "metrics", "clock")
    )
    app: web.Application = console_app(files={}, **nothing)
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None
    }


def filled(path: str) -> str:
    return path.replace("{id}", "a").replace("{name}", "style.css")


def test_what_is_public_is_named_and_exists() -> None:
    assert {"/", "/static/{name}", "/login"} == PUBLIC
    assert {path for _, path in routes()} >= PUBLIC


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Cookie": f"{COOKIE}="},
        {"Cookie": f"{COOKIE}=9999999999.{'0' * 64}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ],
    ids=["nothing", "empty cookie", "forged cookie", "no token", "basic", "no scheme"],
)
async def test_without_credentials_nothing_but_the_page_is_answered(
    site: Site, session: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    a_few = asyncio.Semaphore(MAX_SLOWED)  # of what is slowed as a wrong token is

    async def refused(method: str, path: str) -> None:
        how = session.request(method, site.url + filled(path), headers=headers)
        async with a_few, how as answer:
            assert answer.status == (200 if path in PUBLIC else 401), (method, path)
            if path not in PUBLIC:
                assert "say who you are" in (await answer.json())["error"], (method, path)

    asked = sorted(routes() - {("POST", "/login")})
    await asyncio.gather(*(refused(method, path) for method, path in asked))


@pytest.mark.parametrize("path", ["/api/", "/api/other", "/metrics", "/static/", "/login/x", "//"])
async def test_what_does_not_exist_wants_credentials_too(
    site: Site, session: aiohttp.ClientSession, path: str
) -> None:
    async with session.get(site.url + path) as answer:
        assert answer.status == 401
    async with session.get(site.url + path, headers=BEARER) as answer:
        assert answer.status == 404
        assert await answer.json() == {"error": "there is nothing at this path"}


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_nothing_can_be_changed(
    site: Site, session: aiohttp.ClientSession, method: str
) -> None:
    asked = {filled(path) for way, path in routes() if way == "GET"}
    for path in asked:
        async with session.request(method, site.url + path, headers=BEARER) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET"), path


async def test_every_answer_carries_the_headers(site: Site, session: aiohttp.ClientSession) -> None:
    asked = ["/", "/static/style.css", "/static/other", "/api/queue", "/other"]
    for path in asked:
        for headers in ({}, BEARER):
            async with session.get(site.url + path, headers=headers) as answer:
                assert {name: answer.headers[name] for name in HEADERS} == HEADERS
                cached = answer.headers["Cache-Control"]
                is_file = answer.status == 200 and not path.startswith("/api")
                assert cached == ("no-cache" if is_file else "no-store")
                assert "Access-Control-Allow-Origin" not in answer.headers
    async with session.put(f"{site.url}/api/queue", headers=BEARER) as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_program_sends_the_token_with_each_question(
    site: Site, session: aiohttp.ClientSession
) -> None:
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        async with session.get(f"{site.url}/api/session", headers=headers) as answer:
            assert answer.status == 204


async def log_in(session: aiohttp.ClientSession, url: str, token: str = TOKEN) -> int:
    async with session.post(f"{url}/login", json={"token": token}) as answer:
        return answer.status


async def holds(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(f"{url}/api/session") as answer:
        assert answer.status in {204, 401}
        return answer.status == 204


async def test_a_browser_logs_in_and_out(site: Site, session: aiohttp.ClientSession) -> None:
    assert not await holds(session, site.url)
    assert await log_in(session, site.url) == 204
    assert await holds(session, site.url)
    async with session.post(f"{site.url}/logout") as answer:
        assert answer.status == 204
    assert not await holds(session, site.url)


async def test_the_cookie_is_for_this_site_and_no_script(
    site: Site, session: aiohttp.ClientSession
) -> None:
    async with session.post(f"{site.url}/login", json={"token": TOKEN}) as answer:
        parts = answer.headers["Set-Cookie"].split("; ")
    assert parts[0].startswith(f"{COOKIE}=")
    assert set(parts[1:]) == {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={LIFE}"}
    behind_tls = {"X-Forwarded-Proto": "https"}
    login = session.post(f"{site.url}/login", json={"token": TOKEN}, headers=behind_tls)
    async with login as answer:
        assert "Secure" in answer.headers["Set-Cookie"].split("; ")


async def test_a_session_ends_by_itself_and_with_another_token(
    site: Site, session: aiohttp.ClientSession
) -> None:
    now = site.clock.now() // 1000
    cookies = {
        "good": (Sessions(TOKEN).issue(now=now), 204),
        "over": (Sessions(TOKEN).issue(now=now - LIFE), 401),
        "of another token": (Sessions("another-token-of-16").issue(now=now), 401),
    }
    for what, (cookie, status) in cookies.items():
        headers = {"Cookie": f"{COOKIE}={cookie}"}
        async with session.get(f"{site.url}/api/session", headers=headers) as answer:
            assert answer.status == status, what


@pytest.fixture
def long_slowed(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds that a wrong token takes: many, since the test looks at what goes on meanwhile."""
    seconds = 6.0
    monkeypatch.setattr("services.console.wiring.Door", partial(Door, slowed=seconds))
    return seconds


async def test_wrong_tokens_are_slowed_and_counted_and_who_is_in_is_not(
    long_slowed: float, site: Site, session: aiohttp.ClientSession
) -> None:
    assert await log_in(session, site.url) == 204
    began = time.monotonic()
    wrong = [
        asyncio.create_task(log_in(session, site.url, f"wrong {number}"))
        for number in range(MAX_SLOWED + 4)
    ]

    def all_have_come() -> bool:
        return f"{WRONG} {len(wrong)}.0" in site.metrics.render().decode()

    await eventually(all_have_come)
    # The token itself is not looked at while eight wrong ones of this address are slowed.
    async with session.get(f"{site.url}/api/queue", headers=BEARER) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert await holds(session, site.url)
    assert not all(task.done() for task in wrong)
    statuses = sorted(await asyncio.gather(*wrong))
    assert statuses == [401] * MAX_SLOWED + [429] * 4
    assert time.monotonic() - began >= long_slowed
    async with session.get(f"{site.url}/api/queue", headers=BEARER) as answer:
        assert answer.status == 200
    assert f"{WRONG} 13.0" in site.metrics.render().decode()


@pytest.mark.parametrize(
    ("body", "status", "headers"),
    [
        (b"", 400, JSON),
        (b"{}", 400, JSON),
        (b"[" * 4000, 400, JSON),
        (b"\xff", 400, JSON),
        (b'{"token": 5}', 400, JSON),
        (b'{"token": "%s"}' % (b"x" * 5000), 413, JSON),
        (b'{"token": "%s"}' % TOKEN.encode(), 415, {"Content-Type": "text/plain"}),
        (b'{"token": "%s"}' % TOKEN.encode(), 415, JSON | {"Content-Encoding": "gzip"}),
        (b"token=x", 415, {"Content-Type": "application/x-www-form-urlencoded"}),
    ],
)
async def test_a_login_that_is_none_is_refused(
    site: Site,
    session: aiohttp.ClientSession,
    body: bytes,
    status: int,
    headers: dict[str, str],
) -> None:
    sent = io.BytesIO(body) if body else None
    async with session.post(f"{site.url}/login", data=sent, headers=headers) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]
        assert "Set-Cookie" not in answer.headers


async def test_a_host_name_that_is_not_ours_gets_the_page_and_no_data(
    site: Site, session: aiohttp.ClientSession
) -> None:
    # DNS rebinding: the cookie belongs to the name it was made for and does not come along.
    host = {"Host": "evil.example"}
    async with session.get(f"{site.url}/", headers=host) as answer:
        assert answer.status == 200
    async with session.get(f"{site.url}/api/queue", headers=host) as answer:
        assert answer.status == 401


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/style.css%00",
        "/static/STYLE.CSS",
        "/static/./style.css/",
        "/../../etc/passwd",
    ],
)
async def test_a_path_is_only_a_key_of_the_pages_files(site: Site, path: str) -> None:
    """Sent as it stands: a client would tidy it up."""
    host, _, port = site.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n"
        "Connection: close\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    assert answer.split(b" ", 2)[1] in {b"400", b"404"}
    assert b"import" not in answer
    assert b"root:" not in answer


async def test_a_file_that_the_browser_has_is_not_sent_again(
    site: Site, session: aiohttp.ClientSession
) -> None:
    files = read_files()
    async with session.get(f"{site.url}/static/style.css") as answer:
        assert await answer.read() == files["style.css"].body
        assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
        etag = answer.headers["ETag"]
    again = session.get(f"{site.url}/static/style.css", headers={"If-None-Match": etag})
    async with again as answer:
        assert (answer.status, await answer.read()) == (304, b"")
    async with session.get(f"{site.url}/") as answer:
        assert await answer.read() == files["index.html"].body


async def test_a_body_that_does_not_come_is_given_up(site: Site) -> None:
    host, _, port = site.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
            b"Content-Length: 40\r\n\r\n{"
        )
        client.settimeout(20)
        answer = await asyncio.to_thread(client.recv, 4096)
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_over_tls_the_cookie_is_sent_over_tls_only(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    files = ensure_certificate(tmp_path)
    tls = client_context(files.certificate)
    async with served(Site(tmp_path, certificate=files)) as site:
        assert site.url.startswith("https://")
        login = session.post(f"{site.url}/login", json={"token": TOKEN}, ssl=tls)
        async with login as answer:
            assert answer.status == 204
            assert "Secure" in answer.headers["Set-Cookie"].split("; ")
        async with session.get(f"{site.url}/api/session", ssl=tls) as answer:
            assert answer.status == 204
