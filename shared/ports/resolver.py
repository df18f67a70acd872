"""What a registry says a reference is."""

from typing import Protocol

import msgspec

from shared.domain.pointer import Index
from shared.domain.reference import ImageReference


class Resolved(msgspec.Struct, frozen=True):
    """A reference's digest, and whether that is an index of several manifests."""

    digest: str
    is_index: bool


class DigestResolver(Protocol):
    """Asks the registry that the reference names, within the limits of the rules.

    Errors: TransientFailure (registry down, 5xx, 429 with retry_after, a hang),
    PermanentFailure with kind not_found, unauthorised, refused (not allowed by the rules, a
    redirect or token realm we do not follow), untrusted (a body that is not its digest, over
    our limits).
    """

    async def resolve(self, reference: ImageReference) -> Resolved:
        """One HEAD of the manifest by tag, or by digest where there is no tag."""

    async def index(self, reference: ImageReference, digest: str, *, asked_at: int) -> Index:
        """The manifests of an index, nested ones flattened, each body hashed."""

    async def manifest(self, reference: ImageReference, digest: str) -> tuple[str, bytes]:
        """Media type and body of one image, hashed against `digest`, with one meaning only."""
