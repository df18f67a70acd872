"""Engine's way to write a time."""

from datetime import UTC, datetime


def timestamp(at: int) -> str:
    """ISO 8601 in seconds, from ms since the epoch."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp_us(at: int) -> str:
    """ISO 8601 in microseconds, as events have it."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
