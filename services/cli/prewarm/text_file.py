"""The text of a file, of a pipe or of standard input, and not more than anybody writes."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.domain.errors import ImagegateError

MAX_FILE = 16 * 1024 * 1024
STDIN = "-"


class UnreadableFile(ImagegateError):
    """A file that cannot be read at all."""


def read_text(file: str) -> str:
    """The text of a file, or of standard input (`-`). Raises UnreadableFile."""
    try:
        with _interruptible():
            content = _content(file)
    except OSError as error:
        raise UnreadableFile(f"cannot read {file}: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise UnreadableFile(f"{file} is larger than {MAX_FILE} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{file} is not UTF-8: it is no text") from error


def _content(file: str) -> bytes:
    if file == STDIN:
        return sys.stdin.buffer.read(MAX_FILE + 1)
    with Path(file).open("rb") as stream:
        return stream.read(MAX_FILE + 1)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends what waits for a pipe. asyncio's own handler has the task end at its next await,
    which a pipe that nobody fills never lets it reach."""
    before = signal.getsignal(signal.SIGINT)
    # Another thread is told of no signal, and who has them ignored wants them ignored.
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
