"""The Dockerfile, as far as it can be judged without building the image."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from tests.packaging.installation import ROOT

DOCKERFILE = ROOT / "compose" / "Dockerfile"

LATE = re.compile(r"\b(apt-get|pip|hatchling|gcc|curl|wget|git)\b")


class Stage(msgspec.Struct):
    """FROM, and what follows it: (instruction, its text)."""

    base: str
    steps: list[tuple[str, str]]

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.steps if name == instruction]


def stages() -> list[Stage]:
    text = DOCKERFILE.read_text()
    joined = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    found: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            found.append(Stage(rest, []))
        elif found:
            found[-1].steps.append((instruction, " ".join(rest.split())))
    return found


BUILD, FINAL = stages()


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the build stage copies out of what .dockerignore lets in."""
    folder = tmp_path_factory.mktemp("context")
    for copied in BUILD.all("COPY"):
        *sources, target = copied.split()
        for source in sources:
            for path in sorted(_let_in(ROOT / source)):
                where = path.relative_to(ROOT) if (ROOT / source).is_dir() else Path(path.name)
                place = folder / ("" if (ROOT / source).is_dir() else target) / where
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
    return folder


def _let_in(path: Path) -> list[Path]:
    """The files of a path of the repository that a build may see: named after `!`, and no cache."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert (rules[0], rules[-1]) == ("*", "**/__pycache__")
    wanted = [found for rule in rules[1:-1] for found in ROOT.glob(rule.removeprefix("!"))]
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return [
        file
        for file in files
        if "__pycache__" not in file.parts
        and any(file == allowed or allowed in file.parents for allowed in wanted)
    ]


def test_all_that_is_copied_is_there_and_let_in(context: Path) -> None:
    for copied in BUILD.all("COPY"):
        for source in copied.split()[:-1]:
            assert _let_in(ROOT / source), source


def test_the_wheel_is_built_from_what_is_copied_and_is_whole(context: Path, wheel: Path) -> None:
    """The step of the Dockerfile itself, with the hatchling that is locked."""
    (step,) = (text for text in BUILD.all("RUN") if "hatchling" in text)
    command = step.partition(" &&")[0].split()
    assert command == ["tools/bin/hatchling", "build", "-t", "wheel"]
    command[0] = str(Path(sys.executable).with_name("hatchling"))
    subprocess.run(command, cwd=context, capture_output=True, timeout=120, check=True)
    (built,) = (context / "dist").glob("*.whl")
    assert _names(built) == _names(wheel)


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


def test_the_image_that_runs_has_no_tools_to_build_with() -> None:
    assert [step for step in FINAL.all("RUN") if LATE.search(step)] == []
    assert FINAL.all("COPY") == ["--from=build /opt/imagegate /opt/imagegate"]
    assert "--without-pip /opt/imagegate" in BUILD.all("RUN")[0]


def test_it_runs_as_a_number_that_is_not_root_and_takes_a_command_of_ours() -> None:
    (user,) = FINAL.all("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert FINAL.all("ENTRYPOINT") == ['["imagegate"]']
    assert {f"runAsUser: {user.partition(':')[0]}"} == {
        line.strip()
        for path in (ROOT / "k8s" / "base").glob("*.yaml")
        for line in path.read_text().splitlines()
        if "runAsUser" in line
    }
    (told,) = FINAL.all("ENV")
    assert "PYTHONSAFEPATH=1" in told.split()
    assert told.startswith("PATH=/opt/imagegate/bin:")


def test_its_base_has_a_tag_and_can_be_another() -> None:
    text = DOCKERFILE.read_text()
    (base,) = re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    assert re.fullmatch(r"[a-z.]+/[a-z/]+:[\w.-]+", base)
    assert [stage.base for stage in (BUILD, FINAL)] == ["${BASE} AS build", "${BASE}"]
