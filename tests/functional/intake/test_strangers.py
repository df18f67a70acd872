"""Whoever has no credentials, and whatever is sent: a clear refusal in bounded time, no step."""

import asyncio
import contextlib
import gzip
import json
import logging
import resource
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.intake.settings import IntakeSettings
from shared.domain.errors import InvalidSettings
from shared.domain.rules import Rules
from shared.runtime.settings import Secret
from tests.fakes.anchore_notices import PASSWORD, analysis_over, login
from tests.fakes.pushes import KEY, TOKEN, bearer, envelope, event, signed
from tests.functional.intake.conftest import Intake, intake_of
from tests.waiting import PATIENCE, eventually

BODY = envelope(event())
NOTICE = analysis_over()
GENERIC = b'{"reference": "registry.corp/team/app:1"}'
MAX_BODY = 2**20
WRONG = "a-token-that-somebody-guessed"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(WRONG),
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"X-Token": TOKEN},
        signed(BODY),
    ],
)
async def test_without_the_token_a_registry_is_told_which_header_is_wanted(
    intake: Intake, headers: Mapping[str, str]
) -> None:
    answer = await intake.post(BODY, headers=headers)
    assert answer.http == 401
    assert answer.body == {
        "error": "credentials are missing or wrong: send Authorization: Bearer TOKEN"
    }
    assert intake.published == 0


@pytest.mark.parametrize(
    "headers", [{}, bearer(), signed(GENERIC, WRONG), signed(GENERIC + b" "), bearer(KEY)]
)
async def test_without_a_signature_a_pipeline_is_told_which_header_is_wanted(
    intake: Intake, headers: Mapping[str, str]
) -> None:
    answer = await intake.post(GENERIC, "generic", headers=headers)
    assert answer.http == 401
    assert answer.body["error"].endswith("X-Signature: sha256=HEX, the HMAC-SHA256 of the body")
    assert intake.published == 0


@pytest.mark.parametrize(
    "headers",
    [{}, bearer(), bearer(PASSWORD), login(password=WRONG), login(user="admin"), signed(NOTICE)],
)
async def test_without_a_login_anchore_is_told_which_one_is_wanted(
    intake: Intake, headers: Mapping[str, str]
) -> None:
    url = f"{intake.sites.events.url}/events/anchore"
    async with intake.session.post(url, data=NOTICE, headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert "Authorization: Basic" in (await answer.json())["error"]
    assert intake.published == 0


async def test_a_body_is_not_parsed_before_its_signature_holds(intake: Intake) -> None:
    assert (await intake.post(b"no JSON", "generic", headers=signed(b"other"))).http == 401
    assert (await intake.post(b"no JSON", "generic", headers=signed(b"no JSON"))).http == 400


@pytest.mark.parametrize(
    ("path", "missing", "setting"),
    [
        ("distribution", "imagegate_events_token", "IMAGEGATE_EVENTS_TOKEN"),
        ("generic", "imagegate_events_hmac", "IMAGEGATE_EVENTS_HMAC"),
        ("anchore", "imagegate_events_password", "IMAGEGATE_EVENTS_PASSWORD"),
    ],
)
async def test_an_endpoint_without_a_secret_refuses_all_and_only_the_log_says_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str, missing: str, setting: str
) -> None:
    nothing: dict[str, Any] = {missing: Secret("")}
    async with intake_of(tmp_path, **nothing) as intake:
        for headers in ({}, bearer(""), bearer(), login(password=""), login(), signed(BODY, "")):
            answer = await intake.post(BODY, path, headers=headers)
            assert answer.http == 401
    assert setting in vars(caplog.records[-1])["reason"]


@pytest.mark.parametrize("secret", ["", "short", "fifteen letters"])
async def test_it_does_not_start_without_a_secret_that_is_one(tmp_path: Path, secret: str) -> None:
    with pytest.raises(InvalidSettings, match=r"IMAGEGATE_EVENTS_TOKEN.*16"):
        async with intake_of(
            tmp_path,
            imagegate_events_token=Secret(secret),
            imagegate_events_hmac=Secret(""),
            imagegate_events_password=Secret(""),
        ):
            pass


async def test_a_stranger_does_not_fill_the_log(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        for _ in range(50):
            await intake.post(BODY, headers=bearer(WRONG))
    assert len(caplog.records) == 1
    assert vars(caplog.records[0])["sender"] == "127.0.0.1"
    assert WRONG not in str(vars(caplog.records[0]))


@pytest.mark.parametrize("path", ["distribution", "generic"])
async def test_a_body_above_the_limit_is_refused(intake: Intake, path: str) -> None:
    fits = b" " * (MAX_BODY - len(GENERIC)) + GENERIC
    answer = await intake.post(fits, path, headers=bearer() | signed(fits))
    assert answer.http == 202
    over = fits + b" "
    answer = await intake.post(over, path, headers=bearer() | signed(over))
    assert answer.http == 413
    assert answer.body["error"].startswith("the body is larger than 1048576 bytes")


@pytest.mark.parametrize("path", ["distribution", "generic"])
async def test_a_body_without_end_is_read_no_further_than_the_limit(
    intake: Intake, path: str
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1_600):
            yield b" " * 65_536

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # It may hang up on us while we are still sending.
    with contextlib.suppress(aiohttp.ClientConnectionError):
        answer = await intake.post(endless(), path, headers=bearer() | signed(b""))
        assert answer.http == 413
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 32 * 1024
    assert intake.published == 0


async def test_a_body_that_comes_too_slowly_is_given_up(intake: Intake) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.5)

    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            assert (await intake.post(slow(), headers=bearer())).http == 408


