"""`imagegate show-real`: real servers, every part a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.cli.show.servers import find_servers
from shared.domain.errors import InvalidSettings
from tests.functional.cli.commands import REPOSITORY
from tests.waiting import PATIENCE

pytestmark = pytest.mark.servers


def start(temporary: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "services.cli", "show-real", *options],
        cwd=REPOSITORY,
        env={"PATH": os.defpath, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def gone(printed: str) -> bool:
    """Whether every process that the show named has ended."""
    pids = [int(pid) for pid in re.findall(r"\(pid (\d+)\)", printed)]
    deadline = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return bool(pids)


def test_the_show_on_real_servers_is_as_expected_and_leaves_nothing(tmp_path: Path) -> None:
    process = start(tmp_path, "--once")
    printed, _ = process.communicate(timeout=110)
    assert process.returncode == 0, printed
    assert "Every answer was the expected one." in printed
    for part in ("redis-server", "rabbitmq-server", "webhook 2", "worker 2", "scanner", "registry"):
        assert f"{part}: answers" in printed
    assert gone(printed)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_it_starts_stops_what_was_started(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "epmd: answers" in line:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed + rest
    assert "stopping all of it" in rest
    assert "Traceback" not in rest
    assert gone(printed + rest)
    assert list(tmp_path.iterdir()) == []


def test_missing_servers_are_named_in_one_line_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as caught:
        find_servers(str(tmp_path))
    message = str(caught.value)
    assert "redis-server, rabbitmq-server, epmd missing" in message
    assert "apt-get install --no-install-recommends redis-server rabbitmq-server" in message
    assert "\n" not in message
