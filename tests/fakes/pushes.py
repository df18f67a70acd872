"""Push events as their senders write them."""

import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

from tests.fakes.images import OCI_MANIFEST

SAMPLES = Path(__file__).parents[1] / "data" / "push-events"
TOKEN = "a-token-that-nobody-guesses"
KEY = "a-key-that-nobody-guesses-either"
HOST = "registry.example.com"
DIGEST = "sha256:" + "7" * 64


def sample(name: str) -> bytes:
    """A registry's body, as it came."""
    return (SAMPLES / f"{name}.json").read_bytes()


def event(
    *,
    repository: str = "team/app",
    tag: str = "1.4.2",
    digest: str = DIGEST,
    media_type: str = OCI_MANIFEST,
    action: str = "push",
    host: str = HOST,
    event_id: str | None = None,
    **target: Any,
) -> dict[str, Any]:
    """One event of Distribution's, with an id of its own."""
    described = {"mediaType": media_type, "digest": digest, "repository": repository}
    return {
        "id": uuid.uuid4().hex if event_id is None else event_id,
        "action": action,
        "target": described | ({"tag": tag} if tag else {}) | target,
        "request": {"host": host, "method": "PUT"},
    }


def envelope(*events: dict[str, Any]) -> bytes:
    """A whole body."""
    return json.dumps({"events": events}).encode()


def bearer(token: str = TOKEN) -> dict[str, str]:
    """How a registry shows who it is."""
    return {"Authorization": f"Bearer {token}"}


def signed(body: bytes, key: str = KEY) -> dict[str, str]:
    """How a pipeline shows who it is."""
    digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
    return {"X-Signature": f"sha256={digest}"}
