"""Patterns of namespaces: globs that at least one namespace can fit."""

import re

from shared.domain.glob import Glob

MAX_LENGTH = 63
"""Of a namespace's name, a DNS-1123 label."""

PATTERN = r"[a-z0-9*?](?:[a-z0-9*?-]*[a-z0-9*?])?"

_PATTERN = re.compile(PATTERN)


def namespace_pattern(pattern: str) -> Glob:
    """Compile it. Raises ValueError, whose message is for whoever wrote it."""
    if not _PATTERN.fullmatch(pattern) or len(pattern.replace("*", "")) > MAX_LENGTH:
        raise ValueError(
            f"{pattern[:100]!r} can match no namespace: their names are 1 to {MAX_LENGTH} "
            "lower-case letters, digits and '-', which stands at neither end; wildcards are * and ?"
        )
    return Glob(pattern)
