"""Notices as Anchore sends them, over real HTTP: Engine's, Enterprise's, and events."""

import base64
import json
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp

SAMPLES = Path(__file__).parents[1] / "data" / "anchore-notices"
USER = "anchore"
PASSWORD = "a-password-that-nobody-guesses"
TAG = "registry.corp/team/app:1"
DIGEST = "sha256:" + "7" * 64


class Dialect(StrEnum):
    """Who sends, and how."""

    ENGINE = "engine"
    ENTERPRISE = "enterprise"
    EVENTS = "events"
    """Enterprise's Notifications service."""


def notice_sample(name: str) -> bytes:
    """A body as it came."""
    return (SAMPLES / f"{name}.json").read_bytes()


def login(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    """How Anchore shows who it is."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


def notification(
    kind: str, payload: Any, *, account: str = "admin", dialect: Dialect = Dialect.ENGINE
) -> bytes:
    """A notification around what is new."""
    engine = dialect is Dialect.ENGINE
    notice = str(uuid.uuid4())
    body = {
        "queueId" if engine else "queue_id": kind,
        "userId" if engine else "account_name": account,
        "dataId" if engine else "data_id": notice,
        "data": {
            "notification_user": account,
            "notification_type": kind,
            "notification_payload": payload,
        },
    }
    return json.dumps(body).encode()


def analysis_over(
    tag: str = TAG,
    digest: str = DIGEST,
    *,
    status: str = "analyzed",
    account: str = "admin",
    dialect: Dialect = Dialect.ENGINE,
) -> bytes:
    """An analysis ended, in the words of `dialect`."""
    spelt = "imageDigest" if dialect is Dialect.ENGINE else "image_digest"
    details = {
        "subscription_type": "analysis_update",
        "curr_eval": {"analysis_status": status, spelt: digest, "annotations": {}},
        "last_eval": {"analysis_status": "analyzing", spelt: digest, "annotations": {}},
    }
    if dialect is Dialect.EVENTS:
        resource = {"account_name": account, "type": "image_tag", "id": tag}
        event = {"type": "user.image.analysis.completed", "resource": resource, "details": details}
        return json.dumps({"id": uuid.uuid4().hex, "level": "info", **event}).encode()
    payload = {"subscription_key": tag, **details}
    return notification("analysis_update", payload, account=account, dialect=dialect)


def verdict_changed(
    tag: str = TAG, digest: str = DIGEST, *, kind: str = "policy_eval", account: str = "admin"
) -> bytes:
    """The policy says something else of an image, or (`vuln_update`) others are known of it."""
    if kind == "vuln_update":
        news: dict[str, Any] = {"imageDigest": digest, "diff_vulnerability_result": {"added": []}}
    else:
        news = {
            "curr_eval": {"image_digest": digest, "status": "fail", "bundle": {"id": "x"}},
            "last_eval": {"image_digest": digest, "status": "pass", "bundle": {"id": "x"}},
        }
    return notification(kind, {"subscription_key": tag, **news}, account=account)


class NoticeSender:
    """Posts as Engine does: Basic authentication, two seconds' patience, no redirect followed."""

    def __init__(self, *, url: str, session: aiohttp.ClientSession) -> None:
        """`url`: the intake's, without a path."""
        self._url = f"{url}/events/anchore"
        self._session = session

    async def send(self, body: bytes, **headers: str) -> tuple[int, Any]:
        """Status and body of the answer."""
        sent = {"Content-Type": "application/json", **login(), **headers}
        patience = aiohttp.ClientTimeout(total=2)
        async with self._session.post(
            self._url, data=body, headers=sent, timeout=patience, allow_redirects=False
        ) as answer:
            return answer.status, await answer.json()
