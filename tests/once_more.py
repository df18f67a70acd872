"""Asks the tests that failed a moment ago once more, by themselves: `python -m tests.once_more`.

For the whole run on a machine that others share (docs/adr/0034). Exit code 0 where all of them
passed then, and each is named; 1 where one did not, where more than `MOST` had failed, and where
what failed was no test.
"""

import json
import subprocess
import sys
from pathlib import Path

MOST = 3
"""Tests that a machine may fail in one run; more have another reason."""
FAILED = Path(".pytest_cache/v/cache/lastfailed")
"""Where pytest notes which tests failed last: in the folder that it ran in."""


def main(folder: Path) -> int:
    noted = folder / FAILED
    names = list(json.loads(noted.read_text())) if noted.exists() else []
    if not names:
        return _refused("no test failed, so nothing is asked once more: what failed stands above")
    if len(names) > MOST:
        return _refused(f"{len(names)} tests failed, more than {MOST}: none is asked once more")
    _say("once more, by themselves: " + ", ".join(names))
    asked = subprocess.run([sys.executable, "-m", "pytest", "-q", *names], cwd=folder, check=False)
    if asked.returncode != 0:
        return _refused("failed twice")
    for name in names:
        _say(f"UNSTEADY: {name}: failed beside the others, passed by itself. Mend it.")
    return 0


def _refused(why: str) -> int:
    _say(f"once more: {why}")
    return 1


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
