"""The repository, and a venv in which its wheel is installed."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Installation(NamedTuple):
    """A venv with the wheel of imagegate, and this interpreter's packages behind it."""

    python: Path
    script: Path
    site_packages: Path

    def run(
        self, command: Sequence[str], *, cwd: Path, safe_path: bool
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in `cwd` with an environment that says nothing about Python paths."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment |= {"COLUMNS": "120", "NO_COLOR": "1"}
        if safe_path:
            environment["PYTHONSAFEPATH"] = "1"
        return subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
