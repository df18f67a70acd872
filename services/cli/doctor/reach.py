"""In which namespaces imagegate is asked: webhooks choose them by labels, each by its own selector.

Selectors are held against the namespaces that there are, and against one that somebody may make
tomorrow, so that it does not matter how they are written.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from services.cli.doctor.admission import NAME_LABEL, Hook

Labels: TypeAlias = Mapping[str, str]
Places: TypeAlias = Mapping[str, Labels]
"""Labels of namespaces, by their names."""

TOMORROW = "a new namespace"
"""Stands for one without labels, that nobody has named anywhere; no real one is called so."""

PODS = ("CREATE", "pods")


def places_of(hooks: Iterable[Hook], namespaces: Places) -> dict[str, Labels]:
    """Those that there are, those that selectors name, and the one of tomorrow."""
    named = {
        value
        for hook in hooks
        for each in hook.namespace_selector.match_expressions or ()
        if each.key == NAME_LABEL
        for value in each.values or ()
    }
    names = sorted({*named, *namespaces})
    return {name: {**namespaces.get(name, {}), NAME_LABEL: name} for name in (*names, TOMORROW)}


def asking(hooks: Iterable[Hook], operation: str, resource: str) -> tuple[Hook, ...]:
    """Those that are asked about it, somewhere."""
    return tuple(hook for hook in hooks if hook.covers(operation, resource))


def within(hooks: Iterable[Hook], labels: Labels) -> tuple[Hook, ...]:
    """Those of them that are asked in a namespace with these labels."""
    return tuple(hook for hook in hooks if hook.namespace_selector.selects(labels))


def exempt_from(hooks: Iterable[Hook], namespaces: Places) -> frozenset[str]:
    """The namespaces in which no new pod is judged, TOMORROW among them; where nobody asks about
    pods at all, none is told."""
    hooks = tuple(hooks)
    judging = asking(hooks, *PODS)
    return frozenset(
        name
        for name, labels in places_of(hooks, namespaces).items()
        if judging and not within(judging, labels)
    )


def labels_that_choose(hooks: Iterable[Hook]) -> frozenset[str]:
    """The keys of labels, other than the name, by which a namespace is asked about or is not:
    whoever may label it decides."""
    selectors = [hook.namespace_selector for hook in hooks]
    keys = {key for each in selectors for key in each.match_labels or ()}
    keys |= {part.key for each in selectors for part in each.match_expressions or ()}
    return frozenset(keys - {NAME_LABEL})
