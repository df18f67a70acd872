"""Both images of compose/Dockerfile: built, looked into, run, and judged by our own policy.

Where nothing can build them its steps are run in a folder, and what needs an image is left out.
"""

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.buildah import Built, built, why_not
from tests.packaging.dockerfile import DOCKERFILE
from tests.packaging.images import Container, Image, Images
from tests.packaging.inside import IMPORT_ALL, WHO, ScannerContainer
from tests.packaging.installation import ROOT
from tests.packaging.steps import take_steps
from tests.servers.registry import RegistryServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

FOR_EVERYBODY = {"/run/lock", "/tmp", "/var/lib/imagegate", "/var/tmp"}
BUILDERS = ("pip", "pip3", "gcc", "cc", "make", "git", "curl", "wget", "uv", "hatchling")
A_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")
UNCHECKED = 1
"""The flags of a compiled module that is never compared with its source (PEP 552)."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built | Images]:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    scratch = tmp_path_factory.mktemp("images")
    reason = why_not()
    if reason:
        yield take_steps(scratch, because=reason)
        return
    with built(Path(cache) / "imagegate" / "images", scratch) as by_buildah:
        yield by_buildah


@pytest.fixture(scope="module")
def images(made: Built | Images) -> Images:
    return made.images if isinstance(made, Built) else made


@pytest.fixture(scope="module")
def whole(made: Built | Images) -> Built:
    """For what a folder cannot show."""
    if isinstance(made, Images):
        pytest.skip(made.told)
    return made


@pytest.fixture(scope="module")
def imagegate(whole: Built) -> Container:
    return whole.containers["imagegate"]


@pytest.fixture(scope="module")
def scanner(whole: Built) -> Container:
    return whole.containers["scanner"]


def test_both_are_made_and_say_what_they_are_for(
    images: Images, record_property: Callable[[str, object], None]
) -> None:
    sizes = f"{_mb(images.imagegate)}, with Syft {_mb(images.scanner)}"
    record_property("said", f"images: {images.told}; {sizes}")
    for image in (images.imagegate, images.scanner):
        ran = image.run("--help")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert "Decide which container images may run" in ran.stdout


def _mb(image: Image) -> str:
    return f"{image.size / 1e6:.0f} MB"


@pytest.mark.parametrize("service", ["webhook", "worker", "intake", "console", "scanner"])
def test_a_service_that_was_told_nothing_ends_with_one_line_that_says_what_to_do(
    images: Images, service: str
) -> None:
    environ = {"IMAGEGATE_SCANNER_HOST": "0.0.0.0"} if service == "scanner" else {}
    ran = images.scanner.run(service, **environ)
    (line,) = ran.stderr.splitlines()
    assert ran.returncode == 2
    assert line.startswith(f"imagegate {service}: ")
    assert re.search(r"REDIS_URL|IMAGEGATE_SCANNER_USER|state folder", line)


def test_without_syft_the_scanner_says_which_image_has_it(images: Images) -> None:
    assert not list(images.imagegate.root.rglob("*syft/*"))
    ran = images.imagegate.run("scanner")
    assert ran.returncode == 2
    assert "imagegate-scanner" in ran.stderr


def test_all_of_it_can_be_imported(images: Images) -> None:
    python = _python(images.imagegate)
    ran = python(IMPORT_ALL)
    assert (ran.returncode, ran.stderr) == (0, "")
    names = set(ran.stdout.split())
    for service in ("webhook", "worker", "intake", "console", "scanner", "cli"):
        assert f"services.{service}.wiring" in names
    assert len(names) > 400


def _python(image: Image) -> Callable[[str], subprocess.CompletedProcess[str]]:
    def python(text: str) -> subprocess.CompletedProcess[str]:
        if isinstance(image, Container):
            return image.execute(["python", "-c", text])
        interpreter = image.root / "opt" / "imagegate" / "bin" / "python"
        command = [str(interpreter), "-P", "-c", text]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    return python


def test_what_it_runs_is_compiled_and_nothing_else_of_ours_is_in_it(images: Images) -> None:
    (packages,) = (images.imagegate.root / "opt/imagegate/lib").glob("python3*/site-packages")
    assert {"services", "shared", "aiohttp"} <= {path.name for path in packages.iterdir()}
    for module in packages.rglob("*.py"):
        (compiled,) = (module.parent / "__pycache__").glob(f"{module.stem}.cpython-*.pyc")
        assert compiled.read_bytes()[4] == UNCHECKED
    assert not {"tests", "pip", "setuptools"} & {path.name for path in packages.iterdir()}


def test_it_runs_as_its_user_on_a_root_that_is_read_only(imagegate: Container) -> None:
    told = json.loads(imagegate.execute(["python", "-c", WHO]).stdout)
    tried = told.pop("tried")
    assert told == {"user": 65532, "group": 65532, "groups": [], "process": 1}
    assert tried.pop("/tmp/new") == ""
    assert set(tried.values()) == {"Read-only file system"}


def test_its_user_may_write_nothing_of_it_though_the_root_were_not(scanner: Container) -> None:
    search = ["find", "/", "-xdev", "-writable", "!", "-type", "l", "-print"]
    ran = scanner.execute(search, read_only=False)
    found = {path for path in ran.stdout.splitlines() if not path.startswith(("/proc", "/dev"))}
    assert found == FOR_EVERYBODY


def test_nothing_in_it_gives_more_rights_or_installs(scanner: Container) -> None:
    ran = scanner.execute(["find", "/", "-xdev", "-type", "f", "-perm", "/6000"])
    assert ran.stdout == ""
    path = dict(word.split("=", 1) for word in scanner.config.env)["PATH"]
    for name in BUILDERS:
        for folder in path.split(":"):
            assert not (scanner.root / folder.lstrip("/") / name).exists(), name
    for module in ("pip", "ensurepip", "setuptools"):
        for python in ("/opt/imagegate/bin/python", "python3"):
            ran = scanner.execute([python, "-c", f"import {module}"])
            assert "ModuleNotFoundError" in ran.stderr, module


def test_nothing_in_it_is_a_secret_or_left_over(scanner: Container) -> None:
    """Of the base's libraries some hold keys, to test themselves with: these are left out."""
    root = scanner.root
    assert not (root / "build").exists()
    assert not [*(root / "root").glob(".cache"), *(root / "run").glob("secrets/*")]
    for folder in ("etc", "home", "opt", "root", "run", "srv", "tmp", "var"):
        for path in (root / folder).rglob("*"):
            assert path.name not in {".git", ".env", ".venv", "pip.conf", "conftest.py"}, path
            if path.is_file() and not path.is_symlink():
                assert not A_PRIVATE_KEY.search(path.read_bytes()), path


