"""An image as Anchore has it, whichever dialect told of it."""

import msgspec

from shared.ports.scanner import Analysis

STATES = {
    "not_analyzed": Analysis.WAITING,
    "analyzing": Analysis.RUNNING,
    "analyzed": Analysis.DONE,
    "analysis_failed": Analysis.FAILED,
}
"""`analyzing` may go back to `not_analyzed` in v2 (docs/design/anchore-v2.md 2, only read): that
is one more wait."""


class ImageRecord(msgspec.Struct, frozen=True):
    """What we read of an image record."""

    digest: str
    status: str
    account: str | None = None
    tags: tuple[str, ...] = ()
    """The full tags that it was submitted under."""
    dockerfile_mode: str | None = None
    """`Actual`, `Guessed`, or None before the analysis says."""
    dockerfiles: tuple[str, ...] = ()
    """In base64, one a tag: guessed, or as it was sent."""

    def named(self, tag: str) -> bool:
        """Whether it was submitted under this full tag."""
        return tag in self.tags

    @property
    def with_dockerfile(self) -> bool | None:
        """Whether its own Dockerfile was sent along; None before the analysis says."""
        return None if self.dockerfile_mode is None else self.dockerfile_mode == "Actual"

    def was_given(self, dockerfile: str) -> bool:
        """Whether this very Dockerfile (base64) was sent before; else it is guessed."""
        return self.dockerfile_mode == "Actual" and dockerfile in self.dockerfiles
