"""YAML that somebody hands over: its documents, and the objects in them.

An alias stands for what its anchor holds, so a small file can stand for more than any machine has:
what a document stands for is counted before anything is made of it.
"""

import math
from collections.abc import Iterator
from typing import Any

import yaml

MOST = 4 * 1024 * 1024
"""Characters and nodes that the aliases of a document may stand for: the API server takes no object
of as much."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NoYaml(ValueError):
    """A text that is none, or whose aliases stand for too much; the message says what is wrong, on
    one line."""


class TooManyAliases(NoYaml):
    """Aliases that stand for too much."""


def documents(text: str | bytes) -> Iterator[Any]:
    """What each document holds, None for an empty one. Raises NoYaml at the first that is none."""
    try:
        loader = _LOADER(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                if _by_aliases(node) > MOST:
                    raise TooManyAliases(
                        f"its aliases stand for more than {MOST} characters: write out what is "
                        "meant, or make a file of each object"
                    )
                yield loader.construct_document(node)
        finally:
            loader.dispose()
    except NoYaml:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise NoYaml(" ".join(str(error).split())) from error


def objects_in(document: Any) -> Iterator[Any]:
    """The items of any kind of list each; anything else as it is. Of a List without a list what
    stands in its place, which is no object."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
        # A list of one kind need not say in each item what it is.
        default = {"apiVersion": document.get("apiVersion"), "kind": kind.removesuffix("List")}
        for item in document["items"]:
            whole = isinstance(item, dict) and kind != "List"
            yield from objects_in({**default, **item} if whole else item)
    elif kind == "List":
        yield document.get("items")
    else:
        yield document


def _by_aliases(document: yaml.Node) -> float:
    """How much longer it would be if all of it were written out; infinite where something holds
    itself."""
    known: dict[yaml.Node, float] = {}
    return _whole(document, known) - sum(map(_own, known))


def _whole(node: yaml.Node, known: dict[yaml.Node, float]) -> float:
    size = known.get(node)
    if size is None:
        known[node] = math.inf
        size = known[node] = _own(node) + sum(_whole(each, known) for each in _parts(node))
    return size


def _own(node: yaml.Node) -> int:
    return 1 + (len(node.value) if isinstance(node, yaml.ScalarNode) else 0)


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        yield from (each for pair in node.value for each in pair)
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value
