"""Commands that ask a console: what they show is what it tells, and each mistake is one line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from shared.domain.step import Lane
from shared.ports.decisions import DecisionRecord
from shared.runtime.http import serve
from shared.runtime.tls import ensure_certificate
from tests.functional.cli.beside import beside
from tests.functional.cli.commands import Ran, imagegate
from tests.functional.console_page.site import TOKEN, Site, served


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(Site(tmp_path / "console")) as site:
        yield site


async def ask(*arguments: str, url: str, state: Path, **environ: str) -> Ran:
    named = {"IMAGEGATE_CONSOLE": url, "IMAGEGATE_CONSOLE_TOKEN": TOKEN} | environ
    return await imagegate(*arguments, state=state, **named)


async def test_every_look_asks_the_console(site: Site, tmp_path: Path) -> None:
    site.queue.dead.add(Lane.CHECK, b"hello")
    await site.decisions.write(
        [
            DecisionRecord(
                at=site.clock.now(),
                allowed=False,
                state="fail",
                code=403,
                kind="Pod",
                namespace="team",
                name="web-*",
                user="ada@example.org",
                operation="UPDATE",
                images=("a.example/b:1", "a.example/[bold]c:1"),
                reason="refused by policy prod",
                rule="[b]payments",
                times=3,
            )
        ]
    )
    ran = await ask("queue", url=site.url, state=tmp_path)
    assert (ran.code, "dead letters: 1" in ran.out) == (0, True)
    ran = await ask("verdicts", "-o", "json", url=f"{site.url}/", state=tmp_path)
    assert (ran.code, json.loads(ran.out)) == (0, [])
    ran = await ask("status", url=site.url, state=tmp_path)
    assert (ran.code, "nobody takes steps" in ran.out) == (1, True)
    assert "scanner" not in ran.out
    ran = await ask("dead", "list", url=site.url, state=tmp_path)
    assert (ran.code, "no step" in ran.out) == (0, True)
    ran = await ask("decisions", url=site.url, state=tmp_path, COLUMNS="160")
    assert ran.code == 0
    for words in (
        "denied 403, 3 times",
        "Pod team/web-*, UPDATE",
        "ada@example.org",
        "a.example/[bold]c:1",
        "refused by policy prod",
        "by ada@example.org, rule [b]payments",
    ):
        assert words in ran.out
    ran = await ask("decisions", "-o", "json", "--limit", "1", url=site.url, state=tmp_path)
    assert json.loads(ran.out)[0]["decision"]["times"] == 3


async def test_a_console_wins_over_servers_and_these_over_the_socket(
    site: Site, tmp_path: Path
) -> None:
    site.queue.dead.add(Lane.CHECK, b"of the console")
    away = {"REDIS_URL": "redis://127.0.0.1:1", "AMQP_URL": "amqp://guest:guest@127.0.0.1:1/"}
    async with beside(tmp_path):
        ran = await ask("queue", url=site.url, state=tmp_path, **away)
        assert (ran.code, "dead letters: 1" in ran.out) == (0, True)
        ran = await imagegate("queue", state=tmp_path, **away)
        assert (ran.code, "127.0.0.1:1" in ran.err) == (2, True)
        ran = await imagegate("queue", state=tmp_path)
        assert (ran.code, "dead letters: none" in ran.out) == (0, True)


async def test_the_token_may_stand_in_the_state_folder_or_in_a_file(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "console.token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    ran = await imagegate("queue", state=tmp_path, IMAGEGATE_CONSOLE=site.url)
    assert ran.code == 0
    other = tmp_path / "other"
    ran = await imagegate("queue", state=other, IMAGEGATE_CONSOLE=site.url)
    assert ran.code == 2
    assert "IMAGEGATE_CONSOLE_TOKEN is not set" in ran.err
    named = {"IMAGEGATE_CONSOLE": site.url, "IMAGEGATE_CONSOLE_TOKEN_FILE": str(path)}
    ran = await imagegate("queue", state=other, **named)
    assert ran.code == 0


async def test_another_token_is_said_and_not_shown(site: Site, tmp_path: Path) -> None:
    wrong = "another-token-that-is-wrong"
    ran = await ask("queue", url=site.url, state=tmp_path, IMAGEGATE_CONSOLE_TOKEN=wrong)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert f"the console at {site.url} does not take our token" in ran.err
    assert wrong not in ran.err


@pytest.mark.parametrize("token", ["short", "a-token-with\na-line-in-it", "passwörter-passwörter"])
async def test_what_can_be_no_token_is_one_line(site: Site, tmp_path: Path, token: str) -> None:
    ran = await ask("queue", url=site.url, state=tmp_path, IMAGEGATE_CONSOLE_TOKEN=token)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "IMAGEGATE_CONSOLE_TOKEN" in ran.err
    assert token not in ran.err


async def test_an_error_of_the_console_is_told_in_its_words(site: Site, tmp_path: Path) -> None:
    site.queue.away = "rabbit is away"
    ran = await ask("queue", url=site.url, state=tmp_path)
    assert (ran.code, ran.err) == (2, "error: rabbit is away\n")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:1", "does it run, and does IMAGEGATE_CONSOLE name it?"),
        ("127.0.0.1:8090", "IMAGEGATE_CONSOLE must be http://HOST:PORT"),
        ("ftp://h", "IMAGEGATE_CONSOLE must be http://HOST:PORT"),
        ("http://user:hunter2@127.0.0.1:1", "IMAGEGATE_CONSOLE must be http://HOST:PORT"),
        ("http://127.0.0.1:99999", "IMAGEGATE_CONSOLE must be http://HOST:PORT"),
        ("http://[::1", "IMAGEGATE_CONSOLE must be http://HOST:PORT"),
    ],
)
async def test_a_console_that_is_none_is_one_line(tmp_path: Path, url: str, words: str) -> None:
    ran = await ask("queue", url=url, state=tmp_path)
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), ran.err
    assert words in ran.err
    assert "hunter2" not in ran.err


async def test_its_certificate_is_checked(tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "tls")
    async with served(Site(tmp_path / "console", certificate=files)) as site:
        ran = await ask("queue", url=site.url, state=tmp_path)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert "name its CA in IMAGEGATE_CONSOLE_CA" in ran.err
        ca = {"IMAGEGATE_CONSOLE_CA": str(files.certificate)}
        ran = await ask("queue", url=site.url, state=tmp_path, **ca)
        assert (ran.code, ran.err) == (0, "")


async def test_what_is_no_console_is_said_and_gets_no_token_elsewhere(tmp_path: Path) -> None:
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.path)
        if request.path.startswith("/moved"):
            raise web.HTTPFound("/elsewhere")
        if request.path.startswith("/broken"):
            return web.json_response({"lanes": "many"})
        return web.Response(text="<html>")

    app = web.Application()
    app.router.add_get("/{any:.*}", elsewhere)
    async with serve(app) as bound:
        for path in ("page", "moved", "broken"):
            ran = await ask("queue", url=f"{bound.url}/{path}", state=tmp_path)
            assert (ran.code, ran.err.count("\n")) == (2, 1)
            assert "an answer of another version" in ran.err
    assert seen == ["/page/api/queue", "/moved/api/queue", "/broken/api/queue"]


async def test_scans_need_the_servers(site: Site, tmp_path: Path) -> None:
    ran = await ask("scan", "a.example/b:1", url=site.url, state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "set REDIS_URL, AMQP_URL and ANCHORE_URL to have images scanned" in ran.err
