"""What Helm tells who installs the chart."""

import pytest

from tests.deploy.chart import ANCHORE, Values, notes

OWN_RULES: Values = ANCHORE | {"rulesConfigMap": "own-rules"}
NOTHING_REFUSED = "none is refused"
BACK_TO_AUDIT = "Nothing but warnings"
MODES = (
    "mode audit in `default` and in each rule of rules.yaml in ConfigMap own-rules, "
    "without the rules that deny or only add"
)


def told(values: Values) -> str:
    """On one line."""
    return " ".join(notes(values).split())


def test_audit_refuses_nothing_by_the_charts_own_rules() -> None:
    said = told(ANCHORE | {"enforcement": "audit"})
    assert (
        f"{NOTHING_REFUSED} but for an image that is no reference, or what cannot be read" in said
    )
    assert BACK_TO_AUDIT in said
    assert "mode audit in" not in said


def test_audit_refuses_what_the_operators_own_rules_refuse_and_that_is_told() -> None:
    said = told(OWN_RULES | {"enforcement": "audit"})
    assert NOTHING_REFUSED not in said
    assert f"For none to be refused: {MODES}" in said


@pytest.mark.parametrize("enforcement", ["audit", "enforce"])
def test_the_way_back_to_audit_is_through_the_operators_own_rules(enforcement: str) -> None:
    said = told(OWN_RULES | {"enforcement": enforcement})
    assert f"{BACK_TO_AUDIT}, all the same with imagegate in place: {MODES}" in said
    assert "--set enforcement=audit" in said


@pytest.mark.parametrize("values", [ANCHORE, OWN_RULES])
def test_where_nobody_is_asked_nothing_is_said_of_what_is_refused(values: Values) -> None:
    said = told(values | {"enforcement": "none"})
    assert "no pod is judged" in said
    assert "For none to be refused" not in said
    assert NOTHING_REFUSED not in said


@pytest.mark.parametrize(
    ("more", "noted"),
    [
        ({}, True),
        ({"rules": {"allowRegistries": ["docker.io"]}}, False),
        ({"rulesConfigMap": "own-rules"}, False),
        ({"enforcement": "audit"}, False),
    ],
)
def test_who_enforces_and_takes_images_from_everywhere_is_told(more: Values, noted: bool) -> None:
    said = told(ANCHORE | {"enforcement": "enforce"} | more)
    assert ("rules.allowRegistries is empty" in said) is noted


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://anchore.scanners.svc:8228", "anchore.scanners.svc"),
        ("https://anchore.scanners", "anchore.scanners"),
        ("http://Anchore.scanners.svc/v%1?a=b", "anchore.scanners.svc"),
        ("http://anchore.example.com", ""),
        ("http://10.0.0.1:8228", ""),
        ("http://[fd00::1]:8228", ""),
    ],
)
def test_a_server_whose_host_looks_like_a_namespace_is_told(url: str, named: str) -> None:
    """Also of an address that no parser of URLs takes: nobody is kept from installing by it."""
    said = told(ANCHORE | {"anchore": {"url": url}})
    assert ("WARNING" in said) is bool(named)
    assert f"WARNING: anchore.url names {named}" in said or not named
