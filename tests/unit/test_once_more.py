"""The second try of a whole run: `tests/once_more.py`, on suites of a few lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.once_more import MOST, main

REPOSITORY = Path(__file__).parents[2]
UNSTEADY = """\
from pathlib import Path

def test_unsteady():
    seen = Path(__file__).with_suffix(".seen")
    before = seen.exists()
    seen.touch()
    assert before
"""
BROKEN = "def test_broken():\n    assert False\n"
ENDS = "import pytest\n\ndef test_ends():\n    pytest.exit('over')\n"
STEADY = "def test_steady():\n    pass\n"


def ran(folder: Path, *options: str, **modules: str) -> Path:
    """A suite that was run once."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    noting = "from tests.conftest import pytest_sessionfinish as pytest_sessionfinish\n"
    (folder / "conftest.py").write_text(noting)
    for name, text in modules.items():
        (folder / f"test_{name}.py").write_text(text)
    asked = [sys.executable, "-m", "pytest", "-q", *options]
    environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    subprocess.run(asked, check=False, cwd=folder, env=environ, capture_output=True)
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
        ({"steady": STEADY}, "what failed was no test"),
        ({"no_python": "def"}, "what failed was no test"),
        ({"unsteady": UNSTEADY, "no_python": "def"}, "what failed was no test"),
        (
            {"unsteady": UNSTEADY, "z_ends": ENDS},
            "what failed was no test, or the run did not come",
        ),
        ({f"unsteady_{n}": UNSTEADY for n in range(MOST + 1)}, "4 tests failed, more than 3"),
    ],
    ids=[
        "fails again",
        "none failed",
        "cannot be read",
        "one cannot be read",
        "broke off",
        "too many",
    ],
)
def test_everything_else_refuses(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], modules: dict[str, str], why: str
) -> None:
    assert main(ran(tmp_path, **modules)) == 1
    said = capfd.readouterr().out
    assert f"once more: {why}" in said
    assert "UNSTEADY" not in said
