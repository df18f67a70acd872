"""Rules files for tests: a head, a body, and what reading them says."""

from pathlib import Path

import pytest

from shared.adapters.rules_file.loading import load_rules
from shared.domain.errors import InvalidRules
from shared.domain.rules import Rules

HEAD = "apiVersion: imagegate.dev/v1\n"


def read(file: Path, text: str | bytes) -> Rules:
    """The rules of a file with this content."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_rules(file)


def refused(file: Path, body: str, said: str, *, line: int | None = None) -> None:
    """That a file with this body is refused, with these words about that line."""
    where = rf"rules\.yaml:{line if line is not None else '[0-9]+'}: "
    with pytest.raises(InvalidRules, match=f"{where}.*{said}"):
        read(file, HEAD + body)
