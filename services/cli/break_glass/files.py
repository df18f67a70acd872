"""Signed exceptions in files: what goes into the folder that webhooks read."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from services.cli.break_glass.operator import NotSigned, Signed
from shared.ports.exceptions import MAX_SEALED

SUFFIX = ".exception"


def check_name(path: Path) -> None:
    """Raises NotSigned for a file that no webhook would read, or that is there already."""
    if path.suffix != SUFFIX:
        raise NotSigned(f"webhooks read files *{SUFFIX} only: --out {path.with_suffix(SUFFIX)}")
    if path.exists():
        raise NotSigned(f"{path} is there already and is not overwritten: name another file")


def write(path: Path, signed: Signed) -> None:
    """A whole file that everybody may read, where there is none: it holds no secret, and webhooks
    may read the folder at any moment."""
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
            file.write(signed.sealed + b"\n")
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            path.hardlink_to(file.name)
    except OSError as error:
        raise NotSigned(f"cannot write {path}: {_reason(error)}") from error


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
