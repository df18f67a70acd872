"""`imagegate scan --local` as a process of its own: the real scanner with its real Syft, a registry
over real HTTP, and the printed text and exit code that a person or a CI gets."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiohttp import web

from services.cli.policies.documents import baseline
from shared.domain.policy_forms import Form
from tests.fakes.images import index_of
from tests.fakes.registry import FakeRegistry, Login
from tests.functional.cli.commands import REPOSITORY, Ran, imagegate, started
from tests.functional.scanner.images import (
    BASE_FILES,
    EXPAT,
    NETBASE,
    OPENSSH,
    debian_image,
    image_of,
    tar_of,
)

GOOD = debian_image(BASE_FILES, NETBASE)
BAD = debian_image(BASE_FILES, EXPAT, OPENSSH, config={"User": "0"})
SCHEMA = REPOSITORY / "tests" / "data" / "sarif" / "sarif-schema-2.1.0.json"


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as opened:
        opened.put(GOOD, "team/good:1")
        opened.put(BAD, "team/bad:1")
        yield opened


async def scan(
    registry: FakeRegistry, name: str, *options: str, state: Path, **environ: str
) -> Ran:
    image = f"{registry.host}/team/{name}"
    return await imagegate(
        *("scan", "--local", "--insecure", image, *options), state=state, **environ
    )


async def test_a_good_image_passes_and_its_report_is_all_of_the_output(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    ran = await scan(registry, "good:1", state=tmp_path)
    assert ran.code == 0, ran
    lines = ran.out.splitlines()
    assert lines[0] == f"{registry.host}/team/good:1"
    assert GOOD.digest in lines[1]
    assert "amd64, debian 12" in lines[2]
    assert "Packages  2 dpkg" in ran.out
    assert "Vulnerabilities  none known" in ran.out
    assert "Policy  imagegate-default: nothing found" in ran.out
    assert lines[-1].startswith("pass after ")
    stages = [line.partition(" s  ")[2] for line in ran.err.splitlines()]
    assert stages[0] == "starting the scanner"
    assert "pulling the image and listing its packages" in stages
    assert stages[-1] == "reading what was found"


async def test_a_bad_image_fails_with_what_stops_it(registry: FakeRegistry, tmp_path: Path) -> None:
    ran = await scan(registry, "bad:1", state=tmp_path)
    assert ran.code == 1, ran
    assert "CVE-2024-45491" in ran.out
    assert "2.5.0-1+deb12u1" in ran.out
    assert "stop Package is blacklisted: openssh-server (packages/blacklist)" in ran.out
    assert "effective user" in ran.out
    last = ran.out[ran.out.index("fail after ") :]
    assert "newer libexpat1 would end 2 of the" in last


async def test_what_was_analysed_before_is_judged_anew_without_another_pull(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    await scan(registry, "bad:1", state=tmp_path)
    pulled = len(registry.asked("/blobs/"))
    again = await scan(registry, "bad:1", state=tmp_path)
    assert (again.code, len(registry.asked("/blobs/"))) == (1, pulled)
    forced = await scan(registry, "bad:1", "--force", state=tmp_path)
    assert forced.code == 1
    assert len(registry.asked("/blobs/")) > pulled


async def test_it_fetches_no_dumps_whatever_a_scanner_here_is_told(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    told = {
        "IMAGEGATE_SCANNER_SYNC": "Debian",
        "IMAGEGATE_SCANNER_SYNC_URL": f"http://{registry.host}",
    }
    ran = await scan(registry, "good:1", state=tmp_path, **told)
    assert ran.code == 0, ran
    assert registry.asked("all.zip") == []


@pytest.mark.parametrize("width", [40, 80])
async def test_no_line_is_wider_than_the_terminal(
    registry: FakeRegistry, tmp_path: Path, width: int
) -> None:
    ran = await scan(registry, "bad:1", state=tmp_path, COLUMNS=str(width))
    assert ran.code == 1
    assert max(len(line) for line in ran.out.splitlines()) <= width
    assert "2.5.0-1+deb12u1" in ran.out


async def test_json_is_all_that_stands_on_standard_output(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    ran = await scan(registry, "bad:1", "--output", "json", state=tmp_path)
    assert ran.code == 1, ran
    document = json.loads(ran.out)
    assert (document["version"], document["verdict"]) == (1, "fail")
    (image,) = document["images"]
    assert (image["digest"], image["distro"], image["distro_version"]) == (
        BAD.digest,
        "debian",
        "12",
    )
    assert image["packages_by_type"] == {"dpkg": 3}
    assert image["vulnerabilities_by_severity"]["critical"] == 2
    assert {"packages", "dockerfile"} <= {one["gate"] for one in image["findings"]}


async def test_sarif_is_written_whole_to_a_file_and_valid(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    file = tmp_path / "report.sarif"
    file.write_text("the report of yesterday")
    ran = await scan(registry, "bad:1", "-o", "sarif", "--file", str(file), state=tmp_path)
    assert (ran.code, ran.out) == (1, ""), ran
    document: dict[str, Any] = json.loads(file.read_text())
    jsonschema.Draft4Validator(json.loads(SCHEMA.read_text())).validate(document)
    named = {one["ruleId"] for one in document["runs"][0]["results"]}
    assert {"CVE-2024-45491", "packages/blacklist", "dockerfile/effective_user"} <= named
    assert [name for name in os.listdir(tmp_path) if "report" in name] == ["report.sarif"]


async def test_a_file_that_cannot_be_written_is_an_error(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    file = tmp_path / "nowhere" / "report.json"
    ran = await scan(registry, "good:1", "-o", "json", "--file", str(file), state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert f"error: cannot write {file}" in ran.err


async def test_an_image_that_is_not_there_could_not_be_judged(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    ran = await scan(registry, "nobody:1", "-o", "json", state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    (said,) = [line for line in ran.err.splitlines() if line.startswith("error: ")]
    assert "it has no such image" in said


async def test_an_image_that_cannot_be_analysed_could_not_be_judged(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.put(image_of([b"this is no tar archive"]), "team/broken:1")
    ran = await scan(registry, "broken:1", state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "team/broken:1 could not be analysed: " in ran.err


async def test_of_an_index_the_platform_that_was_asked_for_is_judged(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.put(index_of((GOOD, "linux/amd64"), (BAD, "linux/arm64/v8")), "team/both:1")
    wanted = {"linux/amd64": (0, GOOD), "linux/arm64": (1, BAD), "linux/arm64/v8": (1, BAD)}
    for platform, (code, content) in wanted.items():
        ran = await scan(registry, "both:1", "--platform", platform, state=tmp_path)
        assert ran.code == code, ran
        assert content.digest in ran.out
    ran = await scan(registry, "both:1", "--platform", "linux/s390x", state=tmp_path)
    assert ran.code == 2
    assert "has no manifest for linux/s390x; it has linux/amd64, linux/arm64" in ran.err


async def test_a_digest_is_judged_whatever_the_tag_beside_it_names(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.put(BAD, "team/good:2")
    ran = await scan(registry, f"good:1@{BAD.digest}", state=tmp_path)
    assert ran.code == 1, ran
    assert BAD.digest in ran.out


@pytest.mark.parametrize("form", list(Form))
async def test_a_policy_of_ones_own_judges_in_either_form(
    registry: FakeRegistry, tmp_path: Path, form: Form
) -> None:
    document: dict[str, Any] = baseline(form)
    rules = document["policies" if form is Form.V1 else "rule_sets"][0]
    rules["rules"] = [rule for rule in rules["rules"] if rule["gate"] == "packages"]
    document["id"] = "only-packages"
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(document))
    ran = await scan(registry, "bad:1", "--policy-file", str(file), state=tmp_path)
    assert ran.code == 1, ran
    assert "Policy  only-packages: 1 stop it" in ran.out
    # It is nobody's policy but this scan's.
    ran = await scan(registry, "good:1", state=tmp_path)
    assert (ran.code, "Policy  imagegate-default" in ran.out) == (0, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "holds no policy"),
        ("{}", "the document is no policy"),
        (
            json.dumps(
                {
                    "id": "x",
                    "version": "1_0",
                    "mappings": [],
                    "whitelists": [],
                    "policies": [
                        {
                            "id": "p",
                            "version": "1_0",
                            "rules": [{"gate": "nosuch", "trigger": "x", "action": "STOP"}],
                        }
                    ],
                }
            ),
            "nosuch",
        ),
    ],
)
async def test_a_policy_that_is_none_is_refused(
    registry: FakeRegistry, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "policy.json"
    file.write_text(text)
    ran = await scan(registry, "good:1", "--policy-file", str(file), state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


async def test_its_dockerfile_is_judged_and_named(registry: FakeRegistry, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM debian\nUSER 65532\n")
    ran = await scan(registry, "good:1", "--dockerfile", str(dockerfile), state=tmp_path)
    assert ran.code == 1, ran
    assert "its own Dockerfile" in ran.out
    assert "'FROM'" in ran.out
    dockerfile.write_text("FROM debian:12\nUSER 65532\n")
    ran = await scan(registry, "good:1", "--dockerfile", str(dockerfile), state=tmp_path)
    assert ran.code == 0, ran


async def test_the_login_of_docker_login_is_used(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.login = Login(user="me", password="secret")
    ran = await scan(registry, "good:1", state=tmp_path)
    assert ran.code == 2, ran
    auth = base64.b64encode(b"me:secret").decode()
    (tmp_path / "docker").mkdir()
    config = {"auths": {registry.host: {"auth": auth}}}
    (tmp_path / "docker" / "config.json").write_text(json.dumps(config))
    ran = await scan(registry, "good:1", state=tmp_path, DOCKER_CONFIG=str(tmp_path / "docker"))
    assert ran.code == 0, ran


NAMES = "Package: [red]evil[/red]\nVersion: 1.0\x1b[31m\n"


@pytest.mark.parametrize("form", ["table", "json", "sarif"])
async def test_hostile_names_are_shown_and_do_nothing(
    registry: FakeRegistry, tmp_path: Path, form: str
) -> None:
    registry.put(debian_image(NAMES, "Package: a\x07b\nVersion: 2\n"), "team/evil:1")
    ran = await scan(registry, "evil:1", "-o", form, "--all", state=tmp_path)
    assert ran.code == 1, ran
    assert all(char.isprintable() or char == "\n" for char in ran.out + ran.err)
    assert "evil" in ran.out


async def test_an_image_without_any_package_is_not_called_clean(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    registry.put(image_of([tar_of({"app": b"a program"})]), "team/scratch:1")
    ran = await scan(registry, "scratch:1", state=tmp_path)
    assert ran.code == 1, ran
    assert "does not say which distribution it is" in ran.out
    assert "Packages  none" in ran.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--local", "--policy", "x"), "--policy-file"),
        (("--local", "--account", "x"), "--policy-file"),
        (("--platform", "linux/amd64"), "--platform goes with --local"),
        (("--policy-file", "x"), "--policy-file goes with --local"),
        (("--insecure",), "--insecure goes with --local"),
        (("--output", "json"), "add --wait, or --local"),
        (("--file", "x"), "add --wait, or --local"),
    ],
)
async def test_options_that_do_not_go_together_are_named(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    ran = await imagegate("scan", "a.example/b:1", *options, state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


async def test_a_reader_that_goes_away_changes_no_exit_code(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    image = f"{registry.host}/team/bad:1"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.cli", "scan", "--local", "--insecure", image),
        cwd=REPOSITORY,
        env={"IMAGEGATE_STATE": str(tmp_path)},
        stdout=write,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(write)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"Broken" not in err
    assert b"Traceback" not in err


async def _never(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


def at_work(folder: Path) -> list[bytes]:
    """The command lines of processes that name `folder`."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            lines.append((process / "cmdline").read_bytes())
    return [line for line in lines if os.fsencode(folder) in line]


