"""docs/operations.md holds what the code exports, neither less nor more, and what it says can be
pasted."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import promql_parser as promql
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from services.cli.__main__ import app as command_line
from tests.unit.docs.exported import (
    FOREIGN,
    ROOT,
    SERVICES,
    VALUES,
    Family,
    metrics_of,
    names_in_the_code,
)
from tests.unit.docs.operations import (
    PATH,
    alerts,
    anchors,
    entries,
    links,
    names,
    own_commands,
    patches,
    queries,
)

PARTS_OF_HISTOGRAMS = ("_bucket", "_count", "_sum")
STATUS = re.compile(r"[1-5](\d\d|\.\.)$")
OF_EVERY_SERIES = {"job", "instance"}
"""What Prometheus adds to each."""


def exported() -> dict[str, dict[str, Family]]:
    return {service: metrics_of(service).noted for service in SERVICES}


FAMILIES = {name: family for noted in exported().values() for name, family in noted.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_process_would_be_scraped_for_is_what_this_test_knows_of(service: str) -> None:
    metrics = metrics_of(service)
    scraped = {
        f"{family.name}_total" if family.type == "counter" else family.name: family.type
        for family in text_string_to_metric_families(metrics.render().decode())
    }
    assert scraped == {name: family.kind for name, family in metrics.noted.items()}


def test_no_metric_in_the_code_is_made_behind_the_back_of_this_test() -> None:
    assert names_in_the_code() == set(FAMILIES)


def test_every_metric_has_an_entry_and_every_entry_a_metric() -> None:
    assert set(entries()) == set(FAMILIES)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_an_entry_says_kind_services_and_labels(name: str) -> None:
    entry = entries()[name]
    assert entry.kind == FAMILIES[name].kind
    assert set(entry.services) == {of for of, noted in exported().items() if name in noted}
    assert tuple(entry.labels) == FAMILIES[name].labels


@pytest.mark.parametrize("name", sorted(name for name in FAMILIES if FAMILIES[name].labels))
def test_an_entry_names_each_value_of_each_label(name: str) -> None:
    said = entries()[name].labels
    if name == "imagegate_console_requests_total":
        assert {HTTPStatus(int(status)) for status in said.pop("status")}
    assert said == VALUES[name]


def test_everything_that_is_spelt_like_a_metric_of_ours_is_one() -> None:
    parts = {
        f"{name}{part}"
        for name, family in FAMILIES.items()
        for part in PARTS_OF_HISTOGRAMS
        if family.kind == "histogram"
    }
    assert names() - parts <= set(FAMILIES)


# Queries and alerts

SCALING = re.findall(
    r"^ +query: (.+)$",
    (ROOT / "k8s" / "chart" / "templates" / "worker.yaml").read_text(),
    re.MULTILINE,
)
"""By what KEDA is told to scale the workers."""
EXPRESSIONS = [*queries(), *(alert["expr"] for alert in alerts()), *SCALING]


def nodes(query: str) -> list[Any]:
    seen: list[Any] = []
    promql.walk(promql.parse(query), seen.append)
    return seen


def family_of(name: str) -> tuple[str, Family]:
    """The metric behind a name in a query, and that it was asked for in the right way."""
    for part in PARTS_OF_HISTOGRAMS:
        whole = name.removesuffix(part)
        if name.endswith(part) and FAMILIES.get(whole, Family("", ())).kind == "histogram":
            family = FAMILIES[whole]
            more = ("le",) if part == "_bucket" else ()
            return whole, Family("counter", (*family.labels, *more))
    if name in FOREIGN:
        return name, FOREIGN[name]
    assert FAMILIES[name].kind != "histogram", f"{name} itself has no series"
    return name, FAMILIES[name]


def selectors(query: str) -> Iterator[tuple[str, Any, bool]]:
    """Name, selector, and whether it asks for a range."""
    ranges = [
        node.vector_selector for node in nodes(query) if isinstance(node, promql.MatrixSelector)
    ]
    for selector in ranges:
        yield str(selector.name), selector, True
    told = [str(selector) for selector in ranges]
    for node in nodes(query):
        if isinstance(node, promql.VectorSelector):
            if str(node) in told:
                told.remove(str(node))
                continue
            yield str(node.name), node, False


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_a_query_can_be_parsed_and_asks_for_what_there_is(query: str) -> None:
    found = list(selectors(query))
    assert found
    for name, selector, _ in found:
        whole, family = family_of(name)
        for matcher in selector.matchers.matchers:
            assert matcher.name in {*family.labels, *OF_EVERY_SERIES}, f"{name}: {matcher}"
            known = VALUES.get(whole, {}).get(matcher.name)
            if known is not None:
                values = {value for value in matcher.value.split("|") if not STATUS.match(value)}
                assert values <= known, f"{name}: {matcher}"


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_a_query_asks_counters_for_their_growth_and_gauges_for_their_value(query: str) -> None:
    for name, _, ranged in selectors(query):
        assert ranged == (family_of(name)[1].kind == "counter"), name


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_a_query_groups_by_labels_that_are_there(query: str) -> None:
    for node in nodes(query):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            below = list(selectors(node.expr.prettify()))
            there = {label for name, _, _ in below for label in family_of(name)[1].labels}
            assert set(node.modifier.labels) <= there | OF_EVERY_SERIES, node.prettify()


def test_workers_are_scaled_by_two_queries() -> None:
    assert len(SCALING) == 2


def test_alerts_have_a_name_a_severity_and_a_place_to_read_on() -> None:
    rules = alerts()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert promql.parse_duration(rule.get("for", "1m"))
        file, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert ROOT / file == PATH
        assert anchor in anchors(), rule["alert"]


# Commands and links


def command_of(words: list[str]) -> tuple[TyperCommand, list[str]]:
    """The command that is called, and its arguments; AssertionError for one that is none."""
    command = get_command(command_line)
    while isinstance(command, TyperGroup):
        assert words, "a group of commands is no command"
        assert words[0] in command.commands, words[0]
        command, words = command.commands[words[0]], words[1:]
    assert isinstance(command, TyperCommand)
    return command, words


@pytest.mark.parametrize("words", own_commands(), ids=" ".join)
def test_a_command_of_ours_exists_with_its_options(words: list[str]) -> None:
    command, arguments = command_of(words)
    options = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in arguments if word.startswith("-")} <= options


def test_the_ways_to_stop_enforcing_fit_the_manifests() -> None:
    example = ROOT / "k8s" / "examples" / "enforce-webhooks.yaml"
    manifests = yaml.safe_load_all(example.read_text())
    configurations = {one["metadata"]["name"]: one for one in manifests if one}
    assert patches()
    for name, operations in patches():
        for operation in operations:
            *way, last = operation["path"][1:].split("/")
            place = configurations[name]
            for step in way:
                place = place[int(step)] if isinstance(place, list) else place[step]
            if operation["op"] == "add":
                assert isinstance(place, list)
                assert last == "-"
            else:
                assert operation["op"] == "replace"
                assert last in place
                assert type(place[last]) is type(operation["value"])


@pytest.mark.parametrize("link", sorted(set(links())))
def test_a_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    if path:
        assert not re.match(r"\w+:", path), "what is needed at night is in the repository"
        assert (PATH.parent / path).exists()
    else:
        assert anchor in anchors()
