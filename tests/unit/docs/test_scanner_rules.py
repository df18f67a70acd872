"""docs/design/scanner.md names every rule that the scanner knows, and none that it does not."""

import re
from pathlib import Path

import pytest

from services.scanner.gates.table import ENDED, NOT_HERE, TRIGGERS

PAGE = (Path(__file__).parents[3] / "docs" / "design" / "scanner.md").read_text()
SECTION = PAGE.partition("## Rules that it knows")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| `([a-z_]+/[a-z_]+)` \|([^|]*)\|", SECTION, re.MULTILINE))


def test_the_table_has_the_triggers_there_are() -> None:
    assert set(ROWS) == {f"{gate}/{name}" for gate, found in TRIGGERS.items() for name in found}


@pytest.mark.parametrize("name", sorted(ROWS))
def test_each_row_names_the_parameters_and_marks_those_that_are_required(name: str) -> None:
    gate, _, trigger = name.partition("/")
    params = TRIGGERS[gate][trigger].params
    told = set(re.findall(r"`([a-z0-9_]+)`", ROWS[name]))
    marked = set(re.findall(r"\*\*`([a-z0-9_]+)`\*\*", ROWS[name]))

    assert told >= {one for one in params if not one.endswith("_score_comparison")}
    assert told <= params.keys()
    assert marked == {one for one, param in params.items() if param.required}


def test_what_is_not_there_is_named() -> None:
    named = set(re.findall(r"`([a-z_/]+)`", SECTION))

    assert {f"{gate}/{trigger}".removesuffix("/") for gate, trigger in NOT_HERE} <= named
    assert not named & ENDED.keys()
