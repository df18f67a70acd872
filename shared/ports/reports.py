"""What a scanner found in an image, beside its verdict."""

from typing import Protocol

from shared.domain.image_report import DataGroup, ImageAbout, ImagePackage, Vulnerabilities


class ImageReports(Protocol):
    """Reads what one Anchore server has of an image that it has analysed.

    docs/design/anchore-engine.md, docs/design/anchore-v2.md 12. `account` empty: the account of the
    credentials. Answers are bounded in size; texts are handed on as they were sent.
    Errors: TransientFailure (down, 5xx, 429, a hang, an answer that is too large or cannot be
    read), PermanentFailure of kind not_found (the image is not known there, or not analysed),
    misconfigured (credentials, rights, an unknown account), untrusted (the answer is about another
    image) or refused (any other request that it does not take).
    """

    async def about(self, digest: str, *, account: str = "") -> ImageAbout:
        """What the image is."""

    async def packages(self, digest: str, *, account: str = "") -> tuple[ImagePackage, ...]:
        """Every package in it, of whatever type, in the scanner's order."""

    async def vulnerabilities(self, digest: str, *, account: str = "") -> Vulnerabilities:
        """What the scanner's data says of it now, and of each found once."""

    async def data(self) -> tuple[DataGroup, ...]:
        """Which vulnerability data the scanner has, and how old it is."""
