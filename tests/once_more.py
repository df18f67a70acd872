"""Asks the tests that failed a moment ago once more, by themselves: `python -m tests.once_more`.

For the whole run on a machine that others share (docs/adr/0034). Exit code 0 where all of them
passed then, and each is named; 1 where one did not, where more than `MOST` had failed, where what
failed was no test, and where the run had not come to its end.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MOST = 3
"""Tests that a machine may fail in one run; more have another reason."""
CACHE = Path(".pytest_cache/v")
"""What pytest keeps of its last run, in the folder that it ran in."""
FAILED = "cache/lastfailed"
"""Which tests failed."""
ENDED = "imagegate/ended"
"""How it ended: tests/conftest.py notes pytest's exit code."""
SOME_FAILED = 1
"""pytest's exit code where all were asked and some failed; of every other end nobody knows what was
not asked."""


def main(folder: Path) -> int:
    names = list(_noted(folder, FAILED) or ())
    ended = _noted(folder, ENDED)
    if ended != SOME_FAILED or not names or not all("::" in name for name in names):
        return _refused("what failed was no test, or the run did not come to its end: see above")
    if len(names) > MOST:
        return _refused(f"{len(names)} tests failed, more than {MOST}: none is asked once more")
    _say("once more, by themselves: " + ", ".join(names))
    asked = subprocess.run([sys.executable, "-m", "pytest", "-q", *names], cwd=folder, check=False)
    if asked.returncode != 0:
        return _refused("failed twice")
    for name in names:
        _say(f"UNSTEADY: {name}: failed beside the others, passed by itself. Mend it.")
    return 0


def _noted(folder: Path, what: str) -> Any:
    noted = folder / CACHE / what
    return json.loads(noted.read_text()) if noted.exists() else None


def _refused(why: str) -> int:
    _say(f"once more: {why}")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
