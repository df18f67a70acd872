"""How the programs of `make e2e` come to be: once, whole, and as the committed files say."""

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.kubernetes_parts import MODULES, VERSION, WHEEL, Batch, go_program, made

ADDRESS = re.compile(r"[a-z+]+://")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "go.sum"
    path.write_text("one")
    return path


def batch_of(source: Path, make: Callable[[Path], None]) -> Batch:
    return Batch(name="x", programs=("x",), sources=(source,), make=make, takes="no time")


def test_what_is_there_is_not_made_again(tmp_path: Path, source: Path) -> None:
    said: list[str] = []

    def make(folder: Path) -> None:
        (folder / "x").write_text("made")

    batch = batch_of(source, make)

    first = made(batch, tmp_path / "parts", said.append)
    again = made(batch, tmp_path / "parts", said.append)

    assert again == first
    assert (again / "x").read_text() == "made"
    assert len(said) == 1


def test_of_other_sources_it_is_made_anew_beside_the_old(tmp_path: Path, source: Path) -> None:
    batch = batch_of(source, lambda folder: None)
    old = made(batch, tmp_path / "parts")
    source.write_text("two")

    new = made(batch, tmp_path / "parts")

    assert new != old
    assert old.is_dir()


def test_two_at_once_make_it_once_and_both_have_it(tmp_path: Path, source: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    makings: list[Path] = []

    def make(folder: Path) -> None:
        makings.append(folder)
        begun.set()
        assert go_on.wait(timeout=30)

    batch, folders = batch_of(source, make), list[Path]()
    both = [
        threading.Thread(target=lambda: folders.append(made(batch, tmp_path / "parts")))
        for _ in range(2)
    ]
    for each in both:
        each.start()
    assert begun.wait(timeout=30)
    go_on.set()
    for each in both:
        each.join(timeout=30)

    assert len(makings) == 1
    assert len(folders) == 2
    assert folders[0] == folders[1]


def test_what_fails_half_way_leaves_nothing_that_could_be_taken_for_whole(
    tmp_path: Path, source: Path
) -> None:
    def make(folder: Path) -> None:
        (folder / "x").write_text("half")
        raise RuntimeError("no more room")

    with pytest.raises(RuntimeError, match="no more room"):
        made(batch_of(source, make), tmp_path / "parts")

    left = [path for path in (tmp_path / "parts").iterdir() if not path.name.endswith(".lock")]
    assert left == []


def test_without_go_one_line_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^go is not installed: .*go\.dev/doc/install") as told:
        go_program(str(tmp_path))
    assert "\n" not in str(told.value)


def test_the_server_is_of_the_version_that_the_module_asks_for() -> None:
    told = (MODULES / "kubernetes" / "go.mod").read_text()
    assert f"require k8s.io/kubernetes {VERSION}\n" in told


def test_the_committed_files_name_versions_and_hashes_and_no_address() -> None:
    files = [path for path in MODULES.rglob("*") if path.is_file()] + [WHEEL]
    assert {path.name for path in files} >= {"go.mod", "go.sum", "main.go", "tools.go"}
    assert [path for path in files if ADDRESS.search(path.read_text())] == []
