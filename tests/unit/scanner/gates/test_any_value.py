"""Whatever stands in a rule and in an image: a rule is taken or refused, applied or not."""

from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.bundles.rules import Rule, read_rule
from services.scanner.bundles.shapes import WrittenParam, WrittenRule
from services.scanner.gates.params import Param
from services.scanner.gates.table import TRIGGERS
from services.scanner.gates.trigger import CannotEvaluate, Sight
from services.scanner.matching.finding import Finding, Matches, Score, Severity
from services.scanner.records import Package
from tests.unit.scanner.samples import FACTS, NOW

PLACES = [(gate, name) for gate, found in TRIGGERS.items() for name in found]
LINE = (
    "true false = != < > <= >= exists not_exists like not_like in not_in whitelist blacklist os "
    "non-os all high unknown critical exact minimum FROM EXPOSE USER size distro distro_version "
    "os_type layer_count 22 0 7.5 -1 500mb 22,80 CVE-2099-0001 root app openssl 1.0-1 .* a+$"
)
WORDS = tuple(LINE.split())
TEXT = st.one_of(st.sampled_from(WORDS), st.text(max_size=12))
OTHER_MOMENTS = st.one_of(st.none(), st.integers(0, 2 * NOW))


def taken(param: Param) -> list[str]:
    """The words that a parameter takes."""
    found = []
    for word in WORDS:
        with suppress(ValueError):
            param.read(word)
            found.append(word)
    return found


def values_of(param: Param) -> st.SearchStrategy[str]:
    """Three times in four one that it takes."""
    right = st.sampled_from(taken(param))
    return st.one_of(right, right, right, TEXT)


@st.composite
def written_rules(draw: st.DrawFn) -> WrittenRule:
    gate, name = draw(st.sampled_from(PLACES))
    trigger = TRIGGERS[gate][name]
    given_ = {
        param: draw(values_of(what))
        for param, what in trigger.params.items()
        if what.required or draw(st.booleans())
    }
    params = tuple(WrittenParam(param, value) for param, value in given_.items())
    return WrittenRule(gate, name, "STOP", params)


packages = st.builds(
    Package,
    name=TEXT,
    version=TEXT,
    type=st.sampled_from(["deb", "rpm", "apk", "alpm", "npm", "java-archive", ""]),
    source=TEXT,
    source_version=TEXT,
    location=TEXT,
)
findings = st.builds(
    Finding,
    id=TEXT,
    package=packages,
    severity=st.sampled_from(Severity),
    fixed=st.one_of(st.none(), TEXT),
    will_not_fix=st.booleans(),
    scores=st.lists(st.builds(Score, base=st.floats(0, 10), vector=TEXT), max_size=2).map(tuple),
    advisories=st.lists(TEXT, max_size=2).map(tuple),
    published=OTHER_MOMENTS,
    fix_published=OTHER_MOMENTS,
)


@st.composite
def sights(draw: st.DrawFn) -> Sight:
    image: dict[str, Any] = {
        "distro": draw(TEXT),
        "distro_version": draw(TEXT),
        "packages": tuple(draw(st.lists(packages, max_size=3))),
        "user": draw(TEXT),
        "user_id": draw(st.one_of(st.none(), st.integers(0, 2**40))),
        "exposed_ports": tuple(draw(st.lists(TEXT, max_size=2))),
        "dockerfile": "\n".join(
            f"{draw(st.sampled_from(['FROM', 'EXPOSE', 'USER', 'x']))} {draw(TEXT)}"
            for _ in range(3)
        ),
        "dockerfile_mode": draw(st.sampled_from(["Actual", "Guessed"])),
        "os_type": draw(TEXT),
        "size": draw(st.integers(0, 2**40)),
    }
    known = Matches(
        "any",
        "debian:12",
        draw(OTHER_MOMENTS),
        findings=tuple(draw(st.lists(findings, max_size=3))),
    )
    return Sight(msgspec.structs.replace(FACTS, **image), known, NOW)


@settings(max_examples=400, deadline=None)
@given(written_rules(), sights())
def test_a_rule_is_refused_with_reasons_or_applied(written: WrittenRule, sight: Sight) -> None:
    rule = read_rule(written)
    if not isinstance(rule, Rule):
        assert rule
        assert all(problem.details for problem in rule)
        return
    asked = (rule.values,) if rule.name == "package" else ()
    seen = msgspec.structs.replace(sight, asked=asked)
    data_rule = TRIGGERS["vulnerabilities"]["vulnerability_data_unavailable"]
    with suppress(CannotEvaluate):
        hits = [*rule.trigger.fire(seen, rule.values), *data_rule.fire(seen, {})]
        assert all(hit.message for hit in hits)