async def test_ctrl_c_ends_it_and_what_it_started_and_the_next_one_works(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    layer = next(digest for digest in reversed(GOOD.blobs))
    registry.fault(layer, _never)
    command = ("scan", "--local", "--insecure", f"{registry.host}/team/good:1")
    async with started(*command, state=tmp_path) as running:
        await running.printed("pulling the image and listing its packages")
        running.interrupt()
        assert await running.ended() == 130
        assert "Traceback" not in running.out
    assert not at_work(tmp_path)
    registry.heal()
    ran = await scan(registry, "good:1", state=tmp_path)
    assert ran.code == 0, ran


async def test_of_two_scans_in_a_state_folder_the_second_waits(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    layer = next(digest for digest in reversed(GOOD.blobs))
    registry.fault(layer, _never)
    command = ("scan", "--local", "--insecure", f"{registry.host}/team/good:1")
    async with started(*command, state=tmp_path) as first:
        await first.printed("pulling the image and listing its packages")
        second = f"{registry.host}/team/bad:1"
        async with started("scan", "--local", "--insecure", second, state=tmp_path) as waiting:
            await waiting.printed("waiting for another scan in this state folder")
            first.interrupt()
            await first.ended()
            assert await waiting.ended() == 1


async def test_a_scan_has_its_time_and_no_more(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.fault(next(digest for digest in reversed(GOOD.blobs)), _never)
    ran = await scan(registry, "good:1", "--timeout", "0.5", state=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert "is not analysed after 0.5 s: give it more with --timeout" in ran.err


async def test_on_a_terminal_progress_is_drawn_over_and_gone(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    command = ("scan", "--local", "--insecure", f"{registry.host}/team/good:1")
    async with started(*command, state=tmp_path, terminal=True) as running:
        await running.printed("pass")
        assert await running.ended() == 0
        # The line of the progress is cleared before the report begins.
        assert "\x1b[2K" in running.out
