"""The second try of a whole run: `tests/once_more.py`, on suites of a few lines."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.once_more import MOST, main

UNSTEADY = """\
from pathlib import Path

def test_unsteady():
    seen = Path(__file__).with_suffix(".seen")
    before = seen.exists()
    seen.touch()
    assert before
"""
BROKEN = "def test_broken():\n    assert False\n"
STEADY = "def test_steady():\n    pass\n"


def ran(folder: Path, **modules: str) -> Path:
    """A suite that was run once."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in modules.items():
        (folder / f"test_{name}.py").write_text(text)
    pytest_of_now = [sys.executable, "-m", "pytest", "-q"]
    subprocess.run(pytest_of_now, check=False, cwd=folder, capture_output=True)
    return folder


def test_what_passes_by_itself_is_named_and_nothing_else_is_asked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(ran(tmp_path, unsteady=UNSTEADY, steady=STEADY)) == 0
    said = capfd.readouterr().out
    assert "UNSTEADY: test_unsteady.py::test_unsteady: " in said
    assert "1 passed" in said


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        ({"broken": BROKEN, "unsteady": UNSTEADY}, "failed twice"),
        ({"steady": STEADY}, "no test failed"),
        ({"no_python": "def"}, "failed twice"),
        ({f"unsteady_{n}": UNSTEADY for n in range(MOST + 1)}, "4 tests failed, more than 3"),
    ],
    ids=["fails again", "none failed", "cannot be read", "too many"],
)
def test_everything_else_refuses(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], modules: dict[str, str], why: str
) -> None:
    assert main(ran(tmp_path, **modules)) == 1
    said = capfd.readouterr().out
    assert f"once more: {why}" in said
    assert "UNSTEADY" not in said
