"""Builds the Dockerfile with Buildah, on a base made of Debian's packages; needs root.

No registry is asked: the base is what python:3.11-slim-bookworm is, as far as we use it. It, the
steps that did not change and what pip downloaded are kept in the user's cache folder, the base for
a month. pip asks where this machine's pip asks.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.packaging.dockerfile import DOCKERFILE, read_stages
from tests.packaging.images import Config, Container, Images
from tests.packaging.installation import ROOT

TARGETS = ("imagegate", "scanner")
EPOCH = 1_580_601_600
"""All that is built is as old as that: the same sources give the same layers."""
BASE = f"localhost/imagegate-base-{time.strftime('%Y-%m', time.gmtime())}"
_PACKAGES = "python3,python3-venv,ca-certificates"
_NOT_NEEDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")
"""As in Debian's slim images."""
_PIP_TAKES = ("index-url", "extra-index-url", "proxy", "trusted-host", "timeout", "retries")


def why_not() -> str | None:
    """What a build needs and this machine has not; None: it can be built here."""
    if os.geteuid() != 0:
        return "not root"
    missing = [name for name in ("buildah", "mmdebstrap", "unshare") if not shutil.which(name)]
    if missing:
        return f"no {', '.join(missing)}"
    ran = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "no right to mount" if ran.returncode else None


class Buildah(msgspec.Struct, frozen=True):
    """Buildah with a store of its own in `home`. Use it inside of `alone()`."""

    home: Path
    scratch: Path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else uses the store meanwhile; nothing of whoever was killed is left in it."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._run("rm", "--all")
            yield
            self._run("rm", "--all")
            # What went before this build, and every base of another month.
            self._run("rmi", "--prune")

    def version(self) -> str:
        return " ".join(self._run("--version").split()[:3])

    def make_base(self, tag: str) -> None:
        """Make the base where this month's is not there."""
        if self._run("images", "--quiet", "--filter", f"reference={BASE}:{tag}").strip():
            return
        self._run("rmi", "--all", "--force")
        context = self.scratch / "base"
        context.mkdir()
        excluded = [f"--dpkgopt=path-exclude={path}" for path in _NOT_NEEDED]
        suite = tag.rpartition("-")[2]
        options = ["--quiet", "--variant=minbase", f"--include={_PACKAGES}", *excluded]
        _call(["mmdebstrap", *options, suite, str(context / "base.tar")])
        (context / "Dockerfile").write_text("FROM scratch\nADD base.tar /\n")
        self._run("bud", "--quiet", "--tag", f"{BASE}:{tag}", str(context))

    def keeps_steps(self) -> bool:
        """Whether a step's result costs what it changes. By vfs, which goes anywhere, each would be
        a copy of everything."""
        driver = self._run("info", "--format", "{{.store.GraphDriverName}}").strip()
        return driver != "vfs"

    def build(self, target: str, *, layers: bool) -> str:
        """The id of an image; with `layers` each step is kept, and only what changed is done."""
        kept = f"--layers={str(layers).lower()}"
        options = [kept, "--pull-never", f"--timestamp={EPOCH}", f"--target={target}"]
        named = [f"--build-arg=BASE={BASE}", "--build-arg=REVISION=test", f"--tag={target}:test"]
        iid = self.scratch / f"{target}.iid"
        where = [f"--file={DOCKERFILE}", f"--iidfile={iid}", str(ROOT)]
        self._run("bud", *options, *named, *self._secrets(), *where)
        return iid.read_text().strip()

    def mounted(self, image: str) -> Container:
        """Its files, writable, until the end of `alone()`."""
        container = self.container(image)
        root = Path(self._run("mount", container).strip())
        described = json.loads(self._run("inspect", "--type", "image", image))["OCIv1"]
        config = msgspec.convert(described["config"], Config)
        du = _call(["du", "--summarize", "--bytes", "--one-file-system", str(root)])
        return Container(root, config, int(du.split()[0]))

    def container(self, image: str) -> str:
        return self._run("from", "--pull-never", image).strip()

    def run_in(self, container: str, *command: str) -> str:
        """`buildah run`: as the image's user, with its environment."""
        return self._run("run", container, "--", *command)

    def push_layout(self, image: str, folder: Path) -> str:
        """As `FOLDER:TAG`, an OCI layout."""
        self._run("push", "--disable-compression", image, f"oci:{folder}:test")
        return f"{folder}:test"

    def _secrets(self) -> list[str]:
        told = self.scratch / "pip.conf"
        cert, text = pip_configuration()
        told.write_text(text)
        secrets = {"pip.conf": str(told), **({"ca.crt": cert} if cert else {})}
        return [f"--secret=id={name},src={path}" for name, path in secrets.items()]

    def _run(self, *words: str) -> str:
        temporary = self.home / "tmp"
        temporary.mkdir(exist_ok=True)
        policy = self.home / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        own = [f"--root={self.home}/store", f"--runroot={self.home}/run"]
        signed = [f"--signature-policy={policy}"] if words[0] in {"bud", "from", "push"} else []
        command = ["buildah", *own, words[0], *signed, *words[1:]]
        return _call(command, TMPDIR=str(temporary), BUILDAH_ISOLATION="chroot")


def pip_configuration() -> tuple[str, str]:
    """The CA file of this machine's pip ("" for none), and a pip.conf with what pip is told here
    about where to ask, for a build that has the CA as a secret."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    lines = re.findall(r"^[\w:]+\.([\w-]+)='(.*)'$", _call(pip), re.MULTILINE)
    told = dict(lines)
    cert = told.get("cert", "")
    kept = [f"{name} = {told[name]}" for name in _PIP_TAKES if name in told]
    if cert:
        kept.append("cert = /run/secrets/ca.crt")
    return cert, "\n".join(["[global]", *kept, ""])


def _call(command: list[str], **environ: str) -> str:
    """What it prints. Raises RuntimeError with its last words."""
    told: Mapping[str, str] = {**os.environ, **environ}
    ran = subprocess.run(
        command,
        env=told,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if ran.returncode:
        said = "\n".join(f"{ran.stdout}\n{ran.stderr}".strip().splitlines()[-30:])
        raise RuntimeError(f"{' '.join(command)} ended with {ran.returncode}:\n{said}")
    return ran.stdout


class Built(msgspec.Struct, frozen=True):
    """What was built, and with what; `ids` and `containers` by target."""

    buildah: Buildah
    ids: dict[str, str]
    containers: dict[str, Container]

    @property
    def images(self) -> Images:
        told = f"built by {self.buildah.version()} on a base of Debian's packages"
        return Images(told, self.containers["imagegate"], self.containers["scanner"])


@contextmanager
def built(home: Path, scratch: Path) -> Iterator[Built]:
    """Both targets, until the end of the block."""
    buildah = Buildah(home, scratch)
    with buildah.alone():
        stages = read_stages()
        buildah.make_base(stages["build"].base.rpartition(":")[2])
        layers = buildah.keeps_steps()
        if layers:
            # It gets a name, so that its steps are still there the next time.
            buildah.build("build", layers=layers)
        ids = {target: buildah.build(target, layers=layers) for target in TARGETS}
        containers = {target: buildah.mounted(image) for target, image in ids.items()}
        yield Built(buildah, ids, containers)
