"""`imagegate scan` with what it cannot use: it says so before anything is asked for."""

from pathlib import Path

import pytest

from services.cli.local.wiring import make_keys
from shared.domain.signing import Role
from tests.functional.cli.commands import imagegate

IMAGE = "a.example/b:1"
FORMS = ("--wait", "--local")


@pytest.mark.parametrize("form", FORMS)
async def test_a_report_that_cannot_be_written_is_said_first(tmp_path: Path, form: str) -> None:
    for file, why in (
        (tmp_path / "none" / "report", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        ran = await imagegate("scan", IMAGE, form, "--file", str(file), state=tmp_path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == (
            f"error: cannot write {file}: {why}; name a file in a folder that this user may write\n"
        )


@pytest.mark.parametrize("form", FORMS)
async def test_a_private_key_is_no_dockerfile(tmp_path: Path, form: str) -> None:
    make_keys(tmp_path, role=Role.WORKER)
    key = tmp_path / "worker.key"
    ran = await imagegate("scan", IMAGE, form, "--dockerfile", str(key), state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"error: {key} is no Dockerfile, it has no line FROM IMAGE: name the one that the image "
        "was built from; nothing was sent\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch",
        "# syntax=docker/dockerfile:1\r\nARG BASE=debian\r\n\r\n  from ${BASE} AS build\r\n",
        "\ufeffFROM \\\n  debian:12\n",
    ],
)
async def test_a_dockerfile_is_one_however_it_is_written(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Dockerfile"
    file.write_bytes(text.encode())
    ran = await imagegate("scan", IMAGE, "--dockerfile", str(file), state=tmp_path)
    assert ran.code == 2
    assert "nobody to ask" in ran.err


async def test_less_than_no_time_is_refused(tmp_path: Path) -> None:
    ran = await imagegate("scan", IMAGE, "--wait", "--timeout", "-1", state=tmp_path)
    assert ran.code == 2
    assert "greater than or equal to 0" in ran.err
