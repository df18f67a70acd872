"""Who gets in, how much at a time, and for how long."""

import asyncio
import base64
import io
from pathlib import Path

import aiohttp

from services.scanner.edge.answers import BODY
from services.scanner.edge.guard import AT_ONCE
from services.scanner.settings import ScannerSettings
from shared.runtime.settings import read_settings
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import Client, opened_scanner
from tests.waiting import eventually


def login(password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"admin:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


async def status_with(scanner: Client, password: str) -> int:
    status, _ = await scanner.call("GET", "/v1/policies", headers=login(password))
    return status


async def test_a_password_is_changed_without_a_moment_in_which_nobody_gets_in(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("of-yesterday\n")
    kept = read_settings(
        ScannerSettings,
        environ={
            "IMAGEGATE_SCANNER_USER": "admin",
            "IMAGEGATE_SCANNER_PASSWORD_FILE": str(file),
        },
    )
    async with opened_scanner(
        registry,
        tmp_path / "state",
        imagegate_scanner_user="admin",
        imagegate_scanner_password=kept.imagegate_scanner_password,
    ) as scanner:
        assert await status_with(scanner, "of-yesterday") == 200
        assert await status_with(scanner, "of-today") == 401
        file.write_text("of-today\nof-yesterday\n")
        assert await status_with(scanner, "of-yesterday") == 200
        assert await status_with(scanner, "of-today") == 200
        file.write_text("of-today\n\n")
        assert await status_with(scanner, "of-yesterday") == 401
        assert await status_with(scanner, "") == 401
        assert await status_with(scanner, "of-today\nof-yesterday") == 401


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(scanner: Client) -> None:
    status, body = await scanner.call(
        "POST",
        "/v1/images",
        data=io.BytesIO(b"x" * (BODY.most + 1)),
        headers={"Content-Type": "application/json"},
    )
    assert (status, body["status"]) == (413, 413)


async def test_a_packed_body_is_not_unpacked(scanner: Client) -> None:
    status, _ = await scanner.call(
        "POST",
        "/v1/images",
        data=b"\x1f\x8b",
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert status == 415


async def test_a_header_without_end_ends_the_connection(scanner: Client) -> None:
    status, _ = await scanner.call("GET", "/health", headers={"X-Long": "x" * 20_000})
    assert status == 400


async def test_who_sends_slowly_keeps_nobody_else_waiting(scanner: Client) -> None:
    host, port = scanner.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/images HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n{"
    ).encode()
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(50)]
    for _, writer in slow:
        writer.write(head)
        await writer.drain()
    assert (await scanner.get("/v1/images"))[0] == 200
    reader, _ = slow[0]
    async with asyncio.timeout(60):
        assert b"408" in await reader.readline()
    for _, writer in slow:
        writer.close()


async def test_more_at_a_time_than_it_takes_are_told_to_come_again(scanner: Client) -> None:
    host, port = scanner.url.removeprefix("http://").split(":")
    head = (
        f"POST /v1/images HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n{"
    ).encode()
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(AT_ONCE)]
    for _, writer in slow:
        writer.write(head)
        await writer.drain()

    async def refused() -> bool:
        async with scanner.session.get(f"{scanner.url}/v1/images") as answer:
            return answer.status == 503 and answer.headers["Retry-After"] == "5"

    await eventually(refused, within=60)
    for _, writer in slow:
        writer.close()

    async def taken() -> bool:
        try:
            return (await scanner.get("/v1/images"))[0] == 200
        except aiohttp.ClientError:
            return False

    await eventually(taken, within=60)
