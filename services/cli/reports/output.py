"""Where a report goes: standard output or a file, and nothing else goes there."""

import errno
import os
import sys
import tempfile
from enum import StrEnum
from io import StringIO
from pathlib import Path

import msgspec
from rich.console import Console

from services.cli.command import FALLBACK_WIDTH, console
from services.cli.reports.document import json_document
from services.cli.reports.report import ScanReport
from services.cli.reports.sarif import sarif_document
from services.cli.reports.text import print_report
from shared.domain.errors import ImagegateError


class ReportForm(StrEnum):
    """How a report is written."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"


class CannotWrite(ImagegateError):
    """The file that was named cannot be written."""


class Delivery(msgspec.Struct, frozen=True):
    """How a report is written, where to, and how much of it."""

    form: ReportForm = ReportForm.TABLE
    file: Path | None = None
    """None: standard output."""
    everything: bool = False

    @property
    def wanted(self) -> bool:
        """Whether somebody asked for a report at all."""
        return self.form is not ReportForm.TABLE or self.file is not None or self.everything

    def check(self) -> None:
        """Find out before the work whether its report can be written. Raises CannotWrite."""
        if self.file is None:
            return
        try:
            if self.file.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            with tempfile.TemporaryFile(dir=self.file.parent, prefix=f".{self.file.name}."):
                pass
        except OSError as error:
            raise _cannot_write(self.file, error) from error


def deliver(report: ScanReport, delivery: Delivery, *, seconds: float | None) -> None:
    """Write it to the file, whole or not at all, else to standard output. Raises CannotWrite."""
    if delivery.form is ReportForm.JSON:
        content = json_document(report)
    elif delivery.form is ReportForm.SARIF:
        content = sarif_document(report)
    else:
        content = _text(report, delivery, seconds)
    if delivery.file is None:
        to_stdout(content)
    else:
        _to_file(delivery.file, content)


def to_stdout(content: bytes) -> None:
    """A reader that has gone away, as `head` does, changes no exit code."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Else the interpreter tries once more at its end, and its exit code says so.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _text(report: ScanReport, delivery: Delivery, seconds: float | None) -> bytes:
    in_file = Console(width=FALLBACK_WIDTH, no_color=True, file=StringIO())
    out = console() if delivery.file is None else in_file
    with out.capture() as captured:
        print_report(out, report, everything=delivery.everything, seconds=seconds)
    text = "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())
    encoding = sys.stdout.encoding if delivery.file is None else "utf-8"
    return text.encode(encoding or "utf-8", errors="backslashreplace")


def _to_file(file: Path, content: bytes) -> None:
    """Whoever reads the file finds the old one or the new one, and never a part of it."""
    try:
        descriptor, path = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                os.fchmod(stream.fileno(), 0o644)
            os.replace(path, file)
        except BaseException:
            os.unlink(path)
            raise
    except OSError as error:
        raise _cannot_write(file, error) from error


def _cannot_write(file: Path, error: OSError) -> CannotWrite:
    return CannotWrite(
        f"cannot write {file}: {error.strerror}; name a file in a folder that this user may write"
    )
