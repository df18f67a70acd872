"""GET /v1/images/{digest}/content/{type}: packages, in Engine's shape."""

from typing import Any

from services.scanner.records import ImageFacts, Package
from services.scanner.v1.package_types import OS, content_label, content_type, content_types
from services.scanner.v1.refusals import Refusal

_NOTHING = "N/A"
"""What Engine writes for what it does not know."""


def content_answer(digest: str, kind: str, facts: ImageFacts) -> dict[str, Any]:
    """Raises Refusal (404) for a type that the image has nothing of; `os` may be empty."""
    if kind not in content_types(facts):
        raise Refusal(404, f"content type ({kind}) not available")
    found = [_package(one) for one in facts.packages if content_type(one) == kind]
    return {"content": found, "content_type": kind, "imageDigest": digest}


def _package(package: Package) -> dict[str, Any]:
    licences = sorted(set(package.licences))
    told: dict[str, Any] = {
        "cpes": [],
        "license": " ".join(licences) or "Unknown",
        "licenses": licences or ["Unknown"],
        "origin": package.origin or _NOTHING,
        "package": package.name,
        "size": str(package.size) if package.size else _NOTHING,
        "type": content_label(package),
        "version": package.version,
    }
    if content_type(package) == OS:
        own = package.source in ("", package.name)
        return told | {"sourcepkg": _NOTHING if own else package.source}
    return told | {"location": package.location or _NOTHING}
