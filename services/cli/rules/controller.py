"""The configuration of Anchore's own admission controller, as rules of ours.

Read as the controller reads it (github.com/anchore/kubernetes-admission-controller, `admission/`):
selectors in order, the first that matches decides, what none matches is let in; keys and values
are regular expressions that match anywhere. Only what a glob says just as well is taken over; the
rest is left out, and said.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from shared.domain.errors import ImagegateError

MAX_BYTES = 1024 * 1024

SELECTORS = ("policyselectors", "selectors")
"""Keys, of today and of before, in lower case."""

_WILD = "\0"
_META = frozenset("\\^$.|?*+()[]{}")
_HOST = re.compile(r"[a-z0-9.-]+(?::[0-9]+)?")


class UnreadableController(ImagegateError):
    """A file that is no configuration of that controller; the message says why."""


class Imported(msgspec.Struct, frozen=True):
    """What became of a configuration."""

    rules: str
    """A rules file."""
    left_out: tuple[str, ...]
    """Each selector that was not taken over, and why."""


class _Untold(Exception):
    """This cannot be said in rules; the text says why."""


def import_controller(path: Path) -> Imported:
    """Raises UnreadableController."""
    config = _folded(_read(path))
    if not isinstance(config, dict) or not any(key in config for key in SELECTORS):
        raise UnreadableController(
            f"{path}: holds no policySelectors, so it is no configuration of that controller: give "
            "its config.json, or what the chart's values say of it"
        )
    selectors: Any = next((config[key] for key in SELECTORS if config.get(key)), [])
    if not isinstance(selectors, list) or not all(isinstance(each, dict) for each in selectors):
        raise UnreadableController(f"{path}: policySelectors must be a list of mappings")
    rules: list[dict[str, object]] = []
    left_out: list[str] = []
    default: dict[str, object] | None = None
    for number, selector in enumerate(selectors, start=1):
        try:
            rule = _rule(selector)
        except _Untold as why:
            left_out.append(f"selector {number}: {why}")
            continue
        if not rule["match"]:
            # Nothing behind it was ever reached.
            default = {key: part for key, part in rule.items() if key != "match"}
            left_out += [
                f"selector {after}: never reached, selector {number} matches everything"
                for after in range(number + 1, len(selectors) + 1)
            ]
            break
        rules.append({"name": f"selector {number}", **rule})
    return Imported(_document(rules, default), tuple(left_out))


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableController(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise UnreadableController(f"{path}: is larger than {MAX_BYTES} bytes")
    try:
        # JSON is YAML too, and the chart's values hold the same in YAML.
        return yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UnreadableController(f"{path}: is neither JSON nor YAML") from error


def _folded(value: Any) -> Any:
    """With keys in lower case: Go's decoder takes them in any."""
    if isinstance(value, dict):
        return {str(key).lower(): _folded(part) for key, part in value.items()}
    return [_folded(part) for part in value] if isinstance(value, list) else value


def _rule(selector: dict[str, Any]) -> dict[str, object]:
    """The rule of one selector, without its name."""
    where = selector.get("resourceselector") or selector.get("selector") or {}
    reference = selector.get("policyreference") or {}
    if not isinstance(where, dict) or not isinstance(reference, dict):
        raise _Untold("it is not written as the controller reads it")
    kind = str(where.get("resourcetype", "")).lower()
    key, value = (str(where.get(f"selector{part}regex", "")) for part in ("key", "value"))
    match = _match(kind, key, value)
    mode = str(selector.get("mode", "")).lower()
    if mode == "breakglass":
        if "labels" in match:
            raise _Untold(
                "breakglass by what the author of a pod writes lets everybody in; an operator "
                "allows an image for a time with `imagegate allow`"
            )
        return {"match": match, "mode": "allow"}
    if mode not in ("policy", "analysis"):
        raise _Untold(f"the mode {mode!r} is none of policy, analysis, breakglass")
    rule: dict[str, object] = {"match": match, "mode": "enforce", "require": mode}
    if mode == "policy" and reference.get("policybundleid"):
        rule["policy"] = {"id": str(reference["policybundleid"])}
    return rule


def _match(kind: str, key: str, value: str) -> dict[str, object]:
    if kind == "image":
        images = _images(value)
        return {"images": images} if images else {}
    if kind == "namespace" and key.lower() == "name":
        glob = _glob(value)
        return {} if glob == "*" else {"namespaces": [glob]}
    if kind == "namespace":
        return {"namespaceLabels": {_exact(key): _exact(value)}}
    if kind in ("resource", "pod"):
        if key.lower() == "name":
            raise _Untold("rules do not match objects by their own name, which anybody chooses")
        return {"labels": {_exact(key): _exact(value)}}
    raise _Untold(f"the resource type {kind!r} is none of resource, namespace, image")


def _images(pattern: str) -> list[str]:
    """Empty: every image."""
    glob = _glob(pattern)
    if not glob.strip("*"):
        return []
    host, slash, rest = glob.partition("/")
    if slash and _HOST.fullmatch(host) and rest == "*":
        return [f"{host}/**"]
    if slash and _HOST.fullmatch(host) and not set(rest) & set("*:@"):
        return [f"{host}/{rest}"]
    raise _Untold(
        f"the pattern {pattern!r} may match in the middle of a name: write it as a path such as "
        "registry.corp/team/**"
    )


def _glob(pattern: str) -> str:
    """The same as a glob of the whole text; raises _Untold for what a glob cannot say."""
    text = pattern.removeprefix("^")
    text = text if text != pattern else f".*{text}"
    text = text[:-1] if text.endswith("$") and not text.endswith("\\$") else f"{text}.*"
    glob = ""
    signs = iter(text.replace(".*", _WILD))
    for sign in signs:
        if sign == _WILD:
            glob += "" if glob.endswith("*") else "*"
        elif sign == "\\":
            glob += next(signs, "")
        elif sign == "." or sign not in _META:
            # A bare dot is meant as one, nearly always: what it lets match is narrower here.
            glob += sign
        else:
            raise _Untold(f"the regular expression {pattern!r} says more than a glob can")
    return glob


def _exact(pattern: str) -> str:
    glob = _glob(pattern)
    if "*" in glob:
        raise _Untold(f"{pattern!r} matches many labels; a rule names one: anchor it with ^ and $")
    return glob


def _document(rules: Iterable[dict[str, object]], default: dict[str, object] | None) -> str:
    document: dict[str, object] = {"apiVersion": "imagegate.dev/v1"}
    listed = list(rules)
    if listed:
        document["rules"] = listed
    document["default"] = default or {"mode": "enforce"}
    return yaml.safe_dump(document, sort_keys=False, width=100)
