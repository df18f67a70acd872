"""Who wanted a scan: carried by its steps, and kept in the verdict that came of it."""

from enum import StrEnum


class Why(StrEnum):
    """Who wanted it first."""

    ADMISSION = "admission"
    PREWARM = "prewarm"
    """A push event: nobody had asked yet."""
    REFRESH = "refresh"
    NOTICE = "notice"
    """Anchore says that a verdict may be another one now: only what was judged before is judged
    anew, fresh or not."""
    OPERATOR = "operator"
