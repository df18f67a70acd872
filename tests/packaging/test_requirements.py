"""The lock files hold versions and hashes, and never where something was downloaded from."""

import re
from pathlib import Path

import pytest

from tests.packaging.installation import ROOT

REQUIREMENTS = sorted((ROOT / "requirements").iterdir())
LOCKS = [path for path in REQUIREMENTS if path.suffix == ".txt"]
# Formats that record the address of each download, and client files that name an index.
ADDRESS_KEEPERS = re.compile(
    r"(uv|poetry|pdm|Pipfile)\.lock|pylock(\..+)?\.toml|package-lock\.json|yarn\.lock"
    r"|pnpm-lock\.yaml|\.npmrc|\.pypirc|pip\.conf|uv\.toml"
)
ADDRESS = re.compile(r"[a-z+]+://|^\s*(-i|-f|--(extra-)?index-url|--find-links)\b", re.MULTILINE)


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.name)
def test_a_requirements_file_names_no_address(path: Path) -> None:
    assert ADDRESS.findall(path.read_text()) == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_one_version_and_a_hash(path: Path) -> None:
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", text.strip()) if entry]

    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==\S+ ", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_what_runs_imagegate_is_locked_alike_for_running_and_for_testing() -> None:
    runtime, build, dev = (
        set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / "requirements" / name).read_text(), re.M))
        for name in ("runtime.txt", "build.txt", "dev.txt")
    )

    assert runtime | build <= dev


def test_no_file_of_the_project_is_a_lock_that_records_download_addresses() -> None:
    folders = [ROOT, *(path for path in ROOT.iterdir() if _is_ours(path))]
    names = [
        path
        for folder in folders
        for path in (folder.iterdir() if folder == ROOT else folder.rglob("*"))
        if ADDRESS_KEEPERS.fullmatch(path.name)
    ]

    assert names == []


def _is_ours(path: Path) -> bool:
    return path.is_dir() and (not path.name.startswith(".") or path.name in {".ci", ".github"})
