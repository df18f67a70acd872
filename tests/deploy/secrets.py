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


def shell_blocks(instructions: Path) -> list[str]:
    """The blocks of a page that are for a shell to run."""
    parts = instructions.read_text().split("```sh\n")[1:]
    return [part.partition("```")[0] for part in parts]


def make_cluster_secrets(folder: Path, instructions: Path) -> None:
    """Run, in `folder`, the first shell block of docs/install.md."""
    block, *_ = shell_blocks(instructions)
    subprocess.run(
        ["/bin/sh", "-euc", block],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:{os.defpath}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
