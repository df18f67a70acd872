"""compose.yaml, as the library reads it that Docker Compose reads its files with.

It is built with Go in seconds; no Docker is needed. The tests of `make test` read the file by means
of their own (tests/deploy/composed.py), and what they read is compared here.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.composed import FOLDER, Compose, mounts, read_compose
from tests.deploy.secrets import make_compose_secrets

MODULE = Path(__file__).parent / "parts" / "compose"
DEMO = "demo/compose.yaml"
BUILD_WITHIN = 300.0


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program."""
    go = shutil.which("go", path=f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")
    assert go is not None, "go is not installed: compose's own library is built with it"
    program = tmp_path_factory.mktemp("compose-config") / "compose"
    subprocess.run(
        [go, "build", "-mod=readonly", "-buildvcs=false", "-o", str(program), "."],
        cwd=MODULE,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""},
        timeout=BUILD_WITHIN,
        check=True,
    )
    return program


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of compose/ with its secrets made."""
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    copied = Path(shutil.copytree(FOLDER, tmp_path / "compose", ignore=ignore))
    make_compose_secrets(copied)
    return copied


def config(program: Path, folder: Path, *files: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program), *files],
        cwd=folder,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("over", [(), (DEMO,)], ids=["alone", "demonstration"])
def test_compose_reads_what_the_tests_read(
    compose: Path, folder: Path, over: tuple[str, ...]
) -> None:
    ran = config(compose, folder, "compose.yaml", *over)
    assert (ran.returncode, ran.stderr) == (0, "")
    theirs = json.loads(ran.stdout)["services"]
    (user,) = (folder / ".env").read_text().split()
    ours = read_compose(*over, variables=dict([user.split("=")]))
    assert set(theirs) == set(ours["services"])
    for name, service in theirs.items():
        own = ours["services"][name]
        for key in ("image", "command", "user", "read_only", "tmpfs", "cap_drop", "profiles"):
            assert service.get(key) == own.get(key), f"{name}: {key}"
        assert service.get("environment") == own.get("environment"), name
        assert service["deploy"].get("replicas") == own["deploy"].get("replicas"), name
        assert set(service["networks"]) == set(own["networks"]), name
        assert service.get("healthcheck", {}).get("test") == own.get("healthcheck", {}).get("test")
        assert _published(service) == set(own.get("ports", ())), name
        assert _mounted(service, folder) == _expected(ours, name, folder), name


def _published(service: dict[str, Any]) -> set[str]:
    return {
        f"{port['host_ip']}:{port['published']}:{port['target']}"
        for port in service.get("ports", ())
    }


def _mounted(service: dict[str, Any], folder: Path) -> set[str]:
    """Where secrets, configuration files and folders of here are mounted, and volumes."""
    named = [*service.get("secrets", ()), *service.get("configs", ())]
    return {entry["target"] for entry in named} | {
        f"{Path(entry['source']).relative_to(folder)} {entry['target']}"
        if entry["type"] == "bind"
        else entry["target"]
        for entry in service.get("volumes", ())
    }


def _expected(compose: Compose, name: str, folder: Path) -> set[str]:
    files, writable = mounts(compose, name, folder=folder)
    tmpfs = {entry.partition(":")[0] for entry in compose["services"][name].get("tmpfs", ())}
    return {
        f"{source.relative_to(folder)} {target}" if source.is_dir() else target
        for target, source in files.items()
    } | (set(writable) - tmpfs)


def test_every_file_that_compose_mounts_is_there(compose: Path, folder: Path) -> None:
    read = json.loads(config(compose, folder, "compose.yaml", DEMO).stdout)
    for kind in ("secrets", "configs"):
        for entry in read[kind].values():
            assert Path(entry["file"]).is_file(), entry


@pytest.mark.parametrize(
    ("instead", "says"),
    [
        ("restrat: unless-stopped", "services.redis.restrat"),
        ("networks: [store]", "refers to undefined network store"),
    ],
)
def test_a_mistake_is_refused(compose: Path, folder: Path, instead: str, says: str) -> None:
    """As Docker Compose refuses it; else what is above would prove little."""
    wrong = folder / "wrong.yaml"
    wrong.write_text(f"services: {{redis: {{{instead}}}}}\n")
    ran = config(compose, folder, "compose.yaml", "wrong.yaml")
    assert ran.returncode == 1, ran
    assert says in ran.stderr, ran
