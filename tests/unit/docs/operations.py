"""docs/operations.md as its tests read it: entries of metrics, queries, alerts, commands, links,
quotes.

An entry is a list item:

    - **`NAME{label,label}`** (KIND; SERVICE, SERVICE): what it means
      - `label`: `value`, `value`
      - `label`, values with a line each:
        - `value`, `value`: text
"""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from tests.unit.docs.exported import ROOT

PATH = ROOT / "docs" / "operations.md"
RUN = ("imagegate ", "docker compose exec ", "kubectl ")
"""How a command in running text begins."""

BEFORE = ("--", "console", "scanner", "webhook")
"""What stands before `imagegate` where it is run in a container."""

TEXT = PATH.read_text()

_ENTRY = re.compile(
    r"^- \*\*`(?P<name>\w+)(?:\{(?P<labels>[a-z_,]+)\})?`\*\*"
    r" \((?P<kind>\w+); (?P<services>[\w, ]+)\)(?P<text>.*\n(?:  .*\n)*)",
    re.MULTILINE,
)
_LABEL = re.compile(r"`(?P<label>[a-z_]+)`(?P<rest>.*)", re.DOTALL)
_VALUES = re.compile(r"^    - (`[^:]*`)(?::|$)", re.MULTILINE)
_CODE = re.compile(r"`([^`]+)`")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Entry(msgspec.Struct):
    """What the document says of one metric."""

    kind: str
    services: tuple[str, ...]
    labels: dict[str, set[str]]


def entries() -> dict[str, Entry]:
    """By the names of the metrics; a metric that is explained twice is an error."""
    found: dict[str, Entry] = {}
    for match in _ENTRY.finditer(TEXT):
        assert match["name"] not in found, f"{match['name']} is explained twice"
        labels: dict[str, set[str]] = {
            label: set() for label in (match["labels"] or "").split(",") if label
        }
        for item in re.split(r"^  - ", match["text"], flags=re.MULTILINE)[1:]:
            named = _LABEL.match(item)
            if named:
                assert named["label"] in labels, f"{match['name']} has no such label: {item}"
                labels[named["label"]] = _values(named["rest"])
        found[match["name"]] = Entry(match["kind"], tuple(match["services"].split(", ")), labels)
    return found


def _values(text: str) -> set[str]:
    """Those with a line each, if there are such; else all that are named."""
    own_lines = _VALUES.findall(text)
    values = _CODE.findall(" ".join(own_lines) if own_lines else text)
    return {value.strip('"') for value in values}


def names() -> set[str]:
    """Everything that is spelt like a metric of ours, wherever it stands."""
    return set(re.findall(r"\bimagegate_[a-z0-9_]+", TEXT))


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [text for kind, text in _FENCE.findall(TEXT) if kind == language]


def queries() -> list[str]:
    """Each PromQL expression to paste: they are parted by blank lines."""
    paragraphs = [part for block in blocks("promql") for part in re.split(r"\n\s*\n", block)]
    bare = [re.sub(r"^\s*#.*\n?", "", part, flags=re.MULTILINE).strip() for part in paragraphs]
    return [query for query in bare if query]


def alerts() -> list[dict[str, Any]]:
    """The rules of the example for Prometheus."""
    (block,) = (text for text in blocks("yaml") if text.startswith("groups:"))
    return [rule for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]


def shell_lines() -> Iterator[list[str]]:
    """Each command, in words: of the shell blocks, where continued lines are one, and what stands
    between backticks in running text and is none where it begins with nothing that we run."""
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    spans = [span for span in _CODE.findall(_FENCE.sub("", TEXT)) if span.startswith(RUN)]
    for line in lines + spans:
        words = shlex.split(line, comments=True)
        if words:
            yield words


def own_commands() -> list[list[str]]:
    """The arguments of each call of `imagegate`."""
    found = []
    for words in shell_lines():
        for place, word in enumerate(words):
            if word == "imagegate" and (place == 0 or words[place - 1] in BEFORE):
                found.append(words[place + 1 :])
    return found


def patches() -> list[tuple[str, list[dict[str, Any]]]]:
    """Which configuration each `kubectl patch` of the document changes, and how."""
    return [
        (words[3], json.loads(words[words.index("-p") + 1]))
        for words in shell_lines()
        if words[:2] == ["kubectl", "patch"] and "--type=json" in words
    ]


def anchors() -> set[str]:
    """The headings as GitHub links to them."""
    prose = _FENCE.sub("", TEXT)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> list[str]:
    """Where the document points."""
    return re.findall(r"\]\(([^)]+)\)", _FENCE.sub("", TEXT))


def quotes() -> list[str]:
    """What stands in quotes in running text, each on one line; one that does not end within its
    paragraph, item or row is an error."""
    prose = _CODE.sub("...", _FENCE.sub("", TEXT))
    found = []
    for part in re.split(r"\n\s*\n|\n\s*(?=[-|#]|\d+\. )", prose):
        pieces = " ".join(part.split()).split('"')
        assert len(pieces) % 2, f"a quote does not end: {part}"
        found += pieces[1::2]
    return found