def test_the_two_differ_in_syft_alone(imagegate: Container, scanner: Container) -> None:
    assert _files(scanner.root) - _files(imagegate.root) == {"usr/local/bin/syft"}
    assert _files(imagegate.root) <= _files(scanner.root)
    assert scanner.execute(["syft", "--version"]).stdout.startswith("syft ")


def _files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_it_says_what_it_is(imagegate: Container) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in imagegate.config.labels.items()
    }
    assert labels.pop("io.buildah.version")
    assert labels == {
        "title": project["name"],
        "description": project["description"],
        "version": project["version"],
        "revision": "test",
        "licenses": project["license"],
    }
    config = imagegate.config
    assert (config.user, config.entrypoint, config.cmd) == (
        "65532:65532",
        ["imagegate"],
        ["--help"],
    )


def test_a_builder_runs_it_as_its_user_too(whole: Built) -> None:
    container = whole.buildah.container(whole.ids["imagegate"])
    assert whole.buildah.run_in(container, "id", "-u").strip() == "65532"
    assert "Usage: imagegate" in whole.buildah.run_in(container, "imagegate", "--help")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """What is mounted at /var/lib/imagegate, as Kubernetes gives it to the image's user."""
    folder = tmp_path / "volume"
    folder.mkdir()
    os.chown(folder, 65532, 65532)
    # Of tmp_path's parents only root may see anything; a bind mount needs no way to it.
    return folder


def test_its_scanner_serves_on_a_read_only_root_and_ends_when_it_is_told(
    scanner: Container, volume: Path, tmp_path: Path
) -> None:
    """All that it writes goes to its volume and to /tmp."""
    with ScannerContainer(tmp_path / "scanner", scanner, state=volume) as server:
        assert list((volume / "scanner").iterdir())
        assert server.terminate() == 0, server.said()


def test_it_passes_the_policy_that_every_installation_starts_from(
    whole: Built, scanner: Container, volume: Path, tmp_path: Path
) -> None:
    """Judged by imagegate in its own image, with its own Dockerfile: all four rules, but of
    vulnerabilities only what the demonstration data says of Debian itself."""
    shutil.copy(DOCKERFILE, volume / "Dockerfile")
    layout = whole.buildah.push_layout(whole.ids["imagegate"], tmp_path / "layout")
    with RegistryServer(tmp_path / "registry") as registry:
        reference = registry.push_layout(layout, "imagegate:0.1.0")
        stopped = judged(scanner, str(reference), volume)
    assert {row["gate"] for row in stopped} <= {"vulnerabilities"}, stopped


def judged(scanner: Container, image: str, volume: Path) -> list[dict[str, Any]]:
    """The findings of `imagegate scan --local` that stop the image."""
    words = ["imagegate", "scan", image, "--local", "--insecure", "--output", "json"]
    told = ["--dockerfile", "/var/lib/imagegate/Dockerfile", "--timeout", "600"]
    patient = {"IMAGEGATE_SCANNER_ANALYSIS_SECONDS": "500"}
    ran = scanner.execute([*words, *told], environ=patient, state=volume)
    assert ran.returncode in {0, 1}, ran.stderr
    (report,) = json.loads(ran.stdout)["images"]
    assert report["dockerfile"] == "Actual"
    found: list[dict[str, Any]] = report["findings"]
    return [row for row in found if row["action"] == "stop"]
