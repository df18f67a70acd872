"""A Grafana dashboard of the queries in docs/operations.md: a row for each question, in its words.

Forms of Grafana's dashboard JSON model (schema version 39, Grafana 10.3 and newer).
"""

import re
from collections.abc import Iterable, Iterator
from string import ascii_uppercase
from typing import Any, NamedTuple

import msgspec

WIDE, HIGH = 12, 8
"""Of a panel, in Grafana's grid of 24 columns."""

SOURCE = {"type": "prometheus", "uid": "${source}"}


class Query(NamedTuple):
    """What a comment of the page says that it tells, and the expressions below it."""

    told: str
    expressions: list[str]


def questions(page: str) -> Iterator[tuple[str, list[Query]]]:
    """Each heading of the page's metrics with its queries; those without any are left out."""
    metrics = page.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    for section in re.split(r"^### ", metrics, flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        blocks = re.findall(r"^```promql\n(.*?)^```$", rest, flags=re.MULTILINE | re.DOTALL)
        queries = list(_queries(part for block in blocks for part in block.strip().split("\n\n")))
        if queries:
            yield heading, queries


def dashboard(page: str) -> str:
    """As JSON. `page` is the text of docs/operations.md."""
    panels: list[dict[str, Any]] = []
    top = 0
    for heading, queries in questions(page):
        panels.append(_row(heading, number=len(panels) + 1, top=top))
        top += 1
        for at, query in enumerate(queries):
            place = {"x": at % 2 * WIDE, "y": top + at // 2 * HIGH, "w": WIDE, "h": HIGH}
            panels.append(_panel(query, number=len(panels) + 1, place=place))
        top += (len(queries) + 1) // 2 * HIGH
    whole = {
        "uid": "imagegate",
        "title": "imagegate",
        "description": "The questions of imagegate's docs/operations.md, which tells what to do.",
        "tags": ["imagegate"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": panels,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n"


def _queries(parts: Iterable[str]) -> Iterator[Query]:
    """What has no comment belongs to what stands above it."""
    query = Query("", [])
    for part in parts:
        lines = part.split("\n")
        said = [line.removeprefix("#").strip() for line in lines if line.startswith("#")]
        if said:
            if query.expressions:
                yield query
            query = Query(" ".join(said), [])
        query.expressions.append("\n".join(line for line in lines if not line.startswith("#")))
    if query.expressions:
        yield query


def _row(title: str, *, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": 24, "h": 1}
    return {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}


def _panel(query: Query, *, number: int, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": query.told,
        "gridPos": place,
        "datasource": SOURCE,
        "targets": [
            {"refId": letter, "datasource": SOURCE, "expr": expression}
            for letter, expression in zip(ascii_uppercase, query.expressions, strict=False)
        ],
        "fieldConfig": {
            "defaults": {"min": 0, "custom": {"fillOpacity": 10, "showPoints": "never"}},
            "overrides": [],
        },
    }
