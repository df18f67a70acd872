"""Takes the Dockerfile's steps without a builder: in a folder that stands for the image.

Its build stage is run as it stands, with other paths; of the stages that run only what they copy
is taken. What a builder alone can show (users, mounts, labels) stays unseen.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.packaging.dockerfile import Stage, copy_context, read_stages
from tests.packaging.images import Folder, Images

_OURS = re.compile(r"(?<![\w/}])/opt/")
_MOUNTED = re.compile(r"--mount=\S+ ")


def take_steps(scratch: Path, *, because: str) -> Images:
    """Both images, below `scratch`, an empty folder."""
    stages = read_stages()
    made, context = scratch / "build", scratch / "context"
    for folder in (made / "opt", context):
        folder.mkdir(parents=True)
    copy_context(context, stages["build"])
    environ = _environ(stages["build"])
    for step in stages["build"].all("RUN"):
        _run(_OURS.sub(f"{made}/opt/", _MOUNTED.sub("", step)), cwd=context, environ=environ)
    return Images(
        told=f"not built ({because}): its steps were run in a folder",
        imagegate=_copied(stages["imagegate"], made, scratch / "imagegate"),
        scanner=_copied(stages["scanner"], made, scratch / "scanner"),
    )


def _environ(stage: Stage) -> dict[str, str]:
    """The stage's, but where pip asks is this machine's own affair."""
    told = {name: value for name, value in stage.environ().items() if name != "PIP_CONFIG_FILE"}
    return {**os.environ, **told}


def _run(step: str, *, cwd: Path, environ: dict[str, str]) -> None:
    ran = subprocess.run(
        ["/bin/sh", "-c", step],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"{step} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}")


def _copied(stage: Stage, made: Path, root: Path) -> Folder:
    for copied in stage.all("COPY"):
        _, source, target = copied.split()
        place = root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (made / source.lstrip("/")).is_dir():
            shutil.copytree(made / source.lstrip("/"), place, symlinks=True)
        else:
            shutil.copy2(made / source.lstrip("/"), place)
    environ = {name: value for name, value in stage.environ().items() if name != "PATH"}
    return Folder(root, environ)
