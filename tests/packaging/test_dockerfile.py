"""The Dockerfile, as far as it can be judged without building the images (test_image.py does)."""

import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import yaml

from tests.packaging.dockerfile import DOCKERFILE, copy_context, let_in, read_stages
from tests.packaging.installation import ROOT

UNCHECKED = (1).to_bytes(4, "little")
"""The flags of a compiled module that is never compared with its source: it is run without
one look at that (PEP 552)."""
LATE = re.compile(r"\b(apt-get|hatchling|gcc|curl|wget|git)\b|\bpip install\b")

STAGES = read_stages()
BUILD, SCANNER, IMAGEGATE = STAGES["build"], STAGES["scanner"], STAGES["imagegate"]
RUN = {"scanner": SCANNER, "imagegate": IMAGEGATE}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("context")
    copy_context(folder, BUILD)
    return folder


def test_all_that_is_copied_is_there_and_let_in() -> None:
    for copied in BUILD.all("COPY"):
        for source in copied.split()[:-1]:
            assert let_in(ROOT / source), source


def test_the_wheel_is_built_from_what_is_copied_and_is_whole(context: Path, wheel: Path) -> None:
    """The step of the Dockerfile itself, with the hatchling that is locked."""
    (step,) = (text for text in BUILD.all("RUN") if "hatchling" in text)
    command = step.partition(" &&")[0].split()
    assert command == ["tools/bin/hatchling", "build", "-t", "wheel"]
    command[0] = str(Path(sys.executable).with_name("hatchling"))
    subprocess.run(
        command, cwd=context, env=_environ(), capture_output=True, timeout=120, check=True
    )
    (built,) = (context / "dist").glob("*.whl")
    assert _names(built) == _names(wheel)
    # None is of the day of the build: the same sources make the same wheel.
    age = time.gmtime(int(BUILD.environ()["SOURCE_DATE_EPOCH"]))[:6]
    assert _dates(built) == {age}


def _environ() -> dict[str, str]:
    """Of the stage that builds, on this machine."""
    epoch = "SOURCE_DATE_EPOCH"
    return {"PATH": os.defpath, epoch: BUILD.environ()[epoch]}


def _dates(wheel: Path) -> set[tuple[int, ...]]:
    with zipfile.ZipFile(wheel) as archive:
        return {each.date_time for each in archive.infolist()}


def test_the_same_source_is_compiled_to_the_same_file_on_any_day(tmp_path: Path) -> None:
    """The step of the Dockerfile itself: no date of a source is written down, by which one that was
    copied would be taken for another, and the order of a set is no chance (before Python 3.11 it
    was)."""
    (step,) = (text for text in BUILD.all("RUN") if "compileall" in text)
    command = step.rpartition("&& ")[2].split()
    assert (command[0], command[-1]) == ("/opt/imagegate/bin/python", "/opt/imagegate/lib")
    module = tmp_path / "module.py"
    words = ", ".join(f'"word {number}"' for number in range(50))
    module.write_text(f"def known(word):\n    return word in {{{words}}}\n")

    def compiled(on: int, seed: str) -> bytes:
        os.utime(module, (on, on))
        run = [sys.executable, *command[1:-1], "-f", str(tmp_path)]
        environ = _environ() | {"PYTHONHASHSEED": seed}
        subprocess.run(run, env=environ, capture_output=True, timeout=120, check=True)
        (made,) = tmp_path.glob("__pycache__/module.*.pyc")
        return made.read_bytes()

    first = compiled(1_600_000_000, "1")
    assert first[4:8] == UNCHECKED
    assert compiled(1_700_000_000, "2") == first


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_pip_installs_nothing_that_is_not_locked() -> None:
    installs = [
        part for text in BUILD.all("RUN") for part in text.split("&&") if " install " in part
    ]
    assert len(installs) == 3
    for install in installs:
        locked = re.search(r"--require-hashes -r (requirements/\w+\.txt)$", install.strip())
        assert locked or "--no-index --no-deps dist/*.whl" in install, install
        assert not locked or (ROOT / locked[1]).is_file()


def test_each_step_that_asks_an_index_may_ask_a_mirror_and_keeps_nothing_of_its_login() -> None:
    asking = [
        step
        for step in re.findall(r"^RUN (?:.*\\\n)*.*$", DOCKERFILE.read_text(), re.MULTILINE)
        if "--require-hashes" in step
    ]
    assert len(asking) == 2
    for step in asking:
        for secret in ("pip.conf", "ca.crt"):
            assert f"--mount=type=secret,id={secret}" in step
    assert BUILD.environ()["PIP_CONFIG_FILE"] == "/run/secrets/pip.conf"


@pytest.mark.parametrize("name", RUN)
def test_an_image_that_runs_has_no_tools_to_build_with(name: str) -> None:
    assert [step for step in RUN[name].all("RUN") if LATE.search(step)] == []
    assert "--from=build /opt/imagegate /opt/imagegate" in RUN[name].all("COPY")
    assert "--without-pip /opt/imagegate" in BUILD.all("RUN")[0]


def test_the_two_images_differ_in_syft_and_in_what_they_are_called() -> None:
    syft = ("COPY", "--from=build /opt/syft /usr/local/bin/syft")
    assert SCANNER.steps.count(syft) == 1
    rest = [step for step in SCANNER.steps if step != syft]
    assert _unlabelled(rest) == _unlabelled(IMAGEGATE.steps)


def _unlabelled(steps: list[tuple[str, str]]) -> list[tuple[str, str]]:
    named = re.compile(r'image\.(title|description)="[^"]*"')
    return [(name, named.sub("", text) if name == "LABEL" else text) for name, text in steps]


def test_who_names_no_target_gets_the_image_of_all_services() -> None:
    assert list(STAGES)[-1] == "imagegate"


@pytest.mark.parametrize("name", RUN)
def test_it_runs_as_a_number_that_is_not_root_and_takes_a_command_of_ours(name: str) -> None:
    (user,) = RUN[name].all("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert RUN[name].all("ENTRYPOINT") == ['["imagegate"]']
    manifests = [path for path in (ROOT / "k8s").rglob("*") if path.suffix in {".yaml", ".tpl"}]
    assert any(f"runAsUser: {user.partition(':')[0]}" in path.read_text() for path in manifests)
    told = RUN[name].environ()
    assert told["PYTHONSAFEPATH"] == "1"
    assert told["PATH"].startswith("/opt/imagegate/bin:")


def test_each_of_its_bases_has_a_tag_and_can_come_from_elsewhere() -> None:
    text = DOCKERFILE.read_text()
    (base,) = re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"[a-z.]+/[a-z/]+", base)
    (tagged,) = {stage.base for stage in STAGES.values()}
    assert re.fullmatch(r"\$\{BASE\}:[\w.-]+", tagged)


def test_compose_builds_each_target_of_it_and_nothing_else() -> None:
    compose = yaml.safe_load((DOCKERFILE.parent / "compose.yaml").read_text())
    built = {
        (service["build"]["target"], name)
        for name, service in compose["services"].items()
        if "build" in service
    }
    assert {target for target, _ in built} == set(RUN)
    assert [name for target, name in built if target == "scanner"] == ["scanner"]
