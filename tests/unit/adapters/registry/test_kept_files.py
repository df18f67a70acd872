"""Files with secrets: parsed once while they do not change."""

import os
from pathlib import Path

import pytest

from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.kept_files import KeptFiles, one_text
from shared.domain.errors import PermanentFailure
from shared.domain.reference import parse_reference
from shared.domain.rules import Rules

TARGET = Target.under(Rules(), parse_reference("ghcr.io/team/app:1"))


class Parsed:
    """Counts what it parses."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, content: bytes) -> str:
        self.times += 1
        return one_text(content)


def test_a_file_is_parsed_again_only_when_it_was_written_or_replaced(tmp_path: Path) -> None:
    file, parsed = tmp_path / "secret", Parsed()
    kept = KeptFiles(what="the file", limit=10, parse=parsed)
    file.write_text("old\n")
    assert [kept.read(str(file), target=TARGET) for _ in range(3)] == ["old"] * 3
    assert parsed.times == 1
    times = file.stat()
    (tmp_path / "new").write_text("new\n")
    os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (tmp_path / "new").replace(file)
    assert kept.read(str(file), target=TARGET) == "new"
    file.write_text("newer\n")
    assert kept.read(str(file), target=TARGET) == "newer"


def test_a_file_that_became_useless_is_not_remembered_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    kept = KeptFiles(what="the file", limit=10, parse=one_text)
    file.write_text("old")
    kept.read(str(file), target=TARGET)
    file.write_text("x" * 11)
    with pytest.raises(PermanentFailure, match="larger than 10 bytes"):
        kept.read(str(file), target=TARGET)
    file.unlink()
    with pytest.raises(PermanentFailure, match="cannot be read: no such file"):
        kept.read(str(file), target=TARGET)


def test_files_without_end_do_not_fill_the_memory(tmp_path: Path) -> None:
    parsed = Parsed()
    kept = KeptFiles(what="the file", limit=10, parse=parsed)
    for number in range(200):
        (tmp_path / str(number)).write_text("x")
        kept.read(str(tmp_path / str(number)), target=TARGET)
    parsed.times = 0
    for number in range(200):
        kept.read(str(tmp_path / str(number)), target=TARGET)
    assert parsed.times > 100
