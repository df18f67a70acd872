"""docs/security.md: what it says is shown stands there, and each threat is answered."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "security.md").read_text()
LINKS = sorted(set(re.findall(r"\]\(([^)\s]+)\)", TEXT)))
THREATS = 18
"""Of the Kubernetes SIG Security's threat model for admission control."""


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^a-z0-9 _-]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("link", [link for link in LINKS if not link.startswith("https://")])
def test_a_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (DOCS / path).resolve() if path else DOCS / "security.md"
    assert target.exists()
    if anchor:
        assert anchor in anchors(target.read_text())


def test_each_threat_is_answered_and_in_its_order() -> None:
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", TEXT, re.M)
    assert [int(number) for number, _, _ in rows] == list(range(1, THREATS + 1))
    assert all(len(answer.strip()) > 10 for _, _, answer in rows)


@pytest.mark.parametrize("name", re.findall(r"`(imagegate_[a-z_]+)", TEXT))
def test_a_metric_that_is_named_is_explained(name: str) -> None:
    assert f"**`{name}" in (DOCS / "operations.md").read_text()
