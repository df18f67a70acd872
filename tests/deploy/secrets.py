"""Makes the secrets of a deployment as its instructions say."""

import os
import subprocess
import sys
from pathlib import Path


def make_compose_secrets(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run secrets.sh in `folder`, a copy of compose/, with this interpreter for the image."""
    return subprocess.run(
        ["/bin/sh", str(folder / "secrets.sh"), *names],
        env={"PATH": os.defpath, "PYTHON": sys.executable, "PYTHONSAFEPATH": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def make_cluster_secrets(folder: Path, instructions: Path) -> None:
    """Run, in `folder`, the first shell block of docs/install.md."""
    block = instructions.read_text().partition("```sh\n")[2].partition("```")[0]
    subprocess.run(
        ["/bin/sh", "-euc", block],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:{os.defpath}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
