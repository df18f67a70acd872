"""A file's content in, its one YAML document out, before anything of it is understood."""

from pathlib import Path

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent, Event, NodeEvent

from shared.adapters.rules_file.strict_yaml import Value
from shared.domain.errors import InvalidRules

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 16
MAX_VALUES = 50_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: it takes a fifteenth, beside reviews that go on."""


def read_content(path: Path) -> bytes:
    """What stands in a file, as far as it can be taken. Raises InvalidRules."""
    try:
        with path.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise InvalidRules(
            f"{path}: cannot be read: {reason}; write the file, or correct IMAGEGATE_RULES or "
            "whatever names it"
        ) from error


def read_yaml(content: bytes, *, file: str) -> Value:
    """The one document of a file's content, at most 1 MiB. Raises InvalidRules."""
    if len(content) > MAX_BYTES:
        raise InvalidRules(f"{file}: is larger than {MAX_BYTES} bytes")
    try:
        node = _compose(content.decode("utf-8-sig"), file)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidRules(f"{file}:{line}: is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InvalidRules(f"{file}:{line}: {error.problem or 'is not YAML'}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidRules(f"{file}: is not YAML: it has characters that YAML does not") from error
    if node is None:
        raise InvalidRules(f"{file}:1: is empty; an empty file decides nothing")
    return Value(node, file=file)


def _compose(text: str, file: str) -> yaml.Node | None:
    """The one document's nodes; what would let it grow is refused before they are made."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        problem = _problem(event, depth, count)
        if problem:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise InvalidRules(f"{file}:{line}: {problem}")
    return yaml.compose(text, Loader=_LOADER)


def _problem(event: Event, depth: int, count: int) -> str:
    if count > MAX_VALUES:
        return f"more than {MAX_VALUES} values"
    if isinstance(event, NodeEvent) and event.anchor:
        return "anchors and aliases are not taken; write the value out"
    if getattr(event, "tag", None):
        return "tags are not taken; write the value alone"
    return f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else ""
