"""Engine's records of images and of what happened to them (docs/design/anchore-engine.md 2, 4)."""

from typing import Any

import msgspec

from shared.adapters.anchore.wording import skopeo_reason
from shared.ports.scanner import Analysis

STATES = {
    "not_analyzed": Analysis.WAITING,
    "analyzing": Analysis.RUNNING,
    "analyzed": Analysis.DONE,
    "analysis_failed": Analysis.FAILED,
}


class _Metadata(msgspec.Struct):
    dockerfile_mode: str | None = None


class _Content(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _Detail(msgspec.Struct):
    dockerfile: str | None = None
    fulltag: str | None = None


class ImageRecord(msgspec.Struct):
    """What we read of an image record; every answer about images is an array of these."""

    imageDigest: str
    analysis_status: str
    userId: str | None = None
    image_content: _Content = msgspec.field(default_factory=_Content)
    image_detail: list[_Detail] = msgspec.field(default_factory=list)

    def named(self, tag: str) -> bool:
        """Whether it was submitted under this full tag."""
        return any(detail.fulltag == tag for detail in self.image_detail)

    @property
    def with_dockerfile(self) -> bool | None:
        """Whether its own Dockerfile was sent along; None before the analysis says."""
        mode = self.image_content.metadata.dockerfile_mode
        return None if mode is None else mode == "Actual"

    def was_given(self, dockerfile: str) -> bool:
        """Whether this very Dockerfile (base64) was sent before; else it is guessed."""
        return self.image_content.metadata.dockerfile_mode == "Actual" and any(
            detail.dockerfile == dockerfile for detail in self.image_detail
        )


def failed_analyses(body: Any) -> list[dict[str, Any]]:
    """The events of failed analyses, newest first."""
    results = body.get("results") if isinstance(body, dict) else None
    events = [
        result["event"]
        for result in (results if isinstance(results, list) else [])
        if isinstance(result, dict) and isinstance(result.get("event"), dict)
    ]
    failed = [
        event
        for event in events
        if event.get("type") == "user.image.analysis.failed"
        and isinstance(event.get("details"), dict)
    ]
    return sorted(failed, key=lambda event: str(event.get("timestamp", "")), reverse=True)


def analysis_reason(message: str) -> str:
    """What Engine was doing, and what went wrong: without the command line in between."""
    doing, found, _ = message.partition("Error encountered in skopeo operation")
    return f"{doing}{skopeo_reason(message)}" if found else message
