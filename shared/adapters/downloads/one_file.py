"""What one call makes of a server's answers: what is asked for, what fits, and when it is whole."""

import aiohttp
import msgspec
from yarl import URL

from shared.adapters.downloads import headers
from shared.adapters.downloads.failures import Broken
from shared.adapters.downloads.partial import Note, Partial
from shared.ports.downloads import Download, DownloadFailed, Told


class OneFile:
    """One call of `fetch`."""

    def __init__(self, url: URL, partial: Partial, *, max_bytes: int, told: Told) -> None:
        self.url = url
        self.partial = partial
        self.max_bytes = max_bytes
        self.told = told

    def begun(self) -> Note | None:
        """What can be gone on with: a beginning of a state that has a strong name."""
        begun = self.partial.begun()
        if begun is None or not begun.etag:
            return None
        return begun if begun.length is None or self.partial.size < begun.length else None

    def conditions(self, begun: Note | None, whole: tuple[Note, Download] | None) -> dict[str, str]:
        """The headers that have nothing sent again."""
        conditions: dict[str, str] = {}
        if begun:
            conditions |= {"Range": f"bytes={self.partial.size}-", "If-Range": begun.etag}
        if whole and whole[0].etag:
            conditions["If-None-Match"] = whole[0].etag
        elif whole and whole[0].last_modified:
            conditions["If-Modified-Since"] = whole[0].last_modified
        return conditions

    def state_of(self, response: aiohttp.ClientResponse, begun: Note | None) -> Note | None:
        """Which state's bytes the body holds, what is not of it thrown away; None: no file's.

        Raises Broken, DownloadFailed.
        """
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadFailed(
                f"{self.url}: it is sent packed anew, so that it cannot be checked; have the "
                "server, or the proxy before it, leave it as it is"
            )
        if response.status == 200:
            length = response.content_length
            if length is not None and length > self.max_bytes:
                raise self.too_large()
            note = headers.note_of(str(self.url), response.headers, length=length)
            self.partial.begin(note)
            return note
        if response.status == 416 or (response.status == 206 and begun is None):
            self.partial.discard()
            raise Broken(f"{self.url}: the server sends a part that does not fit")
        if response.status != 206 or begun is None:
            return None
        return self._going_on(response, begun)

    def finish(self, note: Note, *, resumed: bool) -> Download:
        """All of it has come. Raises Broken, DownloadFailed."""
        size = self.partial.size
        if note.length is not None and size < note.length:
            raise Broken(f"{self.url}: {size} of {note.length} bytes came")
        wrong = self.partial.wrong_hash(note)
        if (note.length is not None and size > note.length) or wrong:
            self.partial.discard()
            problem = (
                f"{self.url}: what came is not what the server says it is ({wrong or 'length'})"
            )
            if resumed:
                raise Broken(f"{problem}; from the beginning")
            raise DownloadFailed(
                f"{problem}; does a proxy on the way change it, or does it change right now? "
                "Try again later"
            )
        return self.partial.finish(note)

    def too_large(self) -> DownloadFailed:
        """Nothing of it is kept: it would be too large the next time, too."""
        self.partial.discard()
        return DownloadFailed(
            f"{self.url}: larger than {self.max_bytes} bytes, which is more than is taken; check "
            "the URL"
        )

    def _going_on(self, response: aiohttp.ClientResponse, begun: Note) -> Note:
        sent = headers.range_of(response.headers)
        fits = sent is not None and sent[0] == self.partial.size
        fits = fits and headers.strong_etag(response.headers) in ("", begun.etag)
        if sent is None or not fits or begun.length not in (None, sent[1]):
            self.partial.discard()
            raise Broken(f"{self.url}: the server sends a part that does not fit")
        if sent[1] > self.max_bytes:
            raise self.too_large()
        return msgspec.structs.replace(begun, length=sent[1])
