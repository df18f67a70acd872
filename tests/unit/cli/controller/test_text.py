"""The rules file that an import writes, with what is to be said above each rule."""

from pathlib import Path

import pytest
import yaml

from services.cli.rules.controller.files import Controller, Selector
from services.cli.rules.controller.importing import import_controller
from services.cli.rules.controller.text import rules_text
from shared.adapters.rules_file.loading import parse_rules
from shared.domain.rules import Mode


def selector(number: int, value: str, mode: str = "policy", kind: str = "image") -> Selector:
    return Selector(number=number, kind=kind, key="name", value=value, mode=mode, user="shop")


EVERY = selector(9, ".*")


def text(*selectors: Selector, source: str = "config.json") -> str:
    return rules_text(import_controller(Controller(selectors), accounts={}), source=source)


@pytest.mark.parametrize("sign", ["\n", "\r", "\r\n", "\x85", "\u2028", "\u2029", "\0"])
def test_nothing_of_a_selector_or_a_name_of_a_file_gets_out_of_a_remark(sign: str) -> None:
    bad = f"x{sign}default: {{mode: allow}}"
    selectors = (
        selector(1, bad),
        selector(2, bad, mode=bad),
        selector(3, bad, kind=bad),
        selector(4, ".*", mode=bad),
    )
    written = text(*selectors, source=bad)
    assert parse_rules(written.encode(), path=Path("rules.yaml")).default.mode is Mode.DENY
    assert list(yaml.safe_load(written)) == ["apiVersion", "rules", "default"]


def test_each_rule_stands_below_what_it_was_and_what_became_of_it() -> None:
    written = text(selector(1, r"^quay\.io/"), selector(2, "nginx", mode="breakglass"), EVERY)
    lines = [line.strip() for line in written.splitlines()]
    kept = lines.index(r"# selector 1, image ~ ^quay\.io/: policy shop")
    assert lines[kept + 1] == "- name: selector 1"
    stricter = lines.index("# selector 2, image ~ nginx: breakglass shop")
    assert lines[stricter + 1].startswith("#   stricter: it may match by a tag")
    assert lines[stricter + 2] == "- name: selector 2"
    assert lines[lines.index("default:") - 1] == "#   it matches everything: `default`"


def test_only_the_first_remark_names_the_state() -> None:
    written = text(selector(1, "^gcr.io/"), selector(2, ".*", mode="analysis"))
    first, second = (line for line in written.splitlines() if line.startswith("  #   "))
    assert first.startswith("  #   stricter: a dot without")
    assert second.startswith("  #   it may match by a tag")


def test_without_rules_there_is_no_list_of_rules() -> None:
    assert "rules:" not in text(EVERY)
    assert "rules:" not in text(selector(1, "^$"), EVERY)
    assert yaml.safe_load(text())["default"] == {"mode": "enforce"}


def test_what_no_selector_matches_stands_above_default() -> None:
    lines = text(selector(1, r"^quay\.io/")).splitlines()
    assert lines[lines.index("default:") - 2 : lines.index("default:")] == [
        "# no selector matches",
        "#   stricter: what no selector matches was let in",
    ]


def test_long_patterns_and_many_alike_are_read_as_they_were_meant() -> None:
    long = "/".join(["localhost", *("a-part-of-a-path" for _ in range(12))])
    names = [f"^{long}/{each}/" for each in "abc"]
    written = text(*(selector(at, each) for at, each in enumerate(names, 1)), EVERY)
    rules = parse_rules(written.encode(), path=Path("rules.yaml")).rules
    patterns = [str(rule.match.images[0].pattern) for rule in rules]
    assert patterns == [f"{long}/{each}/**" for each in "abc"]
    assert "&" not in written


def test_a_long_expression_is_told_to_the_end() -> None:
    long = "|".join(f"^registry{at}/" for at in range(60))
    assert f"# selector 1, image ~ {long}: policy shop" in text(selector(1, long), EVERY)
