"""What Anchore's event log tells of an analysis that failed; nothing else tells why.

The same in both dialects (docs/design/anchore-engine.md 4; that v2's events have these types and
keys is taken over from v1, docs/design/anchore-v2.md 2)."""

from typing import Any

from shared.adapters.anchore.reading import objects, part
from shared.adapters.anchore.wording import skopeo_reason


def failed_analyses(body: Any) -> list[dict[str, Any]]:
    """The events of failed analyses, newest first."""
    results = body.get("results") if isinstance(body, dict) else None
    events = [part(result, "event") for result in objects(results)]
    failed = [
        event
        for event in events
        if event.get("type") == "user.image.analysis.failed" and part(event, "details")
    ]
    return sorted(failed, key=lambda event: str(event.get("timestamp", "")), reverse=True)


def analysis_reason(message: str) -> str:
    """What Anchore was doing, and what went wrong: without the command line in between."""
    doing, found, _ = message.partition("Error encountered in skopeo operation")
    return f"{doing}{skopeo_reason(message)}" if found else message
