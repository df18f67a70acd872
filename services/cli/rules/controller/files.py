"""What Anchore's own admission controller was told: its config.json and its credentials.json.

Written after github.com/anchore/kubernetes-admission-controller (`admission/config.go`,
`validation/*_selector.go`, `anchore/config.go`). The same stands in the values of its Helm chart
(anchore-admission-controller), and in the ConfigMap and the Secret that the chart makes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.cli.rules.controller.handed import Handed, UnreadableController, handed_over

CONFIG, CREDENTIALS = "config.json", "credentials.json"
"""As the chart calls the two in its ConfigMap and Secret."""

SELECTORS, UNREAD_SELECTORS = "policyselectors", "selectors"
"""The key that the controller reads, and the one of its README's example, which it does not; in
lower case."""


class Selector(msgspec.Struct, frozen=True):
    """One selector as it is written."""

    number: int
    """Its place, from 1."""
    kind: str
    """`resource`, `namespace`, `image`; the controller takes whatever else for `image`."""
    key: str
    value: str
    mode: str
    """`policy`, `analysis`, `breakglass`; by any other all is refused."""
    user: str = ""
    """Of Anchore, one of credentials.json."""
    bundle: str = ""


class Controller(msgspec.Struct, frozen=True):
    """A whole configuration."""

    selectors: tuple[Selector, ...]
    request_analysis: bool = False
    """Whether images that are let in unseen are analysed all the same."""
    endpoint: str = ""
    users: frozenset[str] | None = None
    """Whose credentials it had; None: not known. Their passwords are read by nobody."""
    wrong_key: bool = False
    """The selectors stand under `selectors`, where the controller does not look."""


def read_controller(config: Path, credentials: Path | None = None) -> Controller:
    """Raises UnreadableController."""
    handed = handed_over(config)
    content = _folded(handed.content(CONFIG))
    if not isinstance(content, dict) or not {SELECTORS, UNREAD_SELECTORS} & set(content):
        raise UnreadableController(
            f"{config}: holds no policySelectors, so it is no configuration of that controller: "
            "give its config.json, its ConfigMap, or the values of its chart"
        )
    right = content.get(SELECTORS)
    listed = content.get(UNREAD_SELECTORS) if right is None else right
    if not isinstance(listed or [], list):
        raise UnreadableController(f"{config}: policySelectors must be a list")
    validator = content.get("validator")
    asked = validator.get("requestanalysis") if isinstance(validator, dict) else None
    return Controller(
        selectors=tuple(
            _selector(each, number, config) for number, each in enumerate(listed or [], start=1)
        ),
        request_analysis=_is_true(asked if asked is not None else _of_values(content)),
        endpoint=_text(content.get("anchoreendpoint"), f"{config}: anchoreEndpoint"),
        users=_users(credentials, handed, content),
        wrong_key=right is None and bool(listed),
    )


def _of_values(content: Mapping[str, Any]) -> object:
    """The chart's values have it at the top, and true is its default there."""
    is_values = "existingcredentialssecret" in content or "credentials" in content
    return content.get("requestanalysis", is_values)


def _is_true(value: object) -> bool:
    return value is True or str(value).lower() in ("true", "1")


def _users(path: Path | None, handed: Handed, content: Mapping[str, Any]) -> frozenset[str] | None:
    """Those of `path`; else those that the values have, or a Secret beside the ConfigMap."""
    source = handed_over(path) if path else handed
    held = _folded(source.content(CREDENTIALS) if path else source.beside(CREDENTIALS))
    if held is None and not path:
        held = content.get("credentials")
    elif not isinstance(held, dict) or not isinstance(held.get("users"), list):
        raise UnreadableController(
            f"{source.path}: {CREDENTIALS} holds no list `users`: it is "
            '{"users": [{"username": ..., "password": ...}]}'
        )
    listed = held.get("users") if isinstance(held, dict) else None
    if not isinstance(listed, list):
        return None
    named = (each.get("username") for each in listed if isinstance(each, dict))
    return frozenset(name for name in named if isinstance(name, str))


def _selector(content: object, number: int, path: Path) -> Selector:
    place = f"{path}: selector {number}"
    if not isinstance(content, dict):
        raise UnreadableController(f"{place} must be a mapping")
    where = content.get("selector") or content.get("resourceselector") or {}
    reference = content.get("policyreference") or {}
    if not isinstance(where, dict) or not isinstance(reference, dict):
        raise UnreadableController(f"{place}: Selector and PolicyReference must be mappings")
    return Selector(
        number=number,
        kind=_text(where.get("resourcetype"), f"{place}: ResourceType"),
        key=_text(where.get("selectorkeyregex"), f"{place}: SelectorKeyRegex"),
        value=_text(where.get("selectorvalueregex"), f"{place}: SelectorValueRegex"),
        mode=_text(content.get("mode"), f"{place}: Mode"),
        user=_text(reference.get("username"), f"{place}: Username"),
        bundle=_text(reference.get("policybundleid"), f"{place}: PolicyBundleId"),
    )


def _text(value: object, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        # The controller would make a text of its own of it: true becomes 1.
        raise UnreadableController(f"{place} must be a text: put it in quotes, as it was meant")
    return value


def _folded(value: Any) -> Any:
    """With keys in lower case: the controller takes them in any."""
    if isinstance(value, dict):
        return {str(key).lower(): _folded(part) for key, part in value.items()}
    return [_folded(part) for part in value] if isinstance(value, list) else value
