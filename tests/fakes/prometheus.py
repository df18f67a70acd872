"""A Prometheus that scrapes when it is told to, and evaluates alerts over what it has.

It knows the forms that alerts of ours are made of which are tested by it, and refuses all others.
As the real one it sees no growth in the first sample of a series; it extrapolates nothing, so
growth is what was counted.
"""

import operator
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import promql_parser as promql
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]

STALE = 300.0
"""Seconds after which a sample is no value of now any more."""

_OVER: Mapping[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "min": min}
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}


class FakePrometheus:
    """Of one process, in seconds of any clock."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._samples: dict[str, dict[Labels, list[tuple[float, float]]]] = {}

    def scrape(self, at: float, exposition: bytes) -> None:
        """Keep what a process exports at that time."""
        self._times.append(at)
        for family in text_string_to_metric_families(exposition.decode()):
            for sample in family.samples:
                series = self._samples.setdefault(sample.name, {})
                series.setdefault(frozenset(sample.labels.items()), []).append((at, sample.value))

    def fires(self, rule: Mapping[str, Any]) -> set[Labels]:
        """With which labels that alert fires, at some scrape or other."""
        expression = promql.parse(rule["expr"])
        patience = promql.parse_duration(rule.get("for", "0s")).total_seconds()
        since: dict[Labels, float] = {}
        fired: set[Labels] = set()
        for at in self._times:
            true = self._vector(expression, at)
            since = {labels: since.get(labels, at) for labels in true}
            fired |= {labels for labels, began in since.items() if at - began >= patience}
        return fired

    def _vector(self, node: Any, at: float) -> Vector:
        match node:
            case promql.VectorSelector():
                samples = self._selected(node, at, STALE)
                return {labels: kept[-1][1] for labels, kept in samples.items()}
            case promql.Call() if node.func.name == "increase":
                return self._growth(node.args[0], at)
            case promql.AggregateExpr():
                return self._aggregated(node, at)
            case promql.BinaryExpr() if str(node.op) == "unless" and _plain(node):
                without = self._vector(node.rhs, at)
                found = self._vector(node.lhs, at)
                return {labels: value for labels, value in found.items() if labels not in without}
            case promql.BinaryExpr() if isinstance(node.rhs, promql.NumberLiteral):
                holds, limit = _COMPARED[str(node.op)], node.rhs.val
                found = self._vector(node.lhs, at)
                return {labels: value for labels, value in found.items() if holds(value, limit)}
        raise NotImplementedError(node.prettify())

    def _growth(self, node: Any, at: float) -> Vector:
        found = self._selected(node.vector_selector, at, node.range.total_seconds())
        return {
            labels: sum(
                after - before if after >= before else after
                for (_, before), (_, after) in pairwise(samples)
            )
            for labels, samples in found.items()
            if len(samples) > 1
        }

    def _aggregated(self, node: Any, at: float) -> Vector:
        if node.modifier is not None and node.modifier.type != promql.AggModifierType.By:
            raise NotImplementedError(node.prettify())
        by = set(node.modifier.labels) if node.modifier is not None else set()
        groups: dict[Labels, list[float]] = {}
        for labels, value in self._vector(node.expr, at).items():
            kept = frozenset((name, text) for name, text in labels if name in by)
            groups.setdefault(kept, []).append(value)
        return {labels: _OVER[str(node.op)](values) for labels, values in groups.items()}

    def _selected(
        self, selector: Any, at: float, seconds: float
    ) -> dict[Labels, list[tuple[float, float]]]:
        found = {}
        for labels, samples in self._samples.get(selector.name, {}).items():
            within = [sample for sample in samples if at - seconds < sample[0] <= at]
            if within and all(_fits(each, dict(labels)) for each in selector.matchers.matchers):
                found[labels] = within
        return found


def _plain(node: Any) -> bool:
    """Whether all labels are compared."""
    return node.modifier is None or node.modifier.matching is None


def _fits(matcher: Any, labels: Mapping[str, str]) -> bool:
    text = labels.get(matcher.name, "")
    match matcher.op:
        case promql.MatchOp.Equal:
            return bool(text == matcher.value)
        case promql.MatchOp.NotEqual:
            return bool(text != matcher.value)
        case promql.MatchOp.Re:
            return re.fullmatch(matcher.value, text) is not None
    return re.fullmatch(matcher.value, text) is None
