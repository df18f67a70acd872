"""Signed exceptions in files: what goes into the folder that webhooks read."""

import os
import shlex
from pathlib import Path
from tempfile import NamedTemporaryFile

from services.cli.break_glass.operator import NotSigned
from shared.ports.exceptions import MAX_SEALED

SUFFIX = ".exception"


def check_name(path: Path) -> None:
    """Raises NotSigned for a file that no webhook would read, or that is there already."""
    if path.suffix != SUFFIX:
        raise NotSigned(f"webhooks read files *{SUFFIX} only: --out {path.with_suffix(SUFFIX)}")
    if path.exists():
        raise NotSigned(f"{path} is there already and is not overwritten: name another file")


def write(path: Path, sealed: bytes) -> None:
    """A whole file that everybody may read, where there is none: it holds no secret, and webhooks
    may read the folder at any moment."""
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
            file.write(sealed + b"\n")
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            path.hardlink_to(file.name)
    except OSError as error:
        raise NotSigned(f"cannot write {path}: {_reason(error)}") from error


def next_steps(path: Path, when: str) -> tuple[str, ...]:
    """What to do with a file that was written; `when`: from when on it counts."""
    file, manager = shlex.quote(str(path)), shlex.quote(path.name)
    return (
        f"written: {path}. {when} the folder that webhooks read (IMAGEGATE_EXCEPTIONS).",
        "In Kubernetes that is some two minutes after",
        f"  kubectl -n imagegate create configmap imagegate-exceptions --from-file={file} "
        "--dry-run=client -o yaml | "
        f"kubectl apply --server-side --field-manager={manager} -f -",
    )


def read(path: Path) -> bytes:
    """The line of a file; raises NotSigned."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SEALED + 2)
    except OSError as error:
        raise NotSigned(f"cannot read {path}: {_reason(error)}") from error
    line = content.rstrip(b"\r\n")
    if len(line) > MAX_SEALED:
        raise NotSigned(f"{path} is larger than {MAX_SEALED} bytes, as no signed exception is")
    return line


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown error").lower()
