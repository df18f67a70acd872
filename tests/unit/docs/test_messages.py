"""What docs/operations.md quotes is said by the code, in these words: people search for them.

In quotes stands what imagegate says; what other programs say stands as code. Three dots or a number
stand for what differs from case to case.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.unit.docs.exported import ROOT
from tests.unit.docs.operations import quotes

VARIES = "…"


def alike(text: str) -> str:
    """The same for all cases of a message."""
    return re.sub(r"\.\.\.|\d+(?:\.\d+)?", VARIES, text)


def texts_of(path: Path) -> Iterator[str]:
    """Each string of a module, but for what explains it to its readers."""
    tree = ast.parse(path.read_text())
    explains = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in explains:
                yield text
            case ast.JoinedStr(values=parts):
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "..." for part in parts
                )


@cache
def said() -> str:
    """All that the code may say, a line each."""
    modules = [path for room in ("services", "shared") for path in (ROOT / room).rglob("*.py")]
    return "\n".join(alike(text) for path in modules for text in texts_of(path))


@pytest.mark.parametrize("quote", sorted(set(quotes())))
def test_what_is_quoted_is_said_by_the_code_in_these_words(quote: str) -> None:
    assert alike(quote) in said()


def test_what_the_code_does_not_say_is_not_taken_for_said() -> None:
    assert alike("its namespace has 20 new images being analysed") not in said()
    assert texts_of.__doc__ not in set(texts_of(Path(__file__)))
