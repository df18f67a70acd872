"""Images out of a text: one a line."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

from services.cli.prewarm.found import Found, NotRead, Told
from shared.domain.errors import ImagegateError, InvalidReference
from shared.domain.reference import parse_reference

MAX_FILE = 16 * 1024 * 1024
STDIN = "-"


class UnreadableList(ImagegateError):
    """A file that cannot be read at all."""


class ImageList:
    """`Source`: a file, or standard input (`-`). Empty lines and what follows a `#` are passed
    over; a line that is no image is told as not read with its number, and the others go on."""

    def __init__(self, file: str, *, namespace: str) -> None:
        self._file = file
        self._namespace = namespace

    async def told(self) -> AsyncIterator[Told]:
        """A line each. Raises UnreadableList."""
        name = "standard input" if self._file == STDIN else self._file
        for number, line in enumerate(read_text(self._file).splitlines(), start=1):
            image = line.partition("#")[0].strip()
            if not image:
                continue
            try:
                parse_reference(image)
            except InvalidReference as error:
                yield NotRead(f"{name}:{number}", str(error))
            else:
                yield Found(self._namespace, (image,))


def read_text(file: str) -> str:
    """The text of a file, or of standard input (`-`). Raises UnreadableList."""
    try:
        if file == STDIN:
            content = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with Path(file).open("rb") as stream:
                content = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise UnreadableList(f"cannot read {file}: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise UnreadableList(f"{file} is larger than {MAX_FILE} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UnreadableList(f"{file} is not UTF-8: it is no text") from error
