"""The rows of Engine's evaluations, read by the names in their header."""

from collections.abc import Iterator
from typing import Any

from shared.adapters.anchore.reading import finding_of
from shared.adapters.anchore.wording import one_line
from shared.domain.verdict import Finding

NAMES = ("Gate", "Trigger", "Trigger_Id", "Gate_Action", "Check_Output")


def read_rows(result: dict[str, Any], problems: list[str]) -> Iterator[Finding]:
    """The findings in `detail.result`; what cannot be read is added to `problems`.

    Rows stand under the id of the image, beside `policy_data` and other parts that hold none. A
    whitelisted row has the action go.
    """
    if not result:
        return
    tables = _tables(result)
    if not tables:
        problems.append("the answer has no rows part")
    for table in tables:
        yield from _findings(table, problems)


def actions_of(result: dict[str, Any]) -> Iterator[str]:
    """What the rows of each table lead to, as Engine says beside them."""
    for table in _tables(result):
        if "final_action" in table:
            yield one_line(str(table["final_action"]))


def _tables(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        part["result"]
        for part in _values(result.get("result"))
        if isinstance(part, dict) and isinstance(part.get("result"), dict)
    ]


def _findings(table: dict[str, Any], problems: list[str]) -> Iterator[Finding]:
    header, rows = table.get("header"), table.get("rows")
    if not isinstance(header, list) or not isinstance(rows, list):
        problems.append("the answer's rows have no header")
        return
    if not set(NAMES) <= {name for name in header if isinstance(name, str)}:
        problems.append(f"the answer's rows do not name all of {', '.join(NAMES)}")
        return
    if table.get("row_count", len(rows)) != len(rows):
        problems.append(f"the answer has {len(rows)} rows and says {table.get('row_count')}")
    columns = [header.index(name) for name in NAMES]
    for row in rows:
        finding = _finding(row, columns, len(header))
        if finding is None:
            problems.append(f"the row {one_line(str(row), limit=80)} cannot be read")
        else:
            yield finding


def _finding(row: Any, columns: list[int], width: int) -> Finding | None:
    if not isinstance(row, list) or len(row) != width:
        return None
    return finding_of(*(str(row[column]) for column in columns))


def _values(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else []
