"""The rules that docs/rules.md shows are rules, and those for operators do what it says."""

import re
import textwrap
from pathlib import Path

import pytest

from services.webhook.terms import Terms
from shared.adapters.rules_file.loading import load_rules
from shared.domain.reference import parse_reference
from shared.domain.scope import Occasion, RuleBook

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "rules.md").read_text()
SHOWN = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
OPERATORS = TEXT.partition("## Operators that compare images")[2].partition("\n## ")[0]


def file_with(text: str, folder: Path) -> Path:
    """A rules file: what stands in all of them is left out of some examples."""
    file = folder / "rules.yaml"
    head = "" if text.startswith("apiVersion") else "apiVersion: imagegate.dev/v1\n"
    file.write_text(head + text)
    return file


@pytest.mark.parametrize("text", SHOWN)
def test_every_example_is_read(text: str, tmp_path: Path) -> None:
    load_rules(file_with(text, tmp_path))


def test_the_file_that_the_specification_shows_is_read(tmp_path: Path) -> None:
    section = (DOCS / "design" / "behaviour.md").read_text().partition("\n## 4. ")[2]
    (text,) = re.findall(r"\n\n((?:    .*\n)+)\n", section.partition("\n## ")[0])
    whole = textwrap.dedent(text).replace("@sha256:...", f"@sha256:{'a' * 64}")
    rules = load_rules(file_with(whole, tmp_path))
    assert [rule.name for rule in rules.rules] == ["payments", "pci"]
    (exception,) = rules.exceptions
    assert exception.findings == ("CVE-2026-0001+openssl",)
    assert [entry.host for entry in rules.registries] == ["ghcr.io", "registry.corp:5000"]
    assert rules.allow_registries == ("registry.corp:5000", "docker.io")
    assert (rules.platforms, rules.placeholders) == (("linux/amd64",), ("auto",))


@pytest.mark.parametrize(
    ("image", "user", "left"),
    [
        ("ghcr.io/cloudnative-pg/postgresql:17.2", "cnpg-system:cnpg-manager", True),
        ("registry.corp/any/postgres:17", "cnpg-system:cnpg-manager", True),
        ("ghcr.io/cloudnative-pg/postgresql:17.2", "team:deployer", False),
        ("ghcr.io/zalando/spilo-17:4.0-p2", "kube-system:statefulset-controller", True),
        ("registry.opensource.zalan.do/acid/spilo-14:2.1-p3", "team:deployer", True),
        ("ghcr.io/zalando/postgres-operator:v1.14.0", "team:deployer", False),
    ],
)
def test_the_rules_for_operators_leave_their_tags_and_nobody_else_s(
    image: str, user: str, left: bool, tmp_path: Path
) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", OPERATORS, re.DOTALL)
    book = RuleBook(load_rules(file_with(text, tmp_path)))
    scope = book.scope(Occasion("databases", f"system:serviceaccount:{user}"))
    (rule,) = scope.ruling(parse_reference(image)).rules
    assert Terms().pins(rule) is not left
    assert Terms().wants_digest(rule) is not left


def test_each_operator_of_the_table_has_its_evidence() -> None:
    rows = [line for line in OPERATORS.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 6
    for row in rows:
        assert "https://github.com/" in row
