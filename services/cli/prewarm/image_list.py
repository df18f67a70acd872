"""Images out of a text: one a line."""

from collections.abc import AsyncIterator

from services.cli.prewarm.found import Found, NotRead, Told
from services.cli.prewarm.text_file import STDIN, read_text
from shared.domain.errors import InvalidReference
from shared.domain.reference import parse_reference


class ImageList:
    """`Source`: a file, or standard input (`-`). Empty lines and what follows a `#` are passed
    over; a line that is no image is told as not read with its number, and the others go on."""

    def __init__(self, file: str, *, namespace: str) -> None:
        self._file = file
        self._namespace = namespace

    async def told(self) -> AsyncIterator[Told]:
        """A line each. Raises UnreadableFile."""
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
