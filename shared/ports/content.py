"""An image's own bytes, for the scanner."""

from collections.abc import AsyncIterator
from typing import Protocol

from shared.domain.reference import ImageReference


class ImageContent(Protocol):
    """Reads manifests and blobs; errors as `shared.ports.resolver.DigestResolver`."""

    async def manifest(self, reference: ImageReference, digest: str) -> tuple[str, bytes]:
        """(media type, body), hashed against `digest`, at most 4 MiB."""

    def blob(
        self, reference: ImageReference, digest: str, *, max_bytes: int
    ) -> AsyncIterator[bytes]:
        """The blob in chunks, hashed on the way: raises PermanentFailure (untrusted) at its end
        if it is not `digest`, or as soon as it is over `max_bytes`."""
