"""Who wanted a scan: carried by its steps, and kept in the verdict that came of it."""

from enum import StrEnum


class Why(StrEnum):
    """Who wanted it first."""

    ADMISSION = "admission"
    PREWARM = "prewarm"
    """A push event: nobody had asked yet."""
    REFRESH = "refresh"
    OPERATOR = "operator"
