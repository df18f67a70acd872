"""An image of ours, however it came about, and a way to run it."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

RUN_WITHIN = 700.0

_IN_A_CONTAINER = """
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
root=$1 how=$2 state=$3 user=$4; shift 4
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/tmp"
if [ -n "$state" ]; then mount --bind "$state" "$root/var/lib/imagegate"; fi
mount -o "remount,bind,$how" "$root"
exec chroot --userspec="$user" --groups= "$root" "$@"
"""
"""As a runtime does it: its own mounts and process numbers, /tmp and perhaps one volume to write
to. The network is this machine's, so that servers on the loopback address can be reached."""


class Config(msgspec.Struct, frozen=True, rename="pascal"):
    """`config` of an OCI image's configuration."""

    user: str
    env: list[str]
    entrypoint: list[str]
    cmd: list[str]
    labels: dict[str, str]


class Image(Protocol):
    """`/opt/imagegate` of it is at `root / "opt/imagegate"`."""

    @property
    def root(self) -> Path: ...

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        ...

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """`docker run IMAGE WORDS`."""
        ...


class Container(msgspec.Struct, frozen=True):
    """A whole image, with its files mounted at `root`."""

    root: Path
    config: Config
    size: int

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.execute([*self.config.entrypoint, *words], environ=environ)

    def execute(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        state: Path | None = None,
        read_only: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """`docker run --read-only --tmpfs /tmp --volume STATE:/var/lib/imagegate`."""
        return subprocess.run(
            self.command_line(command, environ=environ, state=state, read_only=read_only),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN,
            check=False,
        )

    def command_line(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        state: Path | None = None,
        read_only: bool = True,
    ) -> list[str]:
        """For Popen; whoever kills it has killed the whole container."""
        told = [*self.config.env, *(f"{name}={value}" for name, value in (environ or {}).items())]
        alone = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c"]
        where = [str(self.root), "ro" if read_only else "rw", str(state or ""), self.config.user]
        return [*alone, _IN_A_CONTAINER, "sh", *where, "env", "-i", *told, *command]


class Folder(msgspec.Struct, frozen=True):
    """No image, but the folder that the steps of the Dockerfile make on this machine."""

    root: Path
    environ: Mapping[str, str]

    @property
    def size(self) -> int:
        return sum(path.lstat().st_size for path in self.root.rglob("*") if path.is_file())

    def run(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        state = self.root / "state"
        state.mkdir(exist_ok=True)
        path = {"PATH": f"{self.root}/opt/imagegate/bin:{os.defpath}"}
        return subprocess.run(
            ["imagegate", *words],
            env={**self.environ, **path, "IMAGEGATE_STATE": str(state), **environ},
            executable=shutil.which("imagegate", path=path["PATH"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_WITHIN,
            check=False,
        )


class Images(msgspec.Struct, frozen=True):
    """Both of them. `told` says by whom they were made."""

    told: str
    imagegate: Image
    scanner: Image
