"""`imagegate up` as a process of its own, and the commands beside it."""

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.functional.cli.commands import REPOSITORY, imagegate
from tests.waiting import eventually

PORTS = ("--port", "0", "--health-port", "0", "--intake-port", "0", "--console-port", "0")
UP = (sys.executable, "-m", "services.cli", "up", *PORTS)
FAILS = {"ssh": "openssh-server", "root": "effective user", "expat": "CVE-2024-4549"}


class Serving(msgspec.Struct, frozen=True):
    """An `imagegate up` whose show is over."""

    state: Path
    url: str
    registry: str
    printed: str
    invited: list[str]
    """The commands it names at the end."""


def start(state: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*UP, "--state", str(state), *options],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_until(process: subprocess.Popen[str], mark: str) -> str:
    """What the process prints up to the line that holds `mark`; the timeout is pytest's."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if mark in line:
            break
    assert mark in "".join(lines[-1:]), "".join(lines)
    return "".join(lines)


def stop(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    return process.returncode, out


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    state = tmp_path_factory.mktemp("up")
    process = start(state)
    try:
        printed = read_until(process, "imagegate status")
        registry = re.search(r"registry: 6 images on http://(\S+),", printed)
        url = re.search(r"Serving on (\S+) until", printed)
        assert registry is not None
        assert url is not None
        invited = printed.partition("In another terminal:\n")[2].splitlines()
        yield Serving(state, url[1], registry[1], printed, [line.strip() for line in invited])
        code, out = stop(process, signal.SIGINT)
        assert code == 0, out
        assert not (state / "ops.sock").exists()
    finally:
        process.kill()
        process.wait()


def test_the_show_gets_every_expected_answer_from_the_real_parts(serving: Serving) -> None:
    text = serving.printed
    assert "Every answer was the expected one." in text
    assert "good: pending (429)" in text
    assert "Anchore: image_check" in text
    assert "step request in lane admission" in text
    assert "`make run-real` has Redis and RabbitMQ" in text


async def test_the_commands_it_names_can_be_typed_as_they_stand(serving: Serving) -> None:
    state, invited = serving.state, serving.invited
    assert invited[0] == f"export IMAGEGATE_STATE={state}"
    review = shlex.split(invited[1])
    assert Path(REPOSITORY, review[0]).name == "imagegate"
    ran = await imagegate(*review[1:], state=state)
    assert (ran.code, ran.err) == (0, "")


async def test_verdicts_shows_what_the_store_knows(serving: Serving) -> None:
    ran = await imagegate("verdicts", "-o", "json", state=serving.state)
    outcomes = {row["image"]: row["outcome"] for row in json.loads(ran.out)}
    assert outcomes == {
        f"{serving.registry}/team/good:1.0": "pass",
        f"{serving.registry}/team/ssh:1.0": "fail",
        f"{serving.registry}/team/root:1.0": "fail",
        f"{serving.registry}/team/expat:1.0": "fail",
        f"{serving.registry}/team/untagged:1.0": "fail",
        f"{serving.registry}/team/nobody:1.0": "error",
        f"{serving.registry}/team/warmed:1.0": "pass",
    }


async def test_queue_shows_every_lane_with_its_worker(serving: Serving) -> None:
    ran = await imagegate("queue", "-o", "json", state=serving.state)
    lanes = {lane["lane"]: lane for lane in json.loads(ran.out)["lanes"]}
    assert set(lanes) == {"resolve", "admission", "prewarm", "check", "check-prewarm"}
    assert all(lane["consumers"] == 1 for lane in lanes.values())


async def test_status_asks_the_parts_and_says_where_they_are(serving: Serving) -> None:
    ran = await imagegate("status", state=serving.state)
    assert ran.code == 0
    assert f"webhook: {serving.url}" in ran.out
    assert "days left" in ran.out


async def test_its_console_opens_with_the_token_in_the_state_folder(serving: Serving) -> None:
    named = re.search(r"The console: (\S+) \(token in (\S+)\)", serving.printed)
    assert named is not None
    url, token = named.groups()
    assert (serving.state / "console.token") == Path(token)
    ran = await imagegate("decisions", state=serving.state, IMAGEGATE_CONSOLE=url, COLUMNS="400")
    assert (ran.code, ran.err) == (0, "")
    assert "Package is blacklisted: openssh-server" in ran.out
    other = serving.state / "other"
    named_too = {"IMAGEGATE_CONSOLE": url, "IMAGEGATE_CONSOLE_TOKEN_FILE": token}
    ran = await imagegate("queue", "-o", "json", state=other, **named_too)
    lanes = {lane["lane"]: lane for lane in json.loads(ran.out)["lanes"]}
    # The worker in it says what it was given.
    assert lanes["check"]["delivered"] > 0


async def test_a_second_webhook_is_compared_with_what_the_real_one_answered(
    serving: Serving,
) -> None:
    # The real one is the second as well: asked again, it says of each image what it said.
    url = f"{serving.url}/validate"
    arguments = ("--diff", url, "--diff-ca", str(serving.state / "webhook.crt"), "-o", "json")
    ran = await imagegate("decisions", *arguments, state=serving.state)
    assert ran.err == ""
    compared = {one["ours"]["images"][0]: one for one in json.loads(ran.out)["compared"]}
    bad = next(one for image, one in compared.items() if "team/ssh" in image)
    assert (bad["stand"], bad["theirs"]["allowed"]) == ("same", False)
    # What could not be judged a dry run lets pass: nothing runs.
    differ = [one["ours"] for one in compared.values() if one["stand"] in ("laxer", "stricter")]
    assert {ours["state"] for ours in differ} == {"error"}


async def test_there_are_no_dead_letters(serving: Serving) -> None:
    ran = await imagegate("dead", "list", state=serving.state)
    assert (ran.code, ran.out) == (0, "no dead letters\n")


async def test_review_trusts_the_certificate_in_the_state_folder(serving: Serving) -> None:
    image = f"{serving.registry}/team/good:1.0"
    ran = await imagegate("review", "--image", image, "--webhook", serving.url, state=serving.state)
    assert (ran.code, ran.err) == (0, "")
    assert "allowed Pod default/review" in ran.out


@pytest.mark.parametrize("name", FAILS)
async def test_review_says_why_an_image_is_refused(serving: Serving, name: str) -> None:
    image = f"{serving.registry}/team/{name}:1.0"
    ran = await imagegate("review", "--image", image, "--webhook", serving.url, state=serving.state)
    assert ran.code == 1
    assert FAILS[name] in ran.out


async def test_an_operator_lets_a_refused_image_run_and_takes_that_back(serving: Serving) -> None:
    state, image = serving.state, f"{serving.registry}/team/root:1.0"
    review = ("review", "--image", image, "--webhook", serving.url)
    assert (await imagegate(*review, state=state)).code == 1
    ran = await imagegate(
        *("allow", image, "-n", "default", "--for", "1h", "--reason", "shown"), state=state
    )
    assert (ran.code, ran.err) == (0, "")
    revoke = ran.out.strip().splitlines()[-1].partition("imagegate ")[2].split()
    ran = await imagegate("exceptions", "list", state=state, COLUMNS="160")
    assert (ran.code, "active" in ran.out, "shown" in ran.out) == (0, True, True)
    # An answer is kept for a second at most.
    await until_review(state, *review, code=0)
    ran = await imagegate(*revoke, state=state)
    assert (ran.code, ran.err) == (0, "")
    await until_review(state, *review, code=1)


async def until_review(state: Path, *review: str, code: int) -> None:
    async def answers_so() -> bool:
        return (await imagegate(*review, state=state)).code == code

    await eventually(answers_so, within=30)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("good", 0, "pass after"),
        ("ssh", 1, "Package is blacklisted: openssh-server"),
        ("nobody", 2, "it has no such image"),
    ],
)
async def test_scan_waits_for_a_new_verdict_and_tells_it(
    serving: Serving, name: str, code: int, words: str
) -> None:
    image = f"{serving.registry}/team/{name}:1.0"
    ran = await imagegate("scan", image, "--wait", "--timeout", "60", state=serving.state)
    assert ran.code == code, ran
    assert words in ran.out


async def test_prewarm_asks_it_and_tells_what_each_image_would_get(
    serving: Serving, tmp_path: Path
) -> None:
    names = ("good", "ssh", "nobody")
    images = {name: f"{serving.registry}/team/{name}:1.0" for name in names}
    file = tmp_path / "images"
    file.write_text("\n".join(images.values()))
    ran = await imagegate("prewarm", "--images", str(file), "-o", "json", state=serving.state)
    assert ran.code == 1, ran
    outcomes = {row["image"]: row["outcome"] for row in json.loads(ran.out)["images"]}
    assert outcomes == {
        images["good"]: "pass",
        images["ssh"]: "fail",
        images["nobody"]: "error",
    }


async def test_a_dockerfile_changes_what_is_thought_of_an_image(
    serving: Serving, tmp_path: Path
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM debian\nUSER 65532\n")
    image = f"{serving.registry}/team/good:1.0"
    ran = await imagegate(
        *("scan", image, "--wait", "--timeout", "60", "--dockerfile", str(dockerfile)),
        state=serving.state,
    )
    assert ran.code == 1, ran
    assert "with its Dockerfile" in ran.out
    assert "FROM" in ran.out
    dockerfile.write_text("FROM debian:12\nUSER 65532\n")
    ran = await imagegate(
        *("scan", image, "--wait", "--timeout", "60", "--dockerfile", str(dockerfile)),
        state=serving.state,
    )
    assert ran.code == 0, ran


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("NOT A REFERENCE", "repository must be lower-case"),
        ("registry.invalid/team/x:1", "registry.invalid"),
    ],
)
async def test_a_scan_that_cannot_be_asked_for_is_an_error_of_one_line(
    serving: Serving, tmp_path: Path, image: str, words: str
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text("FROM debian:12\n")
    ran = await imagegate("scan", image, "--dockerfile", str(dockerfile), state=serving.state)
    assert ran.code == 2
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_a_second_one_on_the_same_state_folder_ends_with_the_reason(serving: Serving) -> None:
    second = start(serving.state, "--once")
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert "another process answers" in out


def test_a_taken_port_is_named(serving: Serving, tmp_path: Path) -> None:
    port = serving.url.rpartition(":")[2]
    second = start(tmp_path, "--once", "--port", port)
    out, _ = second.communicate(timeout=60)
    assert second.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in out


def test_ctrl_c_in_the_middle_of_the_show_ends_it(tmp_path: Path) -> None:
    process = start(tmp_path)
    try:
        read_until(process, "untagged: its Dockerfile went to the scanner")
        code, out = stop(process, signal.SIGINT)
    finally:
        process.kill()
        process.wait()
    assert code == 0, out
    assert "stopped before the show was over" in out
    assert "Traceback" not in out