async def test_a_stranger_is_refused_before_the_body_is_read(intake: Intake) -> None:
    async def slow() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.5)

    # A body that does not come is given up after 5 s.
    async with asyncio.timeout(4.5):
        with contextlib.suppress(aiohttp.ClientConnectionError):
            assert (await intake.post(slow(), headers=bearer(WRONG))).http == 401


async def test_many_strangers_with_unfinished_bodies_fill_no_memory_and_stop_no_registry(
    intake: Intake,
) -> None:
    head = (
        "POST /events/generic HTTP/1.1\r\nHost: x\r\nX-Signature: sha256=00\r\n"
        f"Content-Length: {MAX_BODY}\r\n\r\n"
    ).encode()
    unfinished = head + b" " * (MAX_BODY - 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with asyncio.TaskGroup() as group:
        strangers = [group.create_task(keep_sending(intake, unfinished)) for _ in range(300)]

        async def full() -> bool:
            return (await intake.from_pipeline(GENERIC)).http == 503

        await eventually(full)
        assert (await intake.from_registry(BODY)).http == 202
        for stranger in strangers:
            stranger.cancel()
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 256 * 1024


async def keep_sending(intake: Intake, request: bytes) -> None:
    """Send all of it that is taken, and stay."""
    port = intake.sites.events.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        try:
            for start in range(0, len(request), 65_536):
                writer.write(request[start : start + 65_536])
                await writer.drain()
            await reader.read()
        finally:
            writer.close()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_compressed_body_is_refused_and_not_unpacked(intake: Intake, encoding: str) -> None:
    bomb = gzip.compress(b"\0" * (256 * 2**20), compresslevel=1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headers = bearer() | {"Content-Encoding": encoding}
    answer = await intake.post(bomb if encoding == "gzip" else BODY, headers=headers)
    assert answer.http == 415
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 32 * 1024


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/events/distribution", 405),
        ("GET", "/events/anchore", 405),
        ("POST", "/events/harbor", 404),
        ("POST", "/", 404),
        ("GET", "/metrics", 404),
    ],
)
async def test_nothing_else_is_there(intake: Intake, method: str, path: str, status: int) -> None:
    url = f"{intake.sites.events.url}{path}"
    async with intake.session.request(method, url, headers=bearer()) as answer:
        assert answer.status == status


def test_no_setting_shows_a_secret() -> None:
    shown = repr(
        IntakeSettings(
            imagegate_events_token=Secret(TOKEN),
            imagegate_events_hmac=Secret(KEY),
            imagegate_events_password=Secret(PASSWORD),
        )
    )
    assert not any(secret in shown for secret in (TOKEN, KEY, PASSWORD))


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=10)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)
hosts = st.sampled_from(
    ["registry.corp", "evil.corp", "registry.corp@evil.corp", "evil.corp/registry.corp", "e"]
)
pushed = st.builds(
    event,
    host=hosts,
    repository=st.sampled_from(["team/app", "../registry.corp/app", "registry.corp/app", "A"]),
    tag=st.sampled_from(["1", "", "1@sha256:" + "a" * 64, "sha256:" + "a" * 64, "a:b"]),
)
documents = anything | st.fixed_dictionaries({"events": st.lists(pushed | anything, max_size=4)})
generics = st.builds(
    lambda host, rest: {"reference": f"{host}/{rest}"},
    hosts,
    st.sampled_from(["app:1", "app", "app@sha256:" + "a" * 64, "registry.corp:1"]),
)
bodies = st.binary(max_size=100) | (documents | generics).map(
    lambda each: json.dumps(each).encode()
)


def test_no_body_makes_it_fail_or_ask_for_what_is_not_allowed(tmp_path: Path) -> None:
    rules = Rules(allow_registries=("registry.corp",))

    async def send(written: list[bytes]) -> None:
        async with intake_of(tmp_path, rules=rules) as intake, asyncio.timeout(20):
            for body in written:
                for path in ("distribution", "generic"):
                    answer = await intake.post(body, path, headers=bearer() | signed(body))
                    assert answer.http in ({202} if path == "distribution" else {202, 400})
            images = await intake.asked_for()
            assert all(image.startswith("registry.corp/") for image in images), images

    @given(st.lists(bodies, min_size=1, max_size=8))
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
    def whatever(written: list[bytes]) -> None:
        asyncio.run(send(written))

    whatever()
